"""The state that every input file and every tune in it ends in, with the reason: filters, failures and duplicates.

Conventions
-----------
The states are those of `tables.STATES`. Of equal pieces the first stands for the others, in the order of
corpora.yaml's sources and of the paths in them. Equal are files with the same bytes, and pieces with the same notes in
any key.
"""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import pyarrow as pa

from farm.config import Filters
from farm.corpus.filters import reasons_to_skip
from farm.corpus.sources import InputFile
from farm.corpus.tables import STATES
from farm.errors import StyleError

_SKIPPED = ("no-notes", "drums-only", "no-piano")
_CHANGED = ("changed", "unreadable")  # failures of files whose bytes were hashed before
_SHOWN = 3
_OWN = ("tune", "piece_id", "content", "time_base", "notes")
_ROW = ("file", "reading", "state", "reason", "duplicate_of", *_OWN)


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


def check_unchanged(style: str, files: Sequence[InputFile], rows: pd.DataFrame) -> None:
    """Check that every file was read as it was listed: a style of half old and half new files is none.

    Raises
    ------
    StyleError
        When a file has changed or gone in between; it names the first of them.
    """
    failures = zip(rows["file"], rows["reason"], strict=True)
    changed = [files[number] for number, reason in failures if (reason or "").partition(":")[0] in _CHANGED]
    paths = [file.path for file in changed if file.is_wanted]
    if paths:
        more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
        raise StyleError(
            f"{style}: {len(paths)} of its {len(files)} files changed or went while they were read "
            f"({', '.join(paths[:_SHOWN])}{more}); run again when nothing writes to them"
        )
