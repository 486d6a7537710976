"""What the network is shown of an event: one row of zeros and ones, from the event itself and from what sounds.

Notes are told one after the other, so what still sounds is nowhere in the event: the network would have to keep
count of every duration. Shown to it, it costs one block of columns and saves most of the training.

Conventions
-----------
The columns of an event stand in blocks, each with a single one unless said otherwise, in this order:

    metre, time, position   of the event
    held                    a one for each pitch of an earlier note that still sounds at this event's onset
    pitch, duration         of the event; velocity too where the encoding has it
    ending                  steps from this onset until a pitch falls silent, this event's included: 0 when nothing
                            sounds, at most LONGEST_ENDING; a pitch struck twice sounds until the later end

So what is known when a field is to be chosen is always the beginning of a row (`known`). *Left* is for every
pitch how many steps it goes on from the last onset, int32, shape (n, n_pitches), 0 when it is silent.
"""

from collections.abc import Sequence

import numpy as np

from farm.music.encoding import DURATION, METRE, PITCH, POSITION, PREDICTED, TIME, VELOCITY, Encoding

LONGEST_ENDING = 49
_COLUMN = {
    "metre": METRE,
    "time": TIME,
    "position": POSITION,
    "pitch": PITCH,
    "duration": DURATION,
    "velocity": VELOCITY,
}


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
        blocks = {"metre": len(encoding.metres), "time": sizes.pop("time"), "position": encoding.n_positions}
        blocks |= {"held": encoding.n_pitches} | sizes | {"ending": LONGEST_ENDING + 1}
        ends = np.cumsum(list(blocks.values())).tolist()
        self.starts = dict(zip(blocks, [0, *ends], strict=False))
        self.n_columns = ends[-1]
        self._fields = [name for name in blocks if name in _COLUMN]
        self._n_pitches = encoding.n_pitches
        self._stop = encoding.stop
        self._gap = np.array([*encoding.time_steps, 0, 0], np.int32)  # STOP and START take no time
        self._duration = np.array([*encoding.duration_steps, 0], np.int32)

    def known(self, field: str) -> int:
        """Return how many columns are known when `field` is to be chosen; time is chosen before its event."""
        return 0 if field == PREDICTED[0] else self.starts[field]

    def silence(self, n: int) -> np.ndarray:
        """Return what is left to sound before the first event: nothing."""
        return np.zeros((n, self._n_pitches), np.int32)

    def show(self, left: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the columns of one event each, and what is left to sound at its onset.

        Parameters
        ----------
        left
            As after the event before.
        rows
            Events, shape (n, 6). Of an event that is not wholly decided yet the columns `known` are right.

        Returns
        -------
        uint8 array of shape (n, n_columns), and the new `left`.
        """
        columns, every = np.zeros((len(rows), self.n_columns), np.uint8), np.arange(len(rows))
        for name in self._fields:
            columns[every, self.starts[name] + rows[:, _COLUMN[name]]] = 1
        left = np.maximum(left - self._gap[rows[:, TIME], None], 0)
        columns[:, self.starts["held"] : self.starts["held"] + self._n_pitches] = left > 0
        notes = np.flatnonzero(rows[:, TIME] < self._stop)
        pitch = rows[notes, PITCH]
        left[notes, pitch] = np.maximum(left[notes, pitch], self._duration[rows[notes, DURATION]])
        ending = np.where(left > 0, left, LONGEST_ENDING + 1).min(axis=1)
        ending = np.where(ending > LONGEST_ENDING, np.where(left.any(axis=1), LONGEST_ENDING, 0), ending)
        columns[every, self.starts["ending"] + ending] = 1
        return columns, left

    def follow(self, events: Sequence[np.ndarray], length: int) -> np.ndarray:
        """Return the columns of event arrays that begin together, out of silence.

        Parameters
        ----------
        events
            Event arrays, shape (at most `length`, 6) each.

        Returns
        -------
        uint8 array of shape (n, length, n_columns); zeros after the end of an array.
        """
        rows = np.zeros((len(events), length, 6), np.int16)
        lengths = np.array([len(part) for part in events], int)
        for number, part in enumerate(events):
            rows[number, : len(part)] = part
        columns = np.zeros((len(events), length, self.n_columns), np.uint8)
        left = self.silence(len(events))
        for step in range(int(lengths.max(initial=0))):
            columns[:, step], left = self.show(left, rows[:, step])
        columns[np.arange(length) >= lengths[:, None]] = 0
        return columns
