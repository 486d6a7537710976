"""From readings to a style: states, families, the split, and the two tables that later rooms read.

Conventions
-----------
A piece's facts come from its file's bytes; where the file lies and how it is licensed comes from the source. Notes are
in memory one batch at a time.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from farm import layout
from farm.config import Filters
from farm.corpus.batching import READER_VERSION, Batch, make_batches
from farm.corpus.reading_batches import BATCH_PIECES, read_notes, read_rows
from farm.corpus.sources import InputFile
from farm.corpus.states import check_states, check_unchanged, judge
from farm.corpus.tables import PIECES, STATES, to_bytes
from farm.errors import StyleError
from farm.music.families import families_of
from farm.music.fingerprints import Fingerprints, fingerprints, join, thinning
from farm.music.split import split
from farm.storage import Storage

_DECIDED = ("state", "reason", "duplicate_of", "family", "split")


def clean_style(
    style: str,
    files: Sequence[InputFile],
    storage: Storage,
    *,
    filters: Filters,
    heldout_share: float,
    seed: int,
) -> dict[str, Any]:
    """Write a style's notes and pieces tables from the cached readings of its files.

    Parameters
    ----------
    files
        Everything that `sources.list_files` returned for the style's sources, in their order; every batch of
        `make_batches(files, filters)` must have been read.
    heldout_share
        Share of the notes to hold out.

    Returns
    -------
    Plain facts: `files`, one count per state (of rows: a file of several tunes has several), `notes` and
    `heldout_notes` of the pieces read, `families`, `repaired`, `in_seconds` (pieces read that keep to no beat),
    `reasons` (count per reason for not being read), `digest`, which changes when anything does that training depends
    on, and `outputs`, the keys of the files written.

    Raises
    ------
    StyleError
        When no piece can be read; the pieces table is written first, so that every reason can be looked up. When files
        are no longer those that were listed; nothing is written then.
    """
    batches = make_batches(files, filters)
    readings = pa.concat_tables([BATCH_PIECES.empty_table(), *(read_rows(batch.key, storage) for batch in batches)])
    rows = judge(files, readings, filters)
    check_states(style, files, rows)
    check_unchanged(style, files, rows)
    reading = rows[rows["state"] == "read"]
    thin = thinning(int(reading["notes"].sum()))
    parts, pieces, prints = _write_parts(style, reading["piece_id"], batches, storage, thin)
    joined = join(prints)
    prints.clear()  # what was joined is there twice until then
    _place(rows, pieces, families_of(joined), heldout_share, seed)
    storage.write_bytes(layout.pieces(style), to_bytes(_pieces_table(style, files, rows, readings)))
    for key in storage.list(layout.notes_folder(style), ".parquet"):
        if key not in parts:
            storage.delete(key)
    if len(reading) == 0:
        raise StyleError(_nothing_read(style, files, rows))
    return _facts(files, rows) | {"outputs": [layout.pieces(style), *parts]}


def _write_parts(
    style: str, wanted: pd.Series, batches: Sequence[Batch], storage: Storage, thin: int
) -> tuple[list[str], list[str], list[Fingerprints]]:
    """Write the notes of the pieces read, one part per batch; what is there stays.

    Returns
    -------
    The keys of the parts; and the pieces in them with their fingerprints.
    """
    read = pa.array(wanted.to_numpy(object), pa.string())
    parts, pieces, prints = [], list[str](), []
    for batch in batches:
        notes = read_notes(batch.key, storage)
        ids = notes["piece_id"].combine_chunks()
        kept = pc.is_in(ids.dictionary, read).to_numpy(zero_copy_only=False)
        if not kept.all():
            notes = notes.filter(pa.array(kept[ids.indices.to_numpy()])).combine_chunks()
            ids = notes["piece_id"].combine_chunks()
        if len(notes) == 0:
            continue
        names = pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(notes), np.int8)), [style])
        data = to_bytes(notes.add_column(0, "style", names))
        key = layout.notes_part(style, hashlib.sha256(data).hexdigest()[:16])
        if not storage.exists(key):
            storage.write_bytes(key, data)
        parts.append(key)
        pieces += ids.dictionary.filter(pa.array(kept)).to_pylist()
        prints.append(_fingerprints(notes, ids.indices.to_numpy(), np.flatnonzero(kept), thin))
    return parts, pieces, prints


def _fingerprints(notes: pa.Table, owner: np.ndarray, pieces: np.ndarray, thin: int) -> Fingerprints:
    """Return the fingerprints of the pieces with these numbers; `owner` is the piece of each note, ascending."""
    columns = {name: notes[name].to_numpy() for name in ("onset_beat", "duration_beat", "pitch")}
    drums = notes["is_drum"].to_numpy()
    if drums.any():
        columns, owner = {name: column[~drums] for name, column in columns.items()}, owner[~drums]
    bounds = np.append(np.searchsorted(owner, pieces), len(owner))
    return fingerprints(columns, bounds, thin)


def _place(rows: pd.DataFrame, pieces: Sequence[str], numbers: Sequence[int], heldout_share: float, seed: int) -> None:
    """Give every piece that was read its family and its side of the split, and a duplicate the family it is of."""
    names: dict[int, str] = {}
    for piece, number in zip(pieces, numbers, strict=True):
        names[number] = min(names.get(number, piece), piece)
    family = {piece: names[number] for piece, number in zip(pieces, numbers, strict=True)}
    stands = zip(rows["duplicate_of"], rows["piece_id"], strict=True)
    rows["family"] = pd.Series([family.get(first or piece) for first, piece in stands], rows.index, dtype=object)
    reading = rows.index[rows["state"] == "read"]
    families, sizes, contents = (rows.loc[reading, name].tolist() for name in ("family", "notes", "content"))
    sides = split(families, sizes, contents, heldout_share, seed)
    rows["split"] = pd.Series(sides, reading, dtype=object).reindex(rows.index)


def _pieces_table(style: str, files: Sequence[InputFile], rows: pd.DataFrame, readings: pa.Table) -> pa.Table:
    """Return the pieces table: what the file lists say, what the readings say, and what was decided."""
    listed = [files[number] for number in rows["file"]]
    tunes = rows["tune"]
    taken = readings.take(pa.array(rows["reading"], pa.int64(), mask=(rows["reading"] < 0).to_numpy()))
    columns = {
        "style": [style] * len(rows),
        "source": [file.source for file in listed],
        "path": [f"{file.path}#{tune}" if tune else file.path for file, tune in zip(listed, tunes, strict=True)],
        "file_sha256": [file.sha256 or None for file in listed],
        "bytes": [file.bytes for file in listed],
        "licence": [file.licence for file in listed],
        **{name: rows[name].astype(object).where(rows[name].notna(), None) for name in _DECIDED},
    }
    return pa.table({name: columns[name] if name in columns else taken[name] for name in PIECES.names}, schema=PIECES)


def _facts(files: Sequence[InputFile], rows: pd.DataFrame) -> dict[str, Any]:
    reading = rows[rows["state"] == "read"]
    told = zip(reading["piece_id"], reading["content"], reading["split"], strict=True)
    lines = sorted(" ".join(row) for row in told)
    states = Counter(rows["state"])
    return {
        "files": len(files),
        **{state: states[state] for state in STATES},
        "notes": int(reading["notes"].sum()),
        "heldout_notes": int(reading.loc[reading["split"] == "heldout", "notes"].sum()),
        "families": int(reading["family"].nunique()),
        "repaired": int(reading["reason"].notna().sum()),
        "in_seconds": int((reading["time_base"] == "seconds").sum()),
        "reasons": _reasons(rows),
        "digest": hashlib.sha256("\n".join([f"reader {READER_VERSION}", *lines]).encode()).hexdigest(),
    }


def _reasons(rows: pd.DataFrame) -> dict[str, int]:
    """Return how often each reason for not being read occurs, the part after its colon left out."""
    reasons = rows.loc[rows["state"] != "read", "reason"].dropna()
    return dict(sorted(Counter(reason.split(":")[0] for reason in reasons).items()))


def _nothing_read(style: str, files: Sequence[InputFile], rows: pd.DataFrame) -> str:
    reasons = ", ".join(f"{reason}: {count}" for reason, count in _reasons(rows).items())
    return (
        f"{style}: none of its {len(files)} files could be read ({reasons}); "
        f"see {layout.pieces(style)}, and give the style MIDI, MusicXML, kern, ABC or MEI files"
    )
