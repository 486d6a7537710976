"""Whether a network that started from a base is of its style yet: its samples against people's music, by an n-gram.

A base foretells the notes of a style well before it composes like it: left alone it goes on as in anybody's music. So
the held-out loss of such a run levels off, or turns up, while its samples still come nearer to the style.
"""

from collections.abc import Callable, Mapping

import numpy as np

from farm.composing.player import Player
from farm.composing.sampling import compose
from farm.config import Network, Samples
from farm.music.encoding import Encoding, decode
from farm.scheduling.judging import bits_of, ngram_of
from farm.scheduling.work import Work
from farm.storage import Storage
from farm.training.loading import load_music
from farm.training.shape import network_shape


def style_check(storage: Storage, work: Work, encoding: Encoding) -> Callable[[Mapping[str, np.ndarray]], bool]:
    """Return what tells of weights whether their samples cost an n-gram of the style no more bits than people's music.

    The samples are the usual ones, whatever the recipe asks of the judge: training does not depend on that. People's
    level is the mean, so that samples of the epochs before the last ones are within people's range too. Without
    people's level the answer is yes.
    """
    music, network, samples = load_music(storage, work.style, encoding), work.recipe.network, Samples()
    if not isinstance(network, Network):
        raise TypeError(f"{work.recipe.name}: only networks of kind lstm start from a base")
    shape = network_shape(network, encoding)
    ngram = ngram_of(music, work.recipe)
    people = ngram.of_people(samples.notes)

    def is_of_style(weights: Mapping[str, np.ndarray]) -> bool:
        if people is None:
            return True
        pieces = compose(
            Player(shape, encoding, weights),
            encoding,
            notes=samples.notes,
            metre=music.usual_metre,
            seed=work.seed,
            temperature=samples.temperature,
            top_p=samples.top_p,
            count=samples.count,
        )
        (bits,) = bits_of([[decode(piece.events, encoding) for piece in pieces]], music, ngram)
        return bits is not None and bits <= people[0]

    return is_of_style
