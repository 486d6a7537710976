"""How strange music is to its style: the bits a note that an n-gram of the style's own music gives it.

Samples of a network that is not yet of the style, or is drawn too freely, cost more of them than people's own pieces
do; how much of a sample is known note for note tells that only where the corpus is large.

Conventions
-----------
Events are those of `farm.music.encoding`, the n-gram is that of `farm.music.baselines`.
"""

from collections.abc import Sequence

import numpy as np

from farm.music.baselines import bits_of_each
from farm.music.encoding import Encoding


def sample_bits(
    learnt: Sequence[np.ndarray], samples: Sequence[Sequence[np.ndarray]], encoding: Encoding, *, down: int, up: int
) -> list[float | None]:
    """Return the mean of the bits a note of each snapshot's samples, None for one whose samples have no notes.

    Parameters
    ----------
    learnt
        Events of the music that the n-gram learns.
    samples
        By snapshot the events of its samples.
    down, up
        Semitones by which the recipe transposes training pieces.
    """
    asked = [events[:-1] for drawn in samples for events in drawn]  # a sample is cut off, it does not stop
    bits = bits_of_each(learnt, asked, encoding, down=down, up=up) if asked else np.zeros(0)
    ends = np.cumsum([len(drawn) for drawn in samples])
    found = [bits[end - len(drawn) : end] for end, drawn in zip(ends, samples, strict=True)]
    return [float(np.nanmean(each)) if np.isfinite(each).any() else None for each in found]


def people_bits(
    learnt: Sequence[np.ndarray], asked: Sequence[np.ndarray], encoding: Encoding, length: int, *, down: int, up: int
) -> list[float] | None:
    """Return people's level, [mean, 95th percentile] of the bits a note of windows of `length` notes; None without any.

    Parameters
    ----------
    learnt, asked
        Events of the music that the n-gram learns, and of people's that it does not: what the network is judged on.
    """
    windows = [window for events in asked for window in _windows(events, length)]
    if not windows:
        return None
    bits = bits_of_each(learnt, windows, encoding, down=down, up=up)
    return [float(np.mean(bits)), float(np.percentile(bits, 95))]


def _windows(events: np.ndarray, length: int) -> list[np.ndarray]:
    """Return windows of `length` notes, each behind the START row; a remainder of less than half of it is left out."""
    notes = events[1:-1]
    if len(notes) <= length:
        return [events[:-1]] if len(notes) else []
    cuts = [notes[begin : begin + length] for begin in range(0, len(notes), length)]
    return [np.concatenate([events[:1], cut]) for cut in cuts if 2 * len(cut) >= length]
