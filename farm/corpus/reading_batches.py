"""Batches: input files read together in one task, cached by what their bytes are.

A batch's key says which bytes it holds and which reader reads them, never where they lie or when they were written.
Files are spread over batches by the first bits of their hash; a batch that grows too dear is cut in two by the next
bit. So a file that comes, goes or changes concerns its own batch only.

Conventions
-----------
The cached notes have the columns of `tables.NOTES` but for the style, the cached rows one line per tune or failed
file. The rows are written last: where they are, the notes are.
"""

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from farm import layout
from farm.corpus.reading import ROW, Reading
from farm.corpus.sandbox import Sandbox, worker_sandbox
from farm.corpus.sources import InputFile, read_files
from farm.corpus.tables import NOTES, PIECES, to_bytes
from farm.errors import ReadError
from farm.music.encoding import NOTE
from farm.music.split import content_hash
from farm.storage import Storage

READER_VERSION = 1
"""To be raised with every change to what a reader returns: it makes every cached reading stale."""

BATCH_SECONDS = 1.0
"""What one batch should cost to read, about; cuts leave between half of it and all of it."""

_SECONDS_PER_FILE = 0.001
_SECONDS_PER_KIB = {
    ".mxl": 6e-3,
    ".krn": 17e-3,
    ".kern": 17e-3,
    ".abc": 6e-3,
    ".musicxml": 4e-4,
    ".xml": 4e-4,
    ".mei": 5e-4,
}
_MIDI_SECONDS_PER_KIB = 2e-4
_PASSING = ("changed", "unreadable")

BATCH_NOTES = pa.schema([column for column in NOTES if column.name != "style"])
_AS_IN_PIECES = (
    *("format", "notes_in_file", "notes", "notes_dropped", "tracks", "duration_beats", "duration_seconds"),
    *("tempo_bpm", "key", "time_signature"),
)
BATCH_PIECES = pa.schema(
    [
        PIECES.field("file_sha256"),
        ("tune", pa.string()),
        PIECES.field("piece_id"),
        ("failure", pa.string()),
        ("content", pa.string()),
        ("pitched_notes", pa.int64()),
        *(PIECES.field(name) for name in _AS_IN_PIECES),
    ]
)


@dataclass(frozen=True)
class Batch:
    """Files of different bytes that are read in one task, ordered by hash."""

    key: str
    files: tuple[InputFile, ...]


def make_batches(files: Iterable[InputFile]) -> list[Batch]:
    """Return the batches that read these files, in the order of their hashes; files not to be read are left out.

    Of files with the same bytes one is read. No files give no batches.
    """
    distinct: dict[str, InputFile] = {}
    for file in files:
        if file.is_wanted:
            distinct.setdefault(file.sha256, file)
    ordered = [distinct[digest] for digest in sorted(distinct)]
    return [Batch(_key(group), tuple(group)) for group in _cut(ordered, 0)]


def read_batch(batch: Batch, storage: Storage, sandbox: Sandbox | None = None) -> dict[str, int]:
    """Read a batch into the cache, unless it is there, and return plain counts.

    A file that cannot be read becomes a row with its failure. A failure that may be gone the next time (the file was
    locked, or changed after it was listed) does not make the cache good: the batch is then read again.

    Returns
    -------
    `files`, `tunes`, `failed`, `notes`, and `cached`: 1 when nothing had to be read.
    """
    if storage.exists(layout.reading_pieces(batch.key)) and storage.exists(layout.reading_notes(batch.key)):
        rows = read_rows(batch.key, storage)
        if not any(str(row["failure"]).startswith(_PASSING) for row in rows):
            return _counts(batch, rows) | {"cached": 1}
    tunes = sorted(
        _read(batch, sandbox or worker_sandbox()), key=lambda tune: (tune[0].sha256, _tune_order(tune[1].tune))
    )
    rows = [_row(file, reading) for file, reading in tunes]
    notes = _notes_table([(row["piece_id"], reading.notes) for row, (_, reading) in zip(rows, tunes, strict=True)])
    storage.write_bytes(layout.reading_notes(batch.key), to_bytes(notes))
    storage.write_bytes(layout.reading_pieces(batch.key), to_bytes(pa.Table.from_pylist(rows, BATCH_PIECES)))
    return _counts(batch, rows) | {"cached": 0}


def read_rows(key: str, storage: Storage) -> list[dict[str, Any]]:
    """Return the cached rows of a batch, columns as in `BATCH_PIECES`."""
    return pq.read_table(pa.BufferReader(storage.read_bytes(layout.reading_pieces(key)))).to_pylist()


def read_notes(key: str, storage: Storage) -> pa.Table:
    """Return the cached notes of a batch, columns as in `BATCH_NOTES`."""
    return pq.read_table(pa.BufferReader(storage.read_bytes(layout.reading_notes(key))))


def piece_id(file_sha256: str, tune: str) -> str:
    """Return the name of a piece: 16 hex characters that depend on its file's bytes and its label only."""
    return hashlib.sha256(f"{file_sha256}#{tune}".encode()).hexdigest()[:16]


def note_array(rows: np.ndarray) -> np.ndarray:
    """Return the pitched notes of rows (dtype `reading.ROW`) as a note array (dtype `encoding.NOTE`)."""
    pitched = rows[~rows["is_drum"]]
    notes = np.zeros(len(pitched), NOTE)
    for name in NOTE.names or ():
        notes[name] = pitched[name]
    return notes


def _cut(files: Sequence[InputFile], bit: int) -> Iterator[Sequence[InputFile]]:
    """Yield the files in groups that share the first bits of their hashes and are not too dear to read."""
    if len(files) <= 1 or sum(map(_seconds, files)) <= BATCH_SECONDS or bit == 256:
        if files:
            yield files
        return
    sides: tuple[list[InputFile], list[InputFile]] = ([], [])
    for file in files:
        sides[int(file.sha256, 16) >> (255 - bit) & 1].append(file)
    for side in sides:
        yield from _cut(side, bit + 1)


def _seconds(file: InputFile) -> float:
    """Return about how long a file takes to read, by its ending; only the size of batches depends on it."""
    rate = _SECONDS_PER_KIB.get(PurePosixPath(file.path).suffix.lower(), _MIDI_SECONDS_PER_KIB)
    return _SECONDS_PER_FILE + rate * file.bytes / 1024


def _key(files: Sequence[InputFile]) -> str:
    parts = [f"reader {READER_VERSION}", *(file.sha256 for file in files)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]


def _read(batch: Batch, sandbox: Sandbox) -> Iterator[tuple[InputFile, Reading]]:
    """Yield every tune of every file; a file that failed yields one reading with its failure."""
    failed: list[tuple[InputFile, ReadError]] = []
    sent: deque[InputFile] = deque()

    def readable() -> Iterator[tuple[str, bytes]]:
        for file, data in read_files(batch.files):
            if isinstance(data, ReadError):
                failed.append((file, data))
            else:
                sent.append(file)
                yield file.path, data

    for outcome in sandbox.read(readable()):
        file = sent.popleft()
        if outcome.error is not None:
            failed.append((file, outcome.error))
        for reading in outcome.readings:
            yield file, reading
    for file, error in failed:
        yield file, Reading("", "", failure=str(error))


def _tune_order(label: str) -> tuple[int, str]:
    return (int(label), "") if label.isdecimal() else (-1, label)


def _row(file: InputFile, reading: Reading) -> dict[str, Any]:
    notes = note_array(reading.notes)
    return {
        "file_sha256": file.sha256,
        "tune": reading.tune,
        "piece_id": piece_id(file.sha256, reading.tune),
        "failure": reading.failure,
        "content": None if reading.failure else content_hash(notes),
        "format": reading.format or None,
        "notes_in_file": reading.notes_in_file,
        "notes": len(reading.notes),
        "pitched_notes": len(notes),
        "notes_dropped": [{"reason": reason, "count": count} for reason, count in reading.drops.items()],
        "tracks": reading.tracks,
        "duration_beats": reading.duration_beats,
        "duration_seconds": reading.duration_seconds,
        "tempo_bpm": reading.tempo_bpm,
        "key": reading.key,
        "time_signature": reading.time_signature,
    }


def _notes_table(pieces: Sequence[tuple[str, np.ndarray]]) -> pa.Table:
    rows = np.concatenate([np.zeros(0, ROW), *(notes for _, notes in pieces)])
    index = np.repeat(np.arange(len(pieces)), [len(notes) for _, notes in pieces]).astype(np.int32)
    names = pa.array([name for name, _ in pieces], pa.string())
    ids = pa.DictionaryArray.from_arrays(pa.array(index), names).cast(pa.string())
    columns = [ids if name == "piece_id" else pa.array(np.ascontiguousarray(rows[name])) for name in BATCH_NOTES.names]
    return pa.Table.from_arrays(columns, schema=BATCH_NOTES)


def _counts(batch: Batch, rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    failed = sum(row["failure"] is not None for row in rows)
    notes = sum(row["notes"] for row in rows)
    return {"files": len(batch.files), "tunes": len(rows) - failed, "failed": failed, "notes": notes}
