"""From event arrays to the windows that a network is trained and judged on.

Conventions
-----------
A window is a stretch of one piece, never of two. Its rows but the last are read, its rows but the first may be
predicted. An epoch predicts every row of the training parts once, START excepted; STOP is predicted as a time.
All batches of one plan have one shape: short windows and a short last batch are filled up with weight 0.
Events are told events (`farm.music.features`), in memory or mapped from a file: what still sounds when a window begins
is known, though the window does not reach back to where it began.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from farm.music.encoding import BEATS, COLUMN, PITCH, POSITION, Encoding
from farm.music.features import N_TOLD, Features

BLOCK_SHARE = 0.15  # of a piece that is held out when no whole piece is


@dataclass(frozen=True)
class Part:
    """A piece, and which of its rows are to be predicted: from `first` up to but not including `end`.

    Rows before `first` are context; rows from `end` on are never looked at.

    Attributes
    ----------
    told
        The piece's told events, int16, shape (n_events, N_TOLD).
    lowest, highest
        Its lowest and highest pitch.
    """

    told: np.ndarray
    first: int
    end: int
    lowest: int
    highest: int

    @property
    def n_notes(self) -> int:
        """Number of notes among the rows to predict; STOP is none."""
        return self.end - self.first - int(self.end == len(self.told))


class Window(NamedTuple):
    """Rows `start` up to `end` of a part, moved by `semitones`; those from `first` on are predicted."""

    part: int
    start: int
    first: int
    end: int
    semitones: int = 0


class Batch(NamedTuple):
    """What one step of training takes.

    Attributes
    ----------
    columns
        See `farm.music.features`; uint8, shape (n_windows, length + 1, n_columns).
    targets
        Classes of the fields of the rows after the first, in the encoding's order; int32, shape
        (n_windows, length, n_fields).
    weights
        1 where that field is predicted, 0 elsewhere (context, filling, the fields of STOP that do not exist);
        float32, same shape as `targets`.
    """

    columns: np.ndarray
    targets: np.ndarray
    weights: np.ndarray


def whole(pieces: Sequence[np.ndarray]) -> list[Part]:
    """Return every piece that has a note as a part that is predicted from its first note to STOP."""
    return [
        Part(told, 1, len(told), int(told[1:-1, PITCH].min()), int(told[1:-1, PITCH].max()))
        for told in pieces
        if len(told) > 2
    ]


def blocks(pieces: Sequence[np.ndarray]) -> tuple[list[Part], list[Part]]:
    """Return the beginnings of the pieces to train on, and their last bars, about 15 % of the notes, as held out.

    For corpora too small to hold out a whole piece. The held-out bars know their own beginnings, so they judge
    more mildly than another piece would. Pieces of fewer than 20 notes are trained on whole.
    """
    training, heldout = [], []
    for part in whole(pieces):
        cut = _bar_near(part.told, round(part.end * (1 - BLOCK_SHARE)))
        if part.n_notes < 20:
            training.append(part)
            continue
        training.append(replace(part, end=cut))
        heldout.append(replace(part, first=cut))
    return training, heldout


def training_windows(
    parts: Sequence[Part], encoding: Encoding, length: int, *, down: int, up: int, seed: int, epoch: int
) -> list[Window]:
    """Return the windows of one epoch in random order; equal for equal arguments.

    A part of n rows to predict becomes the fewest windows of `length` that cover it. What they overlap by is
    placed at random, so that windows begin elsewhere in every epoch; an overlap is predicted in the earlier
    window and is context in the later one. Each part is moved by a random number of semitones between -`down`
    and +`up`, as far as it stays within the pitch range.
    """
    chance = np.random.default_rng([seed, epoch])
    windows = []
    for index, part in enumerate(parts):
        room = encoding.n_pitches - 1 - part.highest
        semitones = int(chance.integers(-min(down, part.lowest), min(up, room) + 1))
        n = part.end - part.first
        count = -(-n // length)
        spare = np.sort(chance.integers(0, count * length - n + 1, count - 1))
        overlaps = np.diff(spare, prepend=0)  # what is left of the spare room fills the last window
        first = part.first
        for overlap in (0, *overlaps.tolist()):
            start = first - 1 - overlap
            end = min(start + 1 + length, part.end)
            windows.append(Window(index, start, first, end, semitones))
            first = end
    return [windows[index] for index in chance.permutation(len(windows))]


def heldout_windows(parts: Sequence[Part], length: int) -> list[Window]:
    """Return windows of at most `length` that predict every row once, each after a quarter of `length` of context."""
    windows = []
    for index, part in enumerate(parts):
        first = part.first
        while first < part.end:
            start = max(first - 1 - length // 4, 0)
            end = min(start + 1 + length, part.end)
            windows.append(Window(index, start, first, end))
            first = end
    return windows


def batch(
    parts: Sequence[Part], windows: Sequence[Window], encoding: Encoding, features: Features, *, size: int, length: int
) -> Batch:
    """Return at most `size` windows of at most `length` as one batch of exactly that shape."""
    fields = [COLUMN[name] for name in encoding.fields]
    told = np.zeros((size, length + 1, N_TOLD), np.int16)
    weights = np.zeros((size, length, len(fields)), np.float32)
    moved, filled = np.zeros((size, 1), np.int64), np.zeros((size, length + 1), bool)
    for place, window in enumerate(windows):
        n = window.end - window.start
        told[place, :n] = parts[window.part].told[window.start : window.end]
        filled[place, :n], moved[place] = True, window.semitones
        weights[place, window.first - window.start - 1 : n - 1] = 1
    columns = features.columns(told.reshape(-1, N_TOLD), np.broadcast_to(moved, filled.shape).reshape(-1))
    columns = columns.reshape(size, length + 1, -1)
    columns[~filled] = 0
    targets = told[:, 1:, fields].astype(np.int32)
    stops = targets[..., 0] == encoding.stop
    targets[..., fields.index(PITCH)] += np.where(stops | ~filled[:, 1:], 0, moved)
    weights[..., 1:] *= ~stops[..., None]
    return Batch(columns, targets, weights)


def _bar_near(told: np.ndarray, row: int) -> int:
    """Return the first row of the bar that begins nearest to `row`; `row` itself when none begins in the last half."""
    begins = np.flatnonzero(told[1:, POSITION] < told[:-1, POSITION]) + 1
    begins = begins[(begins > len(told) // 2) & (begins < len(told) - 1)]
    return int(begins[np.abs(begins - row).argmin()]) if len(begins) else row


def class_shares(parts: Sequence[Part], encoding: Encoding, *, down: int, up: int) -> dict[str, np.ndarray]:
    """Return how often each class of each field is to be predicted, as shares; no class has none.

    Pitches count in every transposition from -`down` to +`up`. Half an event is added to every class.
    """
    shares = {}
    for field in encoding.fields:
        n_classes, counts = encoding.n_classes[field], np.zeros(encoding.n_classes[field])
        for part in parts:
            rows = part.told[part.first : part.end]
            rows = rows if field == "beats" else rows[rows[:, BEATS] < encoding.stop]
            counts += np.bincount(rows[:, COLUMN[field]], minlength=n_classes)
        if field == "pitch":
            moved = np.convolve(counts, np.ones(down + up + 1))  # its first place is `down` below the lowest pitch
            counts = moved[down : down + n_classes]
        counts = counts + 0.5
        shares[field] = counts / counts.sum()
    return shares
