"""The guard against loops, silence and clusters while a piece is composed; it says how often it stepped in.

A model trained too little, or asked for a low temperature, can fall into a figure that it repeats for ever, into
silence or into one endless chord. The guard watches the events and forbids the next step of such a course; it
leaves all other music as the network wants it.

Conventions
-----------
Arrays have one row per piece. *Banned* classes are marked True, shape (n, n_classes); the sampler draws again
without them only when a draw fell on one, so that a guard that has nothing to do changes nothing.
"""

import numpy as np

from farm.music.encoding import BEATS, DURATION, PITCH, Encoding

KINDS = ("loop", "silence", "cluster")

MAX_SILENT_BARS = 2
MAX_CHORD_NOTES = 16
LONGEST_LOOP_NOTES = 64
LOOP_ROUNDS = 4  # a figure may return three times; people do that, and seldom more
LOOP_MIN_NOTES = 20  # tremolo and drum basses repeat short figures for a bar; this is longer
HEAT = 1.5  # each time a piece loops again the temperature goes up by this much more
MAX_HEAT = 4.0
HEAT_EVENTS = 16

_PERIODS = np.arange(1, LONGEST_LOOP_NOTES + 1)
_ENOUGH = np.maximum((LOOP_ROUNDS - 1) * _PERIODS, LOOP_MIN_NOTES - _PERIODS)  # notes that were the same, by period
_PAST_NOTES = 16 * LONGEST_LOOP_NOTES


class Guard:
    """Watches `n` pieces side by side.

    Parameters
    ----------
    n
        Number of pieces.
    bar_steps
        Length of a bar in steps.

    Attributes
    ----------
    heat
        The factor on each piece's temperature now, shape (n,).
    """

    def __init__(self, n: int, encoding: Encoding, bar_steps: int) -> None:
        self.interventions = np.zeros((n, len(KINDS)), np.int64)
        self.heat = np.ones(n)
        self._encoding = encoding
        self._active = np.ones(n, bool)
        too_silent = np.arange(encoding.stop) * encoding.steps_per_beat > MAX_SILENT_BARS * bar_steps
        self._too_silent = np.tile(np.append(too_silent, False), (n, 1))
        self._chord_notes = np.zeros(n, np.int64)
        self._heat = np.ones(n)
        self._heat_left = np.zeros(n, np.int64)
        self._avoid: dict[int, int] = {}
        self._figures = _Past(n)
        self._same = np.zeros((n, LONGEST_LOOP_NOTES), np.int64)

    def banned(self, field: str, rows: np.ndarray) -> np.ndarray | None:
        """Return the classes of a field that the next event must not have, or None when all are free.

        Parameters
        ----------
        rows
            The next event of every piece as far as it is decided, shape (n, 7).

        Returns
        -------
        bool, shape (n, n_classes), to be read only.
        """
        if field == "beats":
            return self._too_silent
        if field == "step":
            full = (rows[:, BEATS] == 0) & (self._chord_notes >= MAX_CHORD_NOTES)
            if full.any():
                banned = np.zeros((len(rows), self._encoding.steps_per_beat), bool)
                banned[:, 0] = full
                return banned
        if field == "pitch" and self._avoid:
            banned = np.zeros((len(rows), self._encoding.n_pitches), bool)
            banned[list(self._avoid), list(self._avoid.values())] = True
            return banned
        return None

    def count(self, field: str, again: np.ndarray) -> None:
        """Note which pieces drew a banned class and had to draw again (`again`, bool, shape (n,))."""
        kind = {"beats": "silence", "step": "cluster"}.get(field)
        if kind is not None:  # a loop is counted once, when it is found
            self.interventions[:, KINDS.index(kind)] += again & self._active

    def observe(self, rows: np.ndarray, active: np.ndarray) -> None:
        """Take in the event that each piece went on with, shape (n, 7); pieces not `active` have ended."""
        self._active = active
        gaps = self._encoding.gaps(rows)
        self._chord_notes *= gaps == 0
        self._chord_notes += 1
        sizes = self._encoding.n_classes
        codes = (gaps * sizes["pitch"] + rows[:, PITCH]) * sizes["duration"] + rows[:, DURATION]
        self._same += 1
        self._same *= self._figures.latest == codes[:, None]
        self._figures.add(codes)
        self._avoid.clear()
        if self._heat_left.any():
            self._heat_left = np.maximum(self._heat_left - 1, 0)
        looping = self._same >= _ENOUGH
        if looping.any():
            self._break_loops(looping)
        self.heat = np.where(self._heat_left > 0, self._heat, 1.0)

    def _break_loops(self, looping: np.ndarray) -> None:
        """Where a figure came back too often: ban its next pitch, raise the temperature for a while."""
        sizes = self._encoding.n_classes
        for piece in np.flatnonzero(looping.any(axis=1) & self._active).tolist():
            period = int(looping[piece].argmax()) + 1
            begun = int(self._figures.latest[piece, period - 1])
            self._avoid[piece] = begun // sizes["duration"] % sizes["pitch"]
            rounds = self.interventions[piece, KINDS.index("loop")] + 1
            self.interventions[piece, KINDS.index("loop")] = rounds
            self._heat[piece] = min(HEAT**rounds, MAX_HEAT)
            self._heat_left[piece] = HEAT_EVENTS
            self._same[piece] = 0


class _Past:
    """The codes of the last events of every piece, the newest first: `latest`, shape (n, LONGEST_LOOP_NOTES).

    It is a window that moves down a longer array, so that a new event costs one column and now and then a copy.
    """

    def __init__(self, n: int) -> None:
        self._codes = np.full((n, _PAST_NOTES), -1, np.int64)
        self._at = _PAST_NOTES - LONGEST_LOOP_NOTES
        self.latest = self._codes[:, self._at :]

    def add(self, codes: np.ndarray) -> None:
        if self._at == 0:
            self._at = _PAST_NOTES - LONGEST_LOOP_NOTES
            self._codes[:, self._at :] = self.latest.copy()
        self._at -= 1
        self._codes[:, self._at] = codes
        self.latest = self._codes[:, self._at : self._at + LONGEST_LOOP_NOTES]
