"""Pieces while they are composed: what is written, what may follow, where they end.

Conventions
-----------
Arrays have one row per piece. Bars count from 0 at the start of the piece, its primer included.
"""

from dataclasses import dataclass, field

import numpy as np

from farm.composing.guard import KINDS, Guard
from farm.music.encoding import BEATS, DURATION, METRE, PITCH, POSITION, STEP, Encoding

MIN_SHARE = 0.25
NOTES_PER_BAR = 128  # the end of a bar that a network would fill for ever


@dataclass(frozen=True)
class Composition:
    """One composed piece.

    Attributes
    ----------
    events
        Event array with START and STOP, int16, shape (n_notes + 2, 7); the primer stands at its beginning.
    stopped
        Whether the network ended the piece itself; otherwise the asked length did.
    primer_notes
        How many notes of the beginning are the primer's.
    interventions
        How often the guard stepped in, by kind: loop, silence, cluster. All 0 when greedy, which has no guard.
    """

    events: np.ndarray
    stopped: bool
    primer_notes: int = 0
    interventions: dict[str, int] = field(default_factory=dict)


class Draft:
    """The pieces as far as they are written, and what may follow."""

    def __init__(self, encoding: Encoding, opening: np.ndarray, n: int, notes: int | None, bars: int | None) -> None:
        self.encoding = encoding
        self.metre = int(opening[-1, METRE])
        self.bar_steps = encoding.bar_steps(self.metre)
        self.last = np.tile(opening[-1].astype(np.int64), (n, 1))
        self.done = np.zeros(n, bool)
        self._opening = opening
        self._has_notes = len(opening) > 1
        self._written: list[np.ndarray] = []
        self._lengths = np.zeros(n, np.int64)
        self._stopped = np.zeros(n, bool)
        primer_steps = encoding.gaps(opening).sum()
        off_grid = np.arange(encoding.steps_per_beat) % (encoding.steps_per_beat // encoding.grid) > 0
        self._steps = np.tile(off_grid, (n, 1))
        self._beats = np.zeros((n, encoding.stop + 1), bool)
        self._in_bar = np.full(n, primer_steps % self.bar_steps, np.int64)
        self._reached = self._in_bar
        self._in_chord = np.zeros(n, bool)
        self._primer_bars = int(primer_steps // self.bar_steps) + 1 if self._has_notes else 0
        self._bar = np.full(n, max(self._primer_bars - 1, 0))
        self._bars = bars
        self._max_notes = notes if notes is not None else (bars or 0) * NOTES_PER_BAR

    @property
    def first(self) -> bool:
        """Whether the next event is the first note of all."""
        return not self._has_notes and not self._written

    def illegal(self, name: str, rows: np.ndarray) -> np.ndarray | None:
        """Return which classes of a field must not follow, bool, shape (n, n_classes), to be read only; None for none.

        In every row some may follow.
        """
        if name in ("beats", "step"):
            return self._illegal_time(name, rows)
        if name == "velocity" or not self._in_chord.any():
            return None
        bound = self._in_chord
        if name == "duration":
            bound = bound & (rows[:, PITCH] == self.last[:, PITCH])
            if not bound.any():
                return None
        lowest = self.last[:, PITCH if name == "pitch" else DURATION]
        return bound[:, None] & (np.arange(self.encoding.n_classes[name]) < lowest[:, None])

    def _illegal_time(self, name: str, rows: np.ndarray) -> np.ndarray:
        """Return which beats or steps must not follow: STOP too soon, off the grid, a first note past the first bar."""
        per_beat, stop = self.encoding.steps_per_beat, self.encoding.stop
        if name == "beats":
            self._beats[:, stop] = ~self._may_stop()
            if not self.first:
                return self._beats
            too_late = np.arange(stop + 1) * per_beat >= self.bar_steps
            too_late[stop] = False
            return self._beats | too_late
        if self.first:
            return self._steps | (rows[:, BEATS, None] * per_beat + np.arange(per_beat) >= self.bar_steps)
        return self._steps

    def place(self, rows: np.ndarray) -> None:
        """Fill in the position in the bar that the chosen time leads to."""
        self._reached = self._in_bar + self.encoding.gaps(rows)
        self._in_chord = (rows[:, BEATS] == 0) & (rows[:, STEP] == 0) & (not self.first)
        rows[:, POSITION] = self.encoding.positions(self._reached, self.metre)

    def add(self, rows: np.ndarray) -> None:
        """Write the next event of every piece that is not done yet; it was placed."""
        bars, self._in_bar = np.divmod(self._reached, self.bar_steps)
        self._bar += bars
        stopping = ~self.done & (rows[:, BEATS] == self.encoding.stop)
        self._stopped |= stopping
        self.done |= stopping
        if self._bars is not None:
            self.done |= self._bar >= self._primer_bars + self._bars
        self._lengths += ~self.done
        self.done |= self._lengths >= self._max_notes
        self._written.append(rows)
        self.last = rows

    def events(self, piece: int, start: int) -> np.ndarray:
        """Return the events of a piece from the number `start` on, START and the primer first; shape (n_events, 7)."""
        n_opening = len(self._opening)
        written = [rows[piece] for rows in self._written[max(start - n_opening, 0) :]]
        return np.array([*self._opening[start:], *written], np.int64).reshape(-1, self._opening.shape[1])

    def compositions(self, guard: Guard | None) -> list[Composition]:
        end = self._opening[0].copy()
        end[:METRE] = 0
        end[BEATS] = self.encoding.stop
        written = np.stack(self._written, axis=1).astype(np.int16)
        pieces = []
        for piece, length in enumerate(self._lengths):
            events = np.vstack([self._opening, written[piece, :length], end])
            if self._bars is not None and not self._stopped[piece]:
                self._cut(events)
            counts = guard.interventions[piece] if guard is not None else np.zeros(len(KINDS), np.int64)
            interventions = {kind: int(times) for kind, times in zip(KINDS, counts, strict=True)}
            pieces.append(Composition(events, bool(self._stopped[piece]), len(self._opening) - 1, interventions))
        return pieces

    def _may_stop(self) -> np.ndarray:
        if self._bars is None:
            return self._lengths >= max(MIN_SHARE * self._max_notes, 1)
        return (self._lengths > 0) & (self._bar - self._primer_bars + 1 >= MIN_SHARE * self._bars)

    def _cut(self, events: np.ndarray) -> None:
        """Shorten, in place, what would sound past the last bar to the longest duration that still fits."""
        body = events[1:-1]
        onset = np.cumsum(self.encoding.gaps(body))
        room = (self._primer_bars + (self._bars or 0)) * self.bar_steps - onset
        longest = np.searchsorted(np.asarray(self.encoding.duration_steps), room, side="right") - 1
        body[:, DURATION] = np.minimum(body[:, DURATION], np.maximum(longest, 0))
