"""The reading of a batch of files, into a cache that is named after their bytes.

Conventions
-----------
The cached notes have the columns of `tables.NOTES` but for the style, the cached rows one line per tune or failed
file. The rows are written last: where they are, the notes are.
"""

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import feather

from farm import layout
from farm.corpus.batching import Batch
from farm.corpus.describing import Described, describe
from farm.corpus.reading import Reading
from farm.corpus.sandbox import Sandbox, worker_sandbox
from farm.corpus.sources import InputFile, read_files
from farm.corpus.tables import NOTES, PIECES
from farm.errors import ReadError
from farm.music.split import content_hashes
from farm.storage import Storage

BLOCK_NOTES = 80_000
_PASSING = ("changed", "unreadable", "timeout", "crash", "memory")

BATCH_NOTES = pa.schema([column for column in NOTES if column.name != "style"])
_READ = ("format", "notes_in_file", "time_signature")
_DESCRIBED = (
    *("notes", "tracks", "duration_beats", "duration_seconds", "silence_seconds", "tempo_bpm", "key", "time_base"),
    *("grid_share", "pitch_low", "pitch_high"),
)
BATCH_PIECES = pa.schema(
    [
        PIECES.field("file_sha256"),
        ("tune", pa.string()),
        PIECES.field("piece_id"),
        ("failure", pa.string()),
        ("repaired", pa.string()),
        ("content", pa.string()),
        ("pitched_notes", pa.int64()),
        PIECES.field("notes_dropped"),
        *(PIECES.field(name) for name in (*_READ, *_DESCRIBED)),
    ]
)


def read_batch(batch: Batch, storage: Storage, sandbox: Sandbox | None = None) -> dict[str, int]:
    """Read a batch into the cache, unless it is there, and return plain counts.

    A file that cannot be read becomes a row with its failure. A failure that may be gone the next time (the file was
    locked, or changed after it was listed) does not make the cache good: the batch is then read again.

    Returns
    -------
    `files`, `tunes`, `failed`, `notes`, and `cached`: 1 when nothing had to be read.
    """
    if is_read(batch, storage):
        return _counts(batch, read_rows(batch.key, storage)) | {"cached": 1}
    tunes = sorted(
        _read(batch, sandbox or worker_sandbox()), key=lambda tune: (tune[0].sha256, _tune_order(tune[1].tune))
    )
    blocks = list(_blocks(tunes))
    described = [describe([reading for _, reading in block], batch.filters) for block in blocks]
    rows = pa.concat_tables([BATCH_PIECES.empty_table(), *map(_pieces_table, blocks, described)])
    notes = _notes_table(rows["piece_id"], described)
    storage.write_bytes(layout.reading_notes(batch.key), _to_arrow(notes))
    storage.write_bytes(layout.reading_pieces(batch.key), _to_arrow(rows))
    return _counts(batch, rows) | {"cached": 0}


def is_read(batch: Batch, storage: Storage) -> bool:
    """Tell whether the cache holds a batch for good: nothing failed in it that may go well the next time."""
    if not (storage.exists(layout.reading_pieces(batch.key)) and storage.exists(layout.reading_notes(batch.key))):
        return False
    failures = read_rows(batch.key, storage)["failure"].drop_null().to_pylist()
    return not any(failure.startswith(_PASSING) for failure in failures)


def read_rows(key: str, storage: Storage) -> pa.Table:
    """Return the cached rows of a batch, columns as in `BATCH_PIECES`."""
    return feather.read_table(pa.BufferReader(storage.read_bytes(layout.reading_pieces(key))))


def read_notes(key: str, storage: Storage) -> pa.Table:
    """Return the cached notes of a batch, columns as in `BATCH_NOTES`, the piece_id as a dictionary."""
    return feather.read_table(pa.BufferReader(storage.read_bytes(layout.reading_notes(key))), use_threads=False)


def piece_id(file_sha256: str, tune: str) -> str:
    """Return the name of a piece: 16 hex characters that depend on its file's bytes and its label only."""
    return hashlib.sha256(f"{file_sha256}#{tune}".encode()).hexdigest()[:16]


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


def _blocks(tunes: Sequence[tuple[InputFile, Reading]]) -> Iterator[Sequence[tuple[InputFile, Reading]]]:
    """Yield the tunes in turns of so many notes that what is worked out about them stays in the processor's cache."""
    start, notes = 0, 0
    for end, (_, reading) in enumerate(tunes, 1):
        notes += len(reading.sounds.pitch)
        if notes >= BLOCK_NOTES or end == len(tunes):
            yield tunes[start:end]
            start, notes = end, 0


def _tune_order(label: str) -> tuple[int, str]:
    return (int(label), "") if label.isdecimal() else (-1, label)


def _pieces_table(tunes: Sequence[tuple[InputFile, Reading]], described: Described) -> pa.Table:
    facts, readings = described.facts, [reading for _, reading in tunes]
    contents = content_hashes(*described.pitched())
    failures = facts["failure"]
    columns = {
        "file_sha256": [file.sha256 for file, _ in tunes],
        "tune": [reading.tune for reading in readings],
        "piece_id": [piece_id(file.sha256, reading.tune) for file, reading in tunes],
        "failure": failures,
        "repaired": [reading.repaired or None for reading in readings],
        "content": [None if failure else content for failure, content in zip(failures, contents, strict=True)],
        "notes_dropped": [
            [{"reason": reason, "count": count} for reason, count in drops.items()] for drops in facts["notes_dropped"]
        ],
        "format": [reading.format or None for reading in readings],
        "notes_in_file": [reading.notes_in_file for reading in readings],
        "time_signature": [reading.time_signature for reading in readings],
        "pitched_notes": facts["pitched_notes"],
        **{name: facts[name] for name in _DESCRIBED},
    }
    return pa.table(columns, schema=BATCH_PIECES)


def _notes_table(piece_ids: pa.ChunkedArray, blocks: Sequence[Described]) -> pa.Table:
    names, first = piece_ids.combine_chunks(), 0
    tables = []
    for described in blocks:
        sizes = np.diff(described.bounds)
        index = pa.array(np.repeat(np.arange(first, first + len(sizes), dtype=np.int32), sizes))
        first += len(sizes)
        columns = (pa.array(described.notes[name], BATCH_NOTES.field(name).type) for name in BATCH_NOTES.names[1:])
        ids = pa.DictionaryArray.from_arrays(index, names)
        tables.append(pa.Table.from_arrays([ids, *columns], names=BATCH_NOTES.names))
    return pa.concat_tables(tables)


def _to_arrow(table: pa.Table) -> bytes:
    """Return a table as an Arrow file: written and read several times faster than Parquet, for files that may go."""
    sink = pa.BufferOutputStream()
    # One thread: a reading task has one processor, and hands over to a pool cost more than they bring.
    with pa.ipc.new_file(
        sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
    ) as file:
        file.write_table(table)
    return sink.getvalue().to_pybytes()


def _counts(batch: Batch, rows: pa.Table) -> dict[str, int]:
    failed = len(rows) - rows["failure"].null_count
    notes = pc.sum(rows["notes"]).as_py() or 0
    return {"files": len(batch.files), "tunes": len(rows) - failed, "failed": failed, "notes": notes}
