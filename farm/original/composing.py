"""Composing as the original program did: from a window of somebody's music, one token after the other.

Conventions
-----------
A piece begins where a random window of the training music ends; the window's own tokens are not part of it. For
every token the network sees the last `length` tokens again from nothing. Pieces are composed side by side.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from farm.composing.drawing import draw
from farm.config import Samples
from farm.music.encoding import Encoding, decode
from farm.original.tokens import codes, detokenize, tokenize
from farm.original.windows import Windows
from farm.training.backend import prepare


def compose(
    about: Mapping[str, Any],
    weights: Mapping[str, np.ndarray],
    train: Sequence[np.ndarray],
    encoding: Encoding,
    *,
    samples: Samples,
    seed: int,
    n_threads: int = 1,
) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the drawn pieces and the greedy one, as note arrays of at most `samples.notes` notes.

    Parameters
    ----------
    about, weights
        A snapshot's architecture and weights.
    train
        Event arrays of the training pieces.
    samples
        How many pieces are drawn, how long, and from which chances. The greedy one takes the likeliest token always,
        as the original did; it begins as the first that is drawn.
    """
    prepare(n_threads)
    from farm.original.network import TokenNetwork

    network, names = TokenNetwork(about, weights=weights), about["vocabulary"]
    pieces = [codes(tokenize(decode(events, encoding)), names) for events in train]
    windows = Windows.build(pieces, network.length)
    dice = [np.random.Generator(np.random.PCG64(seed + number)) for number in range(samples.count)]
    begins = np.array([die.integers(len(windows)) for die in dice])
    rows = windows.take(np.append(begins, begins[0]))[0]
    sizes = np.array([len(detokenize([name])) for name in names])
    length = np.zeros(len(rows), np.int64)
    while length.min() < samples.notes:
        logits = network.logits(rows[:, -network.length :]).astype(np.float64)
        lots = np.array([die.random() for die in dice])
        heat = np.full(len(dice), samples.temperature)
        drawn, _ = draw(logits[:-1], lots, heat, samples.top_p)
        chosen = np.append(drawn, logits[-1].argmax()).astype(np.int32)
        rows = np.concatenate([rows, chosen[:, None]], axis=1)
        length += sizes[chosen]
    composed = [detokenize([names[code] for code in row[network.length :]])[: samples.notes] for row in rows]
    return composed[:-1], composed[-1]
