"""From readings to a style: duplicates, filters, families, the split, and the two tables that later rooms read.

Conventions
-----------
Of equal pieces the first stands for the others, in the order of corpora.yaml's sources and of the paths in them.
Equal are files with the same bytes, and pieces with the same notes in any key. A piece's facts come from its file's
bytes; where the file lies and how it is licensed comes from the source. Notes are in memory one batch at a time.
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
from farm.corpus.filters import reasons_to_skip
from farm.corpus.reading_batches import BATCH_PIECES, READER_VERSION, Batch, make_batches, read_notes, read_rows
from farm.corpus.sources import InputFile
from farm.corpus.tables import PIECES, STATES, to_bytes
from farm.errors import StyleError
from farm.music.families import families_of
from farm.music.fingerprints import Fingerprints, fingerprints, join, thinning
from farm.music.split import split
from farm.storage import Storage

_SKIPPED = ("no-notes", "drums-only", "no-piano")
_OWN = ("tune", "piece_id", "content", "time_base", "notes")
_ROW = ("file", "reading", "state", "reason", "duplicate_of", *_OWN)
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
        When no piece can be read; the pieces table is written first, so that every reason can be looked up.
    """
    batches = make_batches(files, filters)
    readings = pa.concat_tables([BATCH_PIECES.empty_table(), *(read_rows(batch.key, storage) for batch in batches)])
    rows = judge(files, readings, filters)
    check_states(style, files, rows)
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


def judge(files: Sequence[InputFile], readings: pa.Table, filters: Filters) -> pd.DataFrame:
    """Return one row per tune with its state; a file that was not read at all has one row.

    Parameters
    ----------
    readings
        Columns as in `reading_batches.BATCH_PIECES`.

    Returns
    -------
    In the order of `files`: `file` and `reading` (row numbers of the two; -1 where there is no reading), `state`,
    `reason`, `duplicate_of`, and of the reading `tune`, `piece_id`, `content`, `time_base` and `notes`; `family` and
    `split` are open.
    """
    tunes: dict[str, list[int]] = {}
    for number, sha256 in enumerate(readings["file_sha256"].to_pylist()):
        tunes.setdefault(sha256, []).append(number)
    places = [
        (place, number)
        for place, file in enumerate(files)
        for number in (tunes.get(file.sha256, [-1]) if file.is_wanted else [-1])
    ]
    told = {name: readings[name].to_pylist() for name in ("failure", "repaired", *_OWN)}
    measured = {name: readings[name].to_numpy() for name in ("pitched_notes", "duration_seconds", "silence_seconds")}
    skips = reasons_to_skip(measured, filters)
    rows: list[tuple[Any, ...]] = []
    standing: dict[str, str] = {}
    seen: set[int] = set()
    for place, number in places:
        if number < 0:
            state, reason = _unread(files[place])
            rows.append((place, number, state, reason, None, "", None, None, None, 0))
            continue
        piece, content = told["piece_id"][number], told["content"][number]
        state, reason = _state(told["failure"][number], skips[number], told["repaired"][number])
        first = standing.setdefault(content, piece) if state == "read" else piece
        again = None
        if state == "read" and (first != piece or number in seen):
            state, reason, again = "duplicate", "same-bytes" if first == piece else "same-notes", first
        seen.add(number)
        rows.append((place, number, state, reason, again, *(told[name][number] for name in _OWN)))
    return pd.DataFrame(rows, columns=list(_ROW), dtype=object).astype({"file": int, "reading": int, "notes": int})


def _unread(file: InputFile) -> tuple[str, str | None]:
    if file.is_wanted:
        return "lost", None  # `check_states` will say so
    return ("skipped", file.skipped) if file.skipped else ("rejected", file.rejected)


def _state(failure: str | None, skip: str, repaired: str | None) -> tuple[str, str | None]:
    """Return the state of a tune by itself, and its reason."""
    if failure is not None:
        return "skipped" if failure.partition(":")[0] in _SKIPPED else "rejected", failure
    if skip:
        return "skipped", skip
    return "read", f"repaired: {repaired}" if repaired else None


def check_states(style: str, files: Sequence[InputFile], rows: pd.DataFrame) -> None:
    """Check that every input file has ended in a known state, and nothing else has.

    Raises
    ------
    StyleError
        When the sum is wrong.
    """
    distinct = len({(file.source, file.path) for file in files})
    accounted = set(rows["file"])
    strange = int((~rows["state"].isin(STATES)).sum())
    if accounted != set(range(len(files))) or distinct != len(files) or strange:
        raise StyleError(
            f"{style}: {len(files)} input files, {distinct} of them distinct, {len(accounted)} accounted for, "
            f"{strange} in no known state; list each folder in one source only, or report this as a fault of the farm"
        )


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
