"""How strange music is to its style: the bits a note that an n-gram of the style's own music gives it.

Samples of a network that is not yet of the style, or is drawn too freely, cost more of them than people's own pieces
do; how much of a sample is known note for note tells that only where the corpus is large.

Conventions
-----------
Events are those of `farm.music.encoding`, the n-gram is that of `farm.music.baselines`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from farm.music.baselines import bits_of_each
from farm.music.encoding import Encoding


@dataclass(frozen=True)
class StyleNgram:
    """An n-gram of a style's music.

    Attributes
    ----------
    learnt, asked
        Events of the music that it learns, and of people's that it does not: what the network is judged on.
    down, up
        Semitones by which the recipe transposes training pieces.
    """

    learnt: Sequence[np.ndarray]
    asked: Sequence[np.ndarray]
    encoding: Encoding
    down: int
    up: int

    def of_samples(self, samples: Sequence[Sequence[np.ndarray]]) -> list[float | None]:
        """Return the mean bits a note of each snapshot's samples, their events; None where these have no notes."""
        asked = [events[:-1] for drawn in samples for events in drawn]  # a sample is cut off, it does not stop
        bits = self._bits(asked) if asked else np.zeros(0)
        ends = np.cumsum([len(drawn) for drawn in samples])
        found = [bits[end - len(drawn) : end] for end, drawn in zip(ends, samples, strict=True)]
        return [float(np.nanmean(each)) if np.isfinite(each).any() else None for each in found]

    def of_people(self, length: int) -> list[float] | None:
        """Return people's level, [mean, 95th percentile] over windows of `length` notes; None without any."""
        windows = [window for events in self.asked for window in _windows(events, length)]
        if not windows:
            return None
        bits = self._bits(windows)
        return [float(np.mean(bits)), float(np.percentile(bits, 95))]

    def _bits(self, asked: Sequence[np.ndarray]) -> np.ndarray:
        return bits_of_each(self.learnt, asked, self.encoding, down=self.down, up=self.up)


def _windows(events: np.ndarray, length: int) -> list[np.ndarray]:
    """Return windows of `length` notes, each behind the START row; a remainder of less than half of it is left out."""
    notes = events[1:-1]
    if len(notes) <= length:
        return [events[:-1]] if len(notes) else []
    cuts = [notes[begin : begin + length] for begin in range(0, len(notes), length)]
    return [np.concatenate([events[:1], cut]) for cut in cuts if 2 * len(cut) >= length]
