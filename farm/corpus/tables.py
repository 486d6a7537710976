"""The Parquet schemas, written once.

Conventions
-----------
A *beat* is a quarter note, whatever the time signature. Beats and seconds count from the start of the piece,
which is the start of its first bar: a piece with an upbeat has its first note after 0. `bar` counts from 0.
Pitches are MIDI note numbers (60 is middle C), velocities 1–127; a score without dynamics has velocity 64.
"""

import io
from collections.abc import Collection, Iterator, Mapping
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from farm import layout
from farm.errors import StorageError
from farm.music.encoding import NOMINAL_BPM, NOTE
from farm.storage import Storage

STATES = ("read", "duplicate", "rejected", "skipped")

DROPS = pa.list_(pa.struct([("reason", pa.string()), ("count", pa.int64())]))

NOTES = pa.schema(
    [
        ("style", pa.string()),
        ("piece_id", pa.string()),
        ("track", pa.int16()),
        ("program", pa.int16()),
        ("is_drum", pa.bool_()),
        ("onset_beat", pa.float64()),
        ("duration_beat", pa.float64()),
        ("onset_second", pa.float64()),
        ("duration_second", pa.float64()),
        ("pitch", pa.int16()),
        ("velocity", pa.int16()),
        ("bar", pa.int32()),
        ("beat_in_bar", pa.float64()),
    ]
)
"""One row per note, ordered by piece, onset, pitch."""

PIECES = pa.schema(
    [
        ("style", pa.string()),
        ("source", pa.string()),  # the source as corpora.yaml names it: 'music21: bach', 'folder: music/bach'
        ("path", pa.string()),  # relative to the source; '#7' at the end is the seventh tune of a file of many
        ("piece_id", pa.string()),
        ("file_sha256", pa.string()),
        ("state", pa.string()),
        ("reason", pa.string()),  # null when read, unless the file had to be repaired
        ("duplicate_of", pa.string()),  # piece_id of the piece that stands for this one
        ("family", pa.string()),  # pieces of one family are never split between training and held-out
        ("format", pa.string()),  # midi, musicxml, kern, abc, ...
        ("bytes", pa.int64()),
        ("notes_in_file", pa.int64()),
        ("notes", pa.int64()),
        ("notes_dropped", DROPS),
        ("tracks", pa.int32()),
        ("duration_beats", pa.float64()),
        ("duration_seconds", pa.float64()),
        ("tempo_bpm", pa.float64()),
        ("key", pa.string()),
        ("time_signature", pa.string()),
        ("time_base", pa.string()),  # beats where the notes lie on a grid of beats, seconds where they were played
        ("grid_share", pa.float64()),  # what that was decided by; see farm.corpus.timebase
        ("pitch_low", pa.int16()),
        ("pitch_high", pa.int16()),
        ("silence_seconds", pa.float64()),  # longest stretch with nothing sounding
        ("licence", pa.string()),
        ("split", pa.string()),  # train, heldout or null
    ]
)
"""One row per input file, or per tune of a file that holds several."""

HEARD = pa.schema(
    [
        ("style", pa.string()),
        ("source", pa.string()),
        ("piece_id", pa.string()),
        ("content", pa.string()),  # equal for pieces with the same notes in any key
        ("family", pa.int32()),  # over all styles together
        ("notes", pa.int64()),
        ("licence", pa.string()),
        ("attribution", pa.string()),
        ("url", pa.string()),
        ("is_cut", pa.bool_()),  # heard without its last bars, which are held out
        ("why_not", pa.string()),  # why it was not heard; null when it was
    ]
)
"""One row per piece of any style: what a base heard, and what not. As it was when the base was trained."""


def read_pieces(storage: Storage, style: str) -> pd.DataFrame:
    """Return the pieces table of a style; StorageError with the way out when it was not read yet."""
    key = layout.pieces(style)
    if not storage.exists(key):
        raise StorageError(f"{storage.address(key)} is missing; run 'farm run corpora.yaml --until read' first")
    return pq.read_table(pa.BufferReader(storage.read_bytes(key))).to_pandas()


def read_heard(storage: Storage, run: str) -> pd.DataFrame:
    """Return the table of what a base heard; StorageError with the way out when it is gone."""
    key = layout.heard(run)
    if not storage.exists(key):
        raise StorageError(f"{storage.address(key)} is missing; run 'farm run corpora.yaml' again")
    return pq.read_table(pa.BufferReader(storage.read_bytes(key))).to_pandas()


def read_notes(storage: Storage, style: str) -> dict[str, np.ndarray]:
    """Return the note array (dtype `encoding.NOTE`) of every piece of a style, by piece_id, drums left out.

    Order of the pieces is that of the parts; order of the notes is onset, pitch.
    """
    pieces: dict[str, np.ndarray] = {}
    for part in note_parts(storage, style):
        pieces |= part
    return pieces


def note_parts(storage: Storage, style: str, performed: Collection[str] = ()) -> Iterator[dict[str, np.ndarray]]:
    """Yield the note arrays of a style part by part, so that a large corpus never lies in memory as a whole.

    Parameters
    ----------
    performed
        Pieces told by the clock, see `note_array`.
    """
    columns = ["piece_id", "is_drum", *(NOTE.names or ()), "onset_second", "duration_second"]
    for key in storage.list(layout.notes_folder(style), ".parquet"):
        yield _note_arrays(pq.read_table(pa.BufferReader(storage.read_bytes(key)), columns=columns), performed)


def _note_arrays(table: pa.Table, performed: Collection[str]) -> dict[str, np.ndarray]:
    """Return the note array of every piece in a table of notes, by piece_id, drums left out.

    The rows of a piece must stand together; a piece of drums only is left out.
    """
    table = table.filter(pc.invert(table["is_drum"])).combine_chunks()
    if len(table) == 0:
        return {}
    ids = table["piece_id"].dictionary_encode().combine_chunks()
    codes = ids.indices.to_numpy()
    clock = np.isin(codes, [code for code, piece in enumerate(ids.dictionary.to_pylist()) if piece in performed])
    rows = note_array({name: table[name].to_numpy() for name in table.column_names if name != "piece_id"}, clock)
    bounds = [0, *(np.flatnonzero(np.diff(codes)) + 1), len(codes)]
    return {ids.dictionary[codes[start]].as_py(): rows[start:end] for start, end in pairwise(bounds)}


def note_array(columns: Mapping[str, np.ndarray], clock: np.ndarray) -> np.ndarray:
    """Return columns of the notes table as a note array (dtype NOTE), told by the clock where `clock` says so.

    A beat is then half a second (`NOMINAL_BPM`), a bar four of them.
    """
    rows = np.zeros(len(clock), NOTE)
    for name in NOTE.names or ():
        rows[name] = columns[name]
    for beats, seconds in (("onset_beat", "onset_second"), ("duration_beat", "duration_second")):
        rows[beats][clock] = columns[seconds][clock] * (NOMINAL_BPM / 60)
    rows["beat_in_bar"][clock] = rows["onset_beat"][clock] % 4
    return rows


def to_bytes(table: pa.Table) -> bytes:
    """Return a table as Parquet; equal tables give equal bytes.

    Strings become dictionaries, whose type in memory leaves no trace. Floats are split by byte, which packs them well;
    LZ4 is a third faster than zstd, both ways, for twice the bytes: five a note.
    """
    sink = io.BytesIO()
    names = [column.name for column in table.schema if not pa.types.is_primitive(column.type)]
    floats = [column.name for column in table.schema if pa.types.is_floating(column.type)]
    pq.write_table(
        table,
        sink,
        compression="lz4",
        use_dictionary=names,
        use_byte_stream_split=floats,
        write_statistics=False,
        store_schema=False,
    )
    return sink.getvalue()
