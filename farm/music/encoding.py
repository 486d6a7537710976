"""Notes to events and back: what the network reads and predicts, one event per note.

Conventions
-----------
A *step* is 1/`STEPS_PER_BEAT` of a beat (a quarter note); sixteenths, triplets, 64ths and sextuplets all lie on whole
steps. Each style moves its onsets to a *grid* of 12, 24 or 48 to the beat (`farm.music.grid` chooses), so one table
of classes serves every style: bits per note can be compared, and one network can be the start of another.
The time of an event is its distance from the onset before, told in two fields: whole *beats*, then the *step* within
the beat; both are 0 inside a chord. The first event counts from the start of its bar. Position is the onset's distance
in steps from the start of its bar. Notes that begin together are ordered by pitch, upwards.

Music without bars (the metre 'free') has position 0 throughout. A performance is such music: it has no beat but a
clock, and its notes are told in beats of half a second (`NOMINAL_BPM`).

What is lost: onsets move to the nearest place on the grid, at most half of one of its steps, wherever they lie;
durations to the nearest class (1/24 beat apart up to one beat, 1/12 up to two, 1/4 up to four, then within 12 %, at
most 32 beats); velocities to the middle of one of eight bands; of a silence of more than `MAX_BEATS` beats the whole
beats beyond.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from farm.errors import IntegrityError

STEPS_PER_BEAT = 48
GRIDS = (12, 24, 48)
"""Places to the beat that onsets may be moved to; each divides `STEPS_PER_BEAT`."""

N_PITCHES = 128
VELOCITY_BAND = 16
MAX_BEATS = 64
NOMINAL_BPM = 120.0
LONGEST_BAR_STEPS = 8 * STEPS_PER_BEAT  # positions beyond are told as its last step
MAX_STEPS = 100_000  # no bar or duration of a model file may be longer

DURATION_STEPS = (
    *range(1, 13),
    *range(14, 49, 2),
    *range(52, 97, 4),
    *range(108, 193, 12),
    *(216, 240, 264, 288, 336, 384, 432, 480, 576, 672, 768, 960, 1152, 1344, 1536),
)
METRES = (
    *("4/4", "3/4", "2/4", "6/8", "2/2", "3/8", "9/8", "12/8", "3/2", "6/4", "4/2"),
    *("4/8", "2/8", "5/4", "5/8", "7/8", "8/4", "other", "free"),
)
FREE = "free"

BEATS, STEP, PITCH, DURATION, VELOCITY, POSITION, METRE = range(7)
"""Columns of an event array, dtype int16, shape (n_events, 7)."""

N_COLUMNS = 7

PREDICTED = ("beats", "step", "pitch", "duration", "velocity")
"""What the network predicts, in order; each is conditioned on those before."""

COLUMN = {"beats": BEATS, "step": STEP, "pitch": PITCH, "duration": DURATION, "velocity": VELOCITY}
"""The column of each predicted field."""

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

    grid: int = GRIDS[0]
    has_velocity: bool = False
    steps_per_beat: int = STEPS_PER_BEAT
    max_beats: int = MAX_BEATS
    duration_steps: tuple[int, ...] = DURATION_STEPS
    metres: tuple[str, ...] = METRES
    n_pitches: int = N_PITCHES
    n_velocities: int = N_PITCHES // VELOCITY_BAND

    @property
    def stop(self) -> int:
        """The class of `beats` that ends a piece."""
        return self.max_beats + 1

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that this model predicts: velocity only where the corpus has any."""
        return PREDICTED if self.has_velocity else PREDICTED[:-1]

    @property
    def n_classes(self) -> dict[str, int]:
        """Number of classes each head chooses from, by field."""
        sizes = (self.stop + 1, self.steps_per_beat, self.n_pitches, len(self.duration_steps), self.n_velocities)
        return dict(zip(PREDICTED, sizes, strict=True))

    @property
    def start_row(self) -> np.ndarray:
        """The event before the first, without its metre: shape (7,), int16."""
        sizes = self.n_classes
        return np.array([*(sizes[name] for name in PREDICTED), 0, 0], np.int16)

    def gaps(self, events: np.ndarray) -> np.ndarray:
        """Return the distance of each event from the one before, in steps, int64, shape (n_events,); START has 0."""
        beats = events[..., BEATS]
        steps = np.multiply(beats, self.steps_per_beat, dtype=np.int64) + events[..., STEP]
        return np.where(beats < self.stop, steps, 0)

    def bar_steps(self, metre: int) -> int:
        """Return the length of a bar in steps; four beats where the class does not say."""
        name = self.metres[metre]
        if "/" not in name:
            return 4 * self.steps_per_beat
        beats, unit = (int(part) for part in name.split("/"))
        return beats * 4 * self.steps_per_beat // unit

    def positions(self, steps: np.ndarray, metre: int) -> np.ndarray:
        """Return the positions of onsets that lie so many steps after the start of a bar; 0 in free metre."""
        if self.metres[metre] == FREE:
            return np.zeros_like(steps)
        return np.minimum(steps % self.bar_steps(metre), LONGEST_BAR_STEPS - 1)

    def metre_class(self, time_signature: str | None) -> int:
        """Return the class of a time signature such as '3/4'; without one music is free, an odd one is 'other'."""
        if time_signature is None:
            return self.metres.index(FREE)
        return self.metres.index(time_signature if time_signature in self.metres else "other")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Encoding":
        """Return the encoding a model file holds; raises IntegrityError when a value is not of this format."""
        try:
            known: Any = {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
            encoding = cls(**known)
            durations = encoding.duration_steps
            sizes = (encoding.steps_per_beat, encoding.n_pitches, encoding.max_beats, encoding.n_velocities)
            if not all(type(size) is int and 0 < size <= 4096 for size in (*sizes, encoding.grid)):
                raise ValueError("sizes out of range")
            if not all(type(step) is int for step in durations) or list(durations) != sorted(set(durations)):
                raise ValueError("durations out of order")
            if max(encoding.n_pitches, encoding.n_velocities) > N_PITCHES or type(encoding.has_velocity) is not bool:
                raise ValueError("pitches or velocities out of range")
            if any(encoding.steps_per_beat % places for places in (encoding.grid, GRIDS[0])):
                raise ValueError("steps off the grid")
            if durations[0] < 1 or durations[-1] > MAX_STEPS:
                raise ValueError("durations out of range")
            bars = [encoding.bar_steps(metre) for metre in range(len(encoding.metres))]
            if (
                not bars
                or not all(0 < steps <= MAX_STEPS for steps in bars)
                or not {"other", FREE} <= {*encoding.metres}
            ):
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
        The piece's metre, such as '3/4'; None or 'free' for music without bars.

    Returns
    -------
    int16 array of shape (n_notes + 2, 7). No notes give START and STOP only.
    """
    metre = encoding.metre_class(time_signature)
    events = np.zeros((len(notes) + 2, N_COLUMNS), np.int16)
    events[0] = encoding.start_row
    events[-1, BEATS] = encoding.stop
    events[:, METRE] = metre
    if len(notes) == 0:
        return events

    per_beat, grid_step = encoding.steps_per_beat, encoding.steps_per_beat // encoding.grid
    onset = np.rint(notes["onset_beat"] * encoding.grid).astype(np.int64) * grid_step
    bar_start = np.rint((notes["onset_beat"] - notes["beat_in_bar"]) * per_beat).astype(np.int64)
    order = np.lexsort((notes["duration_beat"], notes["pitch"], onset))
    notes, onset, bar_start = notes[order], onset[order], bar_start[order]
    starts = np.unique(bar_start)  # an onset that moved to the next bar line begins the next bar
    bar_start = np.maximum(bar_start, starts[np.maximum(np.searchsorted(starts, onset, side="right") - 1, 0)])
    free = encoding.metres[metre] == FREE

    gaps = np.diff(onset, prepend=onset[0] if free else min(bar_start[0], onset[0]))
    body = events[1:-1]
    body[:, BEATS] = np.minimum(gaps // per_beat, encoding.max_beats)
    body[:, STEP] = gaps % per_beat
    body[:, PITCH] = notes["pitch"]
    body[:, DURATION] = _nearest(np.asarray(encoding.duration_steps), notes["duration_beat"] * per_beat)
    if encoding.has_velocity:
        body[:, VELOCITY] = notes["velocity"] * encoding.n_velocities // N_PITCHES
    if not free:
        body[:, POSITION] = np.clip(onset - bar_start, 0, LONGEST_BAR_STEPS - 1)
    return events


def decode(events: np.ndarray, encoding: Encoding) -> np.ndarray:
    """Return the note array of an event array; START, STOP and everything after STOP are left out.

    Without velocities in the encoding every note has velocity 80. Positions count from the metre's bars.
    """
    stops = np.flatnonzero(events[:, BEATS] == encoding.stop)
    body = events[: stops[0]] if len(stops) else events
    body = body[body[:, BEATS] < encoding.stop]
    notes = np.zeros(len(body), NOTE)
    if len(body) == 0:
        return notes
    onset = np.cumsum(encoding.gaps(body))
    notes["onset_beat"] = onset / encoding.steps_per_beat
    notes["duration_beat"] = np.asarray(encoding.duration_steps)[body[:, DURATION]] / encoding.steps_per_beat
    notes["pitch"] = body[:, PITCH]
    band = N_PITCHES // encoding.n_velocities
    notes["velocity"] = body[:, VELOCITY] * band + band // 2 if encoding.has_velocity else 80
    notes["beat_in_bar"] = (onset % encoding.bar_steps(int(body[0, METRE]))) / encoding.steps_per_beat
    return notes


def transpose(events: np.ndarray, semitones: int, encoding: Encoding) -> np.ndarray:
    """Return a copy moved by `semitones`, or unmoved where a note would leave the pitch range."""
    sounding = events[:, BEATS] < encoding.stop
    moved = events.copy()
    moved[sounding, PITCH] += np.int16(semitones)
    inside = (moved[sounding, PITCH] >= 0).all() and (moved[sounding, PITCH] < encoding.n_pitches).all()
    return moved if inside else events.copy()


def _nearest(classes: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Return the index of the class nearest to each value; the shorter one when two are as near."""
    right = np.clip(np.searchsorted(classes, steps), 1, len(classes) - 1)
    left = right - 1
    return np.where(steps - classes[left] <= classes[right] - steps, left, right)
