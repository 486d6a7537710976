"""Notes to events and back: what the network reads and predicts, one event per note.

Conventions
-----------
A *step* is 1/`STEPS_PER_BEAT` of a beat (a quarter note), so that sixteenths and triplets both lie on the grid.
Time is the distance in steps from the onset before (0 inside a chord); the first event counts from the start
of its bar. Position is the onset's distance in steps from the start of its bar. Notes that begin together
are ordered by pitch, upwards. The class tables are the same for every style, so that bits per note can be
compared between styles and one network can serve as the start of another; they travel inside the model file.

What is lost: onsets move to the nearest step, long gaps and durations to the nearest class (the error of a gap
is given back at the next onset, it never adds up), velocities to the middle of one of eight bands.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from farm.errors import IntegrityError

STEPS_PER_BEAT = 12
N_PITCHES = 128
N_POSITIONS = 96  # the longest bar told apart is eight beats
VELOCITY_BAND = 16
MAX_STEPS = 100_000  # no bar or gap of a model file may be longer

_LONG_TIMES = (54, 60, 66, 72, 84, 96, 120, 144, 168, 192, 240, 288, 384)
_LONG_DURATIONS = (
    *(14, 15, 16, 18, 20, 21, 24, 27, 30, 32, 33, 36, 40, 42, 45, 48, 54, 60, 64, 66, 72, 78, 84, 90, 96),
    *(108, 120, 132, 144, 168, 192, 240, 288, 384),
)
TIME_STEPS = (*range(49), *_LONG_TIMES)
DURATION_STEPS = (*range(1, 13), *_LONG_DURATIONS)
METRES = ("4/4", "3/4", "2/4", "6/8", "2/2", "3/8", "9/8", "12/8", "3/2", "6/4", "4/2", "other")

TIME, PITCH, DURATION, VELOCITY, POSITION, METRE = range(6)
"""Columns of an event array, dtype int16, shape (n_events, 6)."""

PREDICTED = ("time", "pitch", "duration", "velocity")
"""What the network predicts, in order; each is conditioned on those before."""

NOTE = np.dtype(
    [
        ("onset_beat", "f8"),
        ("duration_beat", "f8"),
        ("pitch", "i2"),
        ("velocity", "i2"),
        ("beat_in_bar", "f8"),
    ]
)
"""A note array: one row per note of one piece, ordered by onset and pitch."""

Notes = np.ndarray | Mapping[str, np.ndarray]
"""Notes by the names of their columns: a structured array such as a note array, or an array for each column."""


@dataclass(frozen=True)
class Encoding:
    """The vocabulary and time base of one model. START stands one past the last class of each input field."""

    steps_per_beat: int = STEPS_PER_BEAT
    time_steps: tuple[int, ...] = TIME_STEPS
    duration_steps: tuple[int, ...] = DURATION_STEPS
    metres: tuple[str, ...] = METRES
    has_velocity: bool = False
    n_pitches: int = N_PITCHES
    n_positions: int = N_POSITIONS
    n_velocities: int = field(default=N_PITCHES // VELOCITY_BAND)

    @property
    def stop(self) -> int:
        """The time class that ends a piece."""
        return len(self.time_steps)

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that this model predicts: velocity only where the corpus has any."""
        return PREDICTED if self.has_velocity else PREDICTED[:3]

    @property
    def n_classes(self) -> dict[str, int]:
        """Number of classes each head chooses from, by field."""
        sizes = (len(self.time_steps) + 1, self.n_pitches, len(self.duration_steps), self.n_velocities)
        return dict(zip(PREDICTED, sizes, strict=True))

    @property
    def start_row(self) -> np.ndarray:
        """The event before the first, without its metre: shape (6,), int16."""
        sizes = self.n_classes
        return np.array([*(sizes[name] for name in PREDICTED), 0, 0], np.int16)

    def bar_steps(self, metre: int) -> int:
        """Return the length of a bar in steps; four beats for metres without a class."""
        name = self.metres[metre]
        if name == "other":
            return 4 * self.steps_per_beat
        beats, unit = (int(part) for part in name.split("/"))
        return beats * 4 * self.steps_per_beat // unit

    def metre_class(self, time_signature: str | None) -> int:
        """Return the class of a time signature such as '3/4'; anything unknown is 'other'."""
        return self.metres.index(time_signature if time_signature in self.metres else "other")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Encoding":
        """Return the encoding a model file holds; raises IntegrityError when a value is not of this format."""
        try:
            known: Any = {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
            encoding = cls(**known)
            ascending = all(
                all(isinstance(step, int) for step in steps) and list(steps) == sorted(set(steps))
                for steps in (encoding.time_steps, encoding.duration_steps)
            )
            sizes = (encoding.steps_per_beat, encoding.n_pitches, encoding.n_positions, encoding.n_velocities)
            if not ascending or not all(isinstance(size, int) and 0 < size <= 4096 for size in sizes):
                raise ValueError("sizes or steps out of range")
            if max(encoding.n_pitches, encoding.n_velocities) > N_PITCHES or type(encoding.has_velocity) is not bool:
                raise ValueError("pitches or velocities out of range")
            if encoding.time_steps[0] != 0 or encoding.duration_steps[0] < 1 or encoding.time_steps[-1] > MAX_STEPS:
                raise ValueError("times or durations out of range")
            bars = [encoding.bar_steps(metre) for metre in range(len(encoding.metres))]
            if not bars or not all(0 < steps <= MAX_STEPS for steps in bars):
                raise ValueError("metres out of range")
        except (TypeError, ValueError, IndexError, AttributeError, ZeroDivisionError) as error:
            raise IntegrityError(f"encoding: not one this version knows ({error}); use a newer farm") from error
        return encoding


def encode(notes: np.ndarray, encoding: Encoding, time_signature: str | None) -> np.ndarray:
    """Return the events of one piece, between a START and a STOP row.

    Parameters
    ----------
    notes
        Note array (dtype NOTE), any order.
    time_signature
        The piece's metre, such as '3/4'.

    Returns
    -------
    int16 array of shape (n_notes + 2, 6). No notes give START and STOP only.
    """
    metre = encoding.metre_class(time_signature)
    events = np.zeros((len(notes) + 2, 6), np.int16)
    events[0] = encoding.start_row
    events[-1, TIME] = encoding.stop
    events[:, METRE] = metre
    if len(notes) == 0:
        return events

    per_beat = encoding.steps_per_beat
    onset = np.rint(notes["onset_beat"] * per_beat).astype(np.int64)
    bar_start = np.rint((notes["onset_beat"] - notes["beat_in_bar"]) * per_beat).astype(np.int64)
    order = np.lexsort((notes["duration_beat"], notes["pitch"], onset))
    notes, onset, bar_start = notes[order], onset[order], bar_start[order]

    body = events[1:-1]
    body[:, TIME] = _time_classes(onset - min(bar_start[0], onset[0]), encoding)
    body[:, PITCH] = notes["pitch"]
    body[:, DURATION] = _nearest(np.asarray(encoding.duration_steps), notes["duration_beat"] * per_beat)
    if encoding.has_velocity:
        body[:, VELOCITY] = notes["velocity"] * encoding.n_velocities // N_PITCHES
    body[:, POSITION] = np.clip(onset - bar_start, 0, encoding.n_positions - 1)
    return events


def decode(events: np.ndarray, encoding: Encoding) -> np.ndarray:
    """Return the note array of an event array; START, STOP and everything after STOP are left out.

    Without velocities in the encoding every note has velocity 80. Positions count from the metre's bars.
    """
    times = events[:, TIME].astype(np.int64)
    stops = np.flatnonzero(times == encoding.stop)
    body = events[: stops[0]] if len(stops) else events
    body = body[body[:, TIME] < encoding.stop]
    notes = np.zeros(len(body), NOTE)
    if len(body) == 0:
        return notes
    onset = np.cumsum(np.asarray(encoding.time_steps)[body[:, TIME]])
    notes["onset_beat"] = onset / encoding.steps_per_beat
    notes["duration_beat"] = np.asarray(encoding.duration_steps)[body[:, DURATION]] / encoding.steps_per_beat
    notes["pitch"] = body[:, PITCH]
    band = N_PITCHES // encoding.n_velocities
    notes["velocity"] = body[:, VELOCITY] * band + band // 2 if encoding.has_velocity else 80
    notes["beat_in_bar"] = (onset % encoding.bar_steps(int(body[0, METRE]))) / encoding.steps_per_beat
    return notes


def transpose(events: np.ndarray, semitones: int, encoding: Encoding) -> np.ndarray:
    """Return a copy moved by `semitones`, or unmoved where a note would leave the pitch range."""
    sounding = events[:, TIME] < encoding.stop
    moved = events.copy()
    moved[sounding, PITCH] += np.int16(semitones)
    inside = (moved[sounding, PITCH] >= 0).all() and (moved[sounding, PITCH] < encoding.n_pitches).all()
    return moved if inside else events.copy()


def _nearest(classes: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Return the index of the class nearest to each value; the shorter one when two are as near."""
    right = np.clip(np.searchsorted(classes, steps), 1, len(classes) - 1)
    left = right - 1
    return np.where(steps - classes[left] <= classes[right] - steps, left, right)


def _time_classes(onset: np.ndarray, encoding: Encoding) -> np.ndarray:
    """Return the class of each gap; where a gap has no exact class the rest is carried to the next onset."""
    steps = np.asarray(encoding.time_steps)
    gaps = np.diff(onset, prepend=0)
    classes = _nearest(steps, gaps)
    if (steps[classes] == gaps).all():
        return classes
    reached = 0
    for index, target in enumerate(onset):
        classes[index] = _nearest(steps, np.array([max(target - reached, 0)]))[0]
        reached += steps[classes[index]]
    return classes
