"""All of the corpora: is every note of every file accounted for, and in which state does every file end?

Counted are the files of which `notes_in_file`, as the byte scanner counts it, is not the notes read plus the notes
dropped for a named reason; the files rejected for such a difference; the pieces whose rows in the notes table are not
as many as their row in the pieces table says; and, as a second opinion on the scanner, the files in which mido counts
another number of notes (those that it can read, and only where it is installed).
"""

import importlib.util
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from farm import layout
from farm.config import Filters, Source
from farm.corpus.batching import make_batches
from farm.corpus.clean import clean_style
from farm.corpus.reading_batches import read_batch
from farm.corpus.sandbox import Sandbox
from farm.corpus.sources import list_files
from farm.corpus.tables import STATES, read_pieces
from farm.storage import Storage

_FAULTS = ("note_differences", "note_loss", "row_differences", "mido_differences")

# Name, heading and width of the table's columns.
_COLUMNS = (
    ("files", "files", 6),
    *((state, state, len(state) + 2) for state in STATES),
    ("repaired", "repaired", 10),
    ("notes", "notes", 11),
    *zip(_FAULTS, ("unacc.", "loss", "short", "mido"), (8, 6, 7, 6), strict=True),
)


def folders_of(corpora: Path, only: list[str] | None) -> list[Path]:
    """Return the corpora's folders by name; all, or only some."""
    return sorted(path for path in corpora.iterdir() if path.is_dir() and (only is None or path.name in only))


def measure(corpora: Path, scratch: Path, only: list[str] | None) -> dict[str, Any]:
    """Read every folder as a style, in one process and its sandbox, and return what was found."""
    storage, sandbox = Storage(scratch / "artifacts"), Sandbox()
    styles = {}
    try:
        for folder in folders_of(corpora, only):
            styles[folder.name] = _read_style(folder, storage, sandbox)
    finally:
        sandbox.close()
    return {"styles": styles, "seconds": round(sum(row["seconds"] for row in styles.values()), 2)}


def _read_style(folder: Path, storage: Storage, sandbox: Sandbox) -> dict[str, Any]:
    began = time.perf_counter()
    files = list_files(Source(folder=str(folder.absolute())), folder)
    for batch in make_batches(files):
        read_batch(batch, storage, sandbox)
    clean_style(folder.name, files, storage, filters=Filters(), heldout_share=0.1, seed=1)
    seconds = time.perf_counter() - began
    pieces = read_pieces(storage, folder.name)
    states = Counter(pieces["state"])
    return {
        "files": len(files),
        **{state: states[state] for state in STATES},
        "note_differences": len(unexplained(pieces)),
        "note_loss": int(pieces["reason"].fillna("").str.startswith("note-loss").sum()),
        "mido_differences": _mido_differences(folder, pieces),
        "row_differences": _row_differences(storage, folder.name, pieces),
        "repaired": int(pieces["format"].eq("midi-repaired").sum()),
        "notes": int(pieces.loc[pieces["state"] == "read", "notes"].sum()),
        "reasons": reasons_of(pieces),
        "seconds": round(seconds, 2),
    }


def unexplained(pieces: pd.DataFrame) -> list[str]:
    """Return the paths of the pieces that were read, duplicates too, and of which notes are unaccounted for."""
    read = pieces[pieces["state"].isin(["read", "duplicate"])]
    return [
        row.path
        for row in read.itertuples()
        if row.notes_in_file != row.notes + sum(drop["count"] for drop in row.notes_dropped)
    ]


def reasons_of(pieces: pd.DataFrame) -> dict[str, int]:
    """Return how often each reason occurs, the part after its colon left out."""
    reasons = (
        f"{state} {reason.partition(':')[0]}"
        for state, reason in zip(pieces["state"], pieces["reason"], strict=True)
        if isinstance(reason, str)
    )
    return dict(sorted(Counter(reasons).items()))


def _row_differences(storage: Storage, style: str, pieces: pd.DataFrame) -> int:
    """Return how many pieces have not as many notes on disk as their row says."""
    parts = [
        pq.read_table(pa.BufferReader(storage.read_bytes(key)), columns=["piece_id"])
        for key in storage.list(layout.notes_folder(style), ".parquet")
    ]
    counts = {
        entry["values"]: entry["counts"] for entry in pc.value_counts(pa.concat_tables(parts)["piece_id"]).to_pylist()
    }
    told = {row.piece_id: row.notes for row in pieces.itertuples() if row.state == "read"}
    return sum(counts.get(name, 0) != told.get(name, 0) for name in counts.keys() | told.keys())


def _mido_differences(folder: Path, pieces: pd.DataFrame) -> int | None:
    """Return in how many files mido counts another number of notes than our scanner; None without mido."""
    if importlib.util.find_spec("mido") is None:
        return None
    import mido

    differing = 0
    for row in pieces[pieces["format"].fillna("").str.startswith("midi")].itertuples():
        try:
            tracks = mido.MidiFile(folder / row.path).tracks
        except (OSError, EOFError, ValueError, KeyError, IndexError):
            continue  # mido does not read everything, and a tune inside a file is no file
        notes = sum(event.type == "note_on" and event.velocity > 0 for track in tracks for event in track)
        differing += notes != row.notes_in_file
    return differing


def print_table(facts: dict[str, Any]) -> None:
    styles = facts["styles"]
    columns = _COLUMNS
    if any(row["mido_differences"] is None for row in styles.values()):
        columns = columns[:-1]
    names = [name for name, _, _ in columns]
    strange = {name for name, row in styles.items() if row["read"] < row["files"] or any(row[one] for one in _FAULTS)}
    others = [row for name, row in styles.items() if name not in strange]
    shown = {name: row for name, row in styles.items() if name in strange}
    if others:
        shown[f"{len(others)} others"] = {name: sum(row[name] for row in others) for name in names}
    shown["all"] = {name: sum(row[name] for row in styles.values()) for name in names}
    print("corpora: every folder a style; files with notes unaccounted for, rejected for it, short of rows on disk,")
    print("or with another number of notes by mido's count")
    print(f"  {'style':<13}" + "".join(f"{head:>{width}}" for _, head, width in columns))
    for name, row in shown.items():
        print(f"  {name:<13}" + "".join(f"{row[column]:>{width},}" for column, _, width in columns))
    if "anthems" in styles:
        anthems = styles["anthems"]["read"] + styles["anthems"]["duplicate"]
        print(f"  anthems read or duplicate: {anthems}; target at least 135 of 136")
    print(f"  {facts['seconds']:.1f} s in all, one reader process; target 0 differences")
