"""What the network is shown of an event: one row of zeros and ones, from the event itself and from what sounds.

Notes are told one after the other, so what still sounds is nowhere in the event: the network would have to keep
count of every duration. Shown to it, it costs one block of columns and saves most of the training.

Conventions
-----------
The columns of an event stand in blocks, each with a single one unless said otherwise, in this order:

    metre, beats, step      of the event
    position, phase         of the event: whole twelfths of a beat since the bar began, and the steps beyond them
    held                    a one for each pitch of an earlier note that still sounds at this event's onset
    pitch, duration         of the event; velocity too where the encoding has it
    ending                  twelfths of a beat from this onset until a pitch falls silent, this event's included and
                            begun ones counted whole: 0 when nothing sounds, at most LONGEST_ENDING; a pitch struck
                            twice sounds until the later end

So what is known when a field is to be chosen is always the beginning of a row (`known`). *Left* is for every
pitch how many steps it goes on from the last onset, int32, shape (n, n_pitches), 0 when it is silent.

A *told* event is its row of an event array followed by what sounds around it: `held` as bits (16 bytes, so 8
columns) and `ending`; int16, shape (n_events, N_TOLD). It holds all that the columns are made of, in 32 bytes.
"""

from collections.abc import Sequence

import numpy as np

from farm.music.encoding import (
    BEATS,
    COLUMN,
    DURATION,
    LONGEST_BAR_STEPS,
    METRE,
    N_COLUMNS,
    N_PITCHES,
    PITCH,
    POSITION,
    PREDICTED,
    Encoding,
)

LONGEST_ENDING = 49
_COARSE = 12  # places to the beat that position and ending are told in
_N_HELD = N_PITCHES // 16
HELD = slice(N_COLUMNS, N_COLUMNS + _N_HELD)
ENDING = N_COLUMNS + _N_HELD
N_TOLD = ENDING + 1

_ONE = np.uint32(1)
_SILENT = np.iinfo(np.uint32).max


class Features:
    """The columns of one encoding, and what sounds as events follow each other.

    Attributes
    ----------
    starts
        First column of each block, in order.
    n_columns
        Width of a row.
    """

    def __init__(self, encoding: Encoding) -> None:
        sizes = {name: encoding.n_classes[name] + 1 for name in encoding.fields}  # one more for START
        self._per_place = encoding.steps_per_beat // _COARSE
        blocks = {"metre": len(encoding.metres), "beats": sizes.pop("beats"), "step": sizes.pop("step")}
        blocks |= {"position": -(-LONGEST_BAR_STEPS // self._per_place), "phase": self._per_place}
        blocks |= {"held": encoding.n_pitches} | sizes | {"ending": LONGEST_ENDING + 1}
        ends = np.cumsum(list(blocks.values())).tolist()
        self.starts = dict(zip(blocks, [0, *ends], strict=False))
        self.n_columns = ends[-1]
        self._fields = {name: COLUMN[name] for name in encoding.fields} | {"metre": METRE}
        self._n_pitches = encoding.n_pitches
        self._stop = encoding.stop
        self._gaps = encoding.gaps
        self._duration = np.array([*encoding.duration_steps, 0], np.int32)

    def known(self, field: str) -> int:
        """Return how many columns are known when `field` is to be chosen; the first is chosen before its event."""
        return 0 if field == PREDICTED[0] else self.starts[field]

    def silence(self, n: int) -> np.ndarray:
        """Return what is left to sound before the first event: nothing."""
        return np.zeros((n, self._n_pitches), np.int32)

    def held(self, left: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return which pitches still sound at each event's onset, bool, shape (n, n_pitches); `left` as before it."""
        return left > self._gaps(rows)[:, None]

    def follow(self, left: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return what sounds around one event each.

        Parameters
        ----------
        left
            As after the event before.
        rows
            Events, shape (n, 7).

        Returns
        -------
        What is held at each event's onset, bool, shape (n, n_pitches); `ending`, uint32, shape (n,); the new `left`.
        """
        left = left - self._gaps(rows).astype(np.int32)[:, None]
        np.maximum(left, 0, out=left)
        held = left > 0
        notes = np.flatnonzero(rows[:, BEATS] < self._stop)
        pitch = rows[notes, PITCH]
        left[notes, pitch] = np.maximum(left[notes, pitch], self._duration[rows[notes, DURATION]])
        soonest = (left.view(np.uint32) - _ONE).min(
            axis=1
        )  # one step less; what is silent, 0, becomes the largest of all
        ending = np.minimum(soonest // self._per_place, LONGEST_ENDING - 1) + _ONE
        ending[soonest == _SILENT] = 0
        return held, ending, left

    def told(self, pieces: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the told events of whole pieces, each out of silence: shape (n_events, N_TOLD) each."""
        lengths = np.array([len(piece) for piece in pieces], int)
        ends = np.cumsum(lengths)
        told = np.zeros((lengths.sum(), N_TOLD), np.int16)
        told[:, :N_COLUMNS] = np.concatenate([*pieces, np.zeros((0, N_COLUMNS), np.int16)])
        longest_first = np.argsort(-lengths, kind="stable")
        starts, left = (ends - lengths)[longest_first], self.silence(len(pieces))
        for at in range(lengths.max(initial=0)):
            active = int(np.searchsorted(-lengths[longest_first], -at, side="left"))
            places = starts[:active] + at
            held, ending, left = self.follow(left[:active], told[places, :N_COLUMNS])
            told[places, HELD] = np.packbits(held, axis=1).view(np.int16)
            told[places, ENDING] = ending
        return [told[end - length : end] for end, length in zip(ends, lengths, strict=True)]

    def columns(self, told: np.ndarray, semitones: np.ndarray) -> np.ndarray:
        """Return the columns of told events, moved by so many semitones, which must keep them in the pitch range.

        Parameters
        ----------
        told
            Shape (n, N_TOLD).
        semitones
            For each event, shape (n,).

        Returns
        -------
        uint8 array of shape (n, n_columns).
        """
        rows = told[:, :N_COLUMNS].copy()
        rows[:, PITCH] += np.where(rows[:, BEATS] < self._stop, semitones, 0).astype(np.int16)
        held = np.unpackbits(np.ascontiguousarray(told[:, HELD]).view(np.uint8), axis=1)
        for distance in np.unique(semitones):
            if distance:
                moved = semitones == distance
                held[moved] = np.roll(held[moved], distance, axis=1)
        return self._columns(rows, held, told[:, ENDING])

    def _columns(self, rows: np.ndarray, held: np.ndarray, ending: np.ndarray) -> np.ndarray:
        columns = np.zeros((len(rows), self.n_columns), np.uint8)
        values = {name: rows[:, at] for name, at in self._fields.items()}
        position = rows[:, POSITION]
        values |= {"position": position // self._per_place, "phase": position % self._per_place, "ending": ending}
        first = np.arange(len(rows), dtype=np.int64) * self.n_columns
        flat = columns.reshape(-1)
        for name, value in values.items():
            flat[first + self.starts[name] + value] = 1
        columns[:, self.starts["held"] : self.starts["held"] + self._n_pitches] = held
        return columns
