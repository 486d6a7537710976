"""What a style's tables hold, counted: its pieces by state, key, metre, tempo and length, its notes by pitch and value.

Conventions
-----------
Counts in classes go with edges: class 0 lies below the first edge, the last class at or above the last one.
Columns and values that a table lacks count as unknown, never as zero. A note's value is its length in quarter notes.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from farm.corpus.tables import STATES
from farm.storage import Storage

MOST_EXAMPLES = 5  # files named for each reason
N_PITCHES = 128
TEMPO_EDGES = tuple(float(bpm) for bpm in range(40, 221, 20))
SECONDS_EDGES = (30.0, 60.0, 120.0, 240.0, 480.0, 960.0)
# Half-octaves around 1/32, its dotted form and the triplet above it together, 1/16, ... a whole note.
VALUE_EDGES = tuple(2.0 ** (step / 4) for step in range(-13, 10, 2))


_ORDER = {state: rank for rank, state in enumerate(("rejected", "skipped", "duplicate"))}


@dataclass(frozen=True)
class Spread:
    """How a number is spread over pieces: how many have it in each class, and its quartiles; NaN without any."""

    counts: tuple[int, ...]
    quartiles: tuple[float, float, float]

    @property
    def total(self) -> int:
        return sum(self.counts)


@dataclass(frozen=True)
class LeftOut:
    """The files left out for one reason; `examples` are path and detail of the first `MOST_EXAMPLES`."""

    state: str
    reason: str
    files: int
    examples: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Corpus:
    """The pieces of one style, counted. `time_bases` is empty when the table does not say."""

    states: dict[str, int]
    notes: int
    seconds: float
    heldout: int
    families: int
    repaired: int
    time_bases: dict[str, int]
    keys: tuple[tuple[str, int], ...]
    metres: tuple[tuple[str, int], ...]
    tempos: Spread
    lengths: Spread
    dropped: tuple[tuple[str, int], ...]
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True)
class NoteCounts:
    """The notes of one style, drums apart: how many of each pitch, and of each class of `VALUE_EDGES`."""

    pitches: tuple[int, ...]
    values: tuple[int, ...]


def count_pieces(pieces: pd.DataFrame) -> Corpus:
    """Return the counts of a pieces table; keys, metres and drops by number, then by name."""
    read = pieces[pieces["state"] == "read"]
    states = Counter(pieces["state"].astype(str))
    return Corpus(
        states={state: states[state] for state in STATES},
        notes=int(read["notes"].fillna(0).sum()),
        seconds=float(read["duration_seconds"].fillna(0).sum()),
        heldout=int((read["split"] == "heldout").sum()),
        families=int(_column(read, "family").nunique()),
        repaired=int(_column(read, "format").astype("str").str.endswith("-repaired").sum()),
        time_bases=dict(_ranked(_column(read, "time_base"))),
        keys=_ranked(read["key"]),
        metres=_ranked(read["time_signature"]),
        tempos=_spread(_column(read, "tempo_bpm"), TEMPO_EDGES),
        lengths=_spread(read["duration_seconds"], SECONDS_EDGES),
        dropped=_dropped(_column(read, "notes_dropped")),
        left_out=_left_out(pieces),
    )


def count_notes(storage: Storage, parts: Sequence[str]) -> NoteCounts:
    """Return the counts of the notes in these files, read one after the other in steady memory.

    Notes outside the range of MIDI, and lengths that are no positive number, are left out.
    """
    pitches, values = np.zeros(N_PITCHES, np.int64), np.zeros(len(VALUE_EDGES) + 1, np.int64)
    for key in parts:
        part = pq.ParquetFile(pa.BufferReader(storage.read_bytes(key)))
        for batch in part.iter_batches(columns=["pitch", "duration_beat", "is_drum"], batch_size=1 << 18):
            pitched = ~batch["is_drum"].to_numpy(zero_copy_only=False)
            pitch = batch["pitch"].to_numpy(zero_copy_only=False)[pitched]
            length = batch["duration_beat"].to_numpy(zero_copy_only=False)[pitched]
            pitches += np.bincount(pitch[(pitch >= 0) & (pitch < N_PITCHES)].astype(np.int64), minlength=N_PITCHES)
            values += _in_classes(length[np.isfinite(length) & (length > 0)], VALUE_EDGES)
    return NoteCounts(tuple(pitches.tolist()), tuple(values.tolist()))


def _column(pieces: pd.DataFrame, name: str) -> pd.Series:
    """Return a column without its empty cells; an older table's missing column is an empty one."""
    return pieces[name].dropna() if name in pieces else pd.Series(dtype=object)


def _in_classes(numbers: np.ndarray, edges: tuple[float, ...]) -> np.ndarray:
    return np.bincount(np.searchsorted(np.array(edges), numbers, side="right"), minlength=len(edges) + 1)


def _spread(column: pd.Series, edges: tuple[float, ...]) -> Spread:
    numbers = column.dropna().to_numpy(float)
    numbers = numbers[np.isfinite(numbers) & (numbers > 0)]
    low, middle, high = np.percentile(numbers, [25, 50, 75]).tolist() if len(numbers) else [np.nan] * 3
    return Spread(tuple(_in_classes(numbers, edges).tolist()), (low, middle, high))


def _ranked(column: pd.Series) -> tuple[tuple[str, int], ...]:
    return _by_number(Counter(str(value) for value in column.dropna()))


def _by_number(counted: Counter[str]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(counted.items(), key=lambda item: (-item[1], item[0])))


def _dropped(column: pd.Series) -> tuple[tuple[str, int], ...]:
    """Return how many notes of the pieces read were dropped, by reason."""
    counted = Counter[str]()
    for drops in column:
        for drop in drops:
            counted[str(drop["reason"])] += int(drop["count"])
    return _by_number(+counted)


def _left_out(pieces: pd.DataFrame) -> tuple[LeftOut, ...]:
    """Return what was not read by state (what failed first) and reason, the most frequent reason first."""
    left = pieces[pieces["state"] != "read"]
    paths = dict(zip(pieces["piece_id"], pieces["path"], strict=True))
    files: dict[tuple[str, str], int] = Counter()
    examples: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    columns = (left[name] for name in ("state", "reason", "path", "duplicate_of"))
    for state, reason, path, twin in zip(*columns, strict=True):
        word, _, detail = ("no reason given" if pd.isna(reason) or not reason else str(reason)).partition(":")
        files[str(state), word.strip()] += 1
        named = examples[str(state), word.strip()]
        if len(named) < MOST_EXAMPLES:
            stands = "" if pd.isna(twin) or twin not in paths else f"as {paths[twin]}"
            named.append(("" if pd.isna(path) else str(path), detail.strip() or stands))
    found = (LeftOut(*name, number, tuple(examples[name])) for name, number in files.items())
    return tuple(sorted(found, key=lambda part: (_ORDER.get(part.state, len(_ORDER)), -part.files, part.reason)))
