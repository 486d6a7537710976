"""From readings to a style: duplicates, families, the split, and the two tables that later rooms read.

Conventions
-----------
Of equal pieces the first stands for the others, in the order of corpora.yaml's sources and of the paths in them.
Equal are files with the same bytes, and pieces with the same notes in any key. A piece's facts come from its file's
bytes; where the file lies and how it is licensed comes from the source.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from farm import layout
from farm.corpus.reading_batches import Batch, make_batches, read_notes, read_rows
from farm.corpus.sources import InputFile
from farm.corpus.tables import NOTES, PIECES, STATES, note_arrays, to_bytes
from farm.errors import StyleError
from farm.music.split import Fingerprint, families_of, fingerprint, split, thinning
from farm.storage import Storage

FEWEST_NOTES = 16
_FACTS = (
    *("piece_id", "file_sha256", "format", "notes_in_file", "notes", "notes_dropped", "tracks", "duration_beats"),
    *("duration_seconds", "tempo_bpm", "key", "time_signature"),
)


def clean_style(
    style: str, files: Sequence[InputFile], storage: Storage, *, heldout_share: float, seed: int
) -> dict[str, Any]:
    """Write a style's notes and pieces tables from the cached readings of its files.

    Parameters
    ----------
    files
        Everything that `sources.list_files` returned for the style's sources, in their order; every batch of
        `make_batches(files)` must have been read.
    heldout_share
        Share of the notes to hold out.

    Returns
    -------
    Plain facts: `files`, one count per state (of rows: a file of several tunes has several), `notes` and
    `heldout_notes` of the pieces read, `families`, `reasons` (count per reason), `digest`, which changes when
    anything does that training depends on, and `outputs`, the keys of the files written.

    Raises
    ------
    StyleError
        When no piece can be read; the pieces table is written first, so that every reason can be looked up.
    """
    batches = make_batches(files)
    rows = judge(style, files, [row for batch in batches for row in read_rows(batch.key, storage)])
    check_states(style, files, rows)
    reading = [row for row in rows if row["state"] == "read"]
    _place(reading, batches, storage, heldout_share, seed)
    families = {row["piece_id"]: row["family"] for row in reading}
    for row in rows:
        row["family"] = families.get(row["duplicate_of"] or row["piece_id"])
    parts = list(_write_parts(style, set(families), batches, storage))
    _write_pieces(style, rows, storage)
    for key in storage.list(layout.notes_folder(style), ".parquet"):
        if key not in parts:
            storage.delete(key)
    if not reading:
        raise StyleError(_nothing_read(style, files, rows))
    return _facts(files, rows) | {"outputs": [layout.pieces(style), *parts]}


def judge(style: str, files: Sequence[InputFile], readings: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one row of the pieces table per tune, with its state; family and split are still open.

    A file that was not read at all has one row. Rows follow the order of `files`.
    """
    tunes: dict[str, list[dict[str, Any]]] = {}
    for reading in readings:
        tunes.setdefault(reading["file_sha256"], []).append(reading)
    standing: dict[str, str] = {}
    rows = []
    for file in files:
        if not file.is_wanted:
            state, reason = ("skipped", file.skipped) if file.skipped else ("rejected", file.rejected)
            rows.append(_row(style, file, {}, state, reason))
            continue
        for reading in tunes[file.sha256]:
            row = _row(style, file, reading, *_state(reading))
            first = standing.get(reading["content"])
            if row["state"] == "read" and first is None:
                standing[reading["content"]] = reading["piece_id"]
            elif row["state"] == "read":
                reason = "same-bytes" if first == reading["piece_id"] else "same-notes"
                row |= {"state": "duplicate", "duplicate_of": first, "reason": reason}
            rows.append(row)
    return rows


def check_states(style: str, files: Sequence[InputFile], rows: Sequence[dict[str, Any]]) -> None:
    """Check that every input file has ended in a known state, and nothing else has.

    Raises
    ------
    StyleError
        When the sum is wrong.
    """
    wanted = Counter((file.source, file.path) for file in files)
    found = {(row["source"], row["path"].rsplit("#", 1)[0] if row["tune"] else row["path"]) for row in rows}
    strange = [row["path"] for row in rows if row["state"] not in STATES]
    if found != set(wanted) or len(wanted) != len(files) or strange:
        raise StyleError(
            f"{style}: {len(files)} input files, {len(found)} of them accounted for, {len(strange)} in no known state; "
            "list each folder in one source only, or report this as a fault of the farm"
        )


def _state(reading: dict[str, Any]) -> tuple[str, str | None]:
    if reading["failure"] is not None and not reading["failure"].startswith("no-notes"):
        return "rejected", reading["failure"]
    if reading["pitched_notes"] >= FEWEST_NOTES:
        return "read", None
    if reading["notes"] == 0:
        return "skipped", "no-notes"
    if reading["pitched_notes"] == 0:
        return "skipped", "drums-only"
    return "skipped", f"too-short: {reading['pitched_notes']} notes, {FEWEST_NOTES} are needed"


def _row(style: str, file: InputFile, reading: dict[str, Any], state: str, reason: str | None) -> dict[str, Any]:
    tune = reading.get("tune", "")
    return {
        **{name: reading.get(name) for name in _FACTS},
        "style": style,
        "source": file.source,
        "path": f"{file.path}#{tune}" if tune else file.path,
        "tune": tune,
        "content": reading.get("content"),
        "file_sha256": file.sha256 or None,
        "state": state,
        "reason": reason,
        "duplicate_of": None,
        "family": None,
        "bytes": file.bytes,
        "licence": file.licence,
        "split": None,
    }


def _place(
    reading: Sequence[dict[str, Any]], batches: Sequence[Batch], storage: Storage, heldout_share: float, seed: int
) -> None:
    """Give every piece that was read its family and its side of the split."""
    thin = thinning(sum(row["notes"] for row in reading))
    prints: dict[str, Fingerprint] = {}
    wanted = {row["piece_id"] for row in reading}
    for batch in batches:
        for name, notes in note_arrays(_only(read_notes(batch.key, storage), wanted)).items():
            prints[name] = fingerprint(notes, thin)
    numbers = families_of([prints[row["piece_id"]] for row in reading], thin)
    names: dict[int, str] = {}
    for row, number in zip(reading, numbers, strict=True):
        names[number] = min(names.get(number, row["piece_id"]), row["piece_id"])
    for row, number in zip(reading, numbers, strict=True):
        row["family"] = names[number]
    sides = split(
        [row["family"] for row in reading],
        [row["notes"] for row in reading],
        [row["content"] for row in reading],
        heldout_share,
        seed,
    )
    for row, side in zip(reading, sides, strict=True):
        row["split"] = side


def _only(notes: pa.Table, wanted: set[str]) -> pa.Table:
    """Return the rows of these pieces, in their order."""
    ids = notes["piece_id"].unique()
    kept = ids.filter(pa.array(np.array([name.as_py() in wanted for name in ids], bool)))
    return notes.filter(pc.is_in(notes["piece_id"], kept))


def _write_parts(style: str, wanted: set[str], batches: Sequence[Batch], storage: Storage) -> Iterator[str]:
    """Write the notes of the pieces read, one part per batch, and yield the parts' keys; what is there stays."""
    for batch in batches:
        notes = _only(read_notes(batch.key, storage), wanted)
        if len(notes) == 0:
            continue
        named = notes.add_column(0, "style", pa.repeat(pa.scalar(style, pa.string()), len(notes)))
        data = to_bytes(named.cast(NOTES).combine_chunks())
        key = layout.notes_part(style, hashlib.sha256(data).hexdigest()[:16])
        if not storage.exists(key):
            storage.write_bytes(key, data)
        yield key


def _write_pieces(style: str, rows: Sequence[dict[str, Any]], storage: Storage) -> None:
    kept = [{name: row[name] for name in PIECES.names} for row in rows]
    storage.write_bytes(layout.pieces(style), to_bytes(pa.Table.from_pylist(kept, PIECES)))


def _facts(files: Sequence[InputFile], rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    reading = [row for row in rows if row["state"] == "read"]
    lines = sorted(f"{row['piece_id']} {row['content']} {row['split']}" for row in reading)
    states = Counter(row["state"] for row in rows)
    return {
        "files": len(files),
        **{state: states[state] for state in STATES},
        "notes": sum(row["notes"] for row in reading),
        "heldout_notes": sum(row["notes"] for row in reading if row["split"] == "heldout"),
        "families": len({row["family"] for row in reading}),
        "reasons": _reasons(rows),
        "digest": hashlib.sha256("\n".join(lines).encode()).hexdigest(),
    }


def _reasons(rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Return how often each reason occurs, the part after its colon left out."""
    return dict(sorted(Counter(row["reason"].split(":")[0] for row in rows if row["reason"]).items()))


def _nothing_read(style: str, files: Sequence[InputFile], rows: Sequence[dict[str, Any]]) -> str:
    reasons = ", ".join(f"{reason}: {count}" for reason, count in _reasons(rows).items())
    return (
        f"{style}: none of its {len(files)} files could be read ({reasons}); "
        f"see {layout.pieces(style)}, and give the style MIDI, MusicXML, kern, ABC or MEI files"
    )
