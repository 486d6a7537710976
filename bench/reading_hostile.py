"""Odd and damaged files: does every one end in exactly one state, with a reason where it is not read, and in time?

Read by the real command with its local workers: odd files from parsers' own test suites, and corpora files damaged
with a fixed seed by what the tests use too.
"""

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from processes import run_farm
from reading_corpora import reasons_of, unexplained

from farm.corpus.tables import STATES, read_pieces
from farm.storage import Storage

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))
from mutations import mutate  # the damage lives beside the tests that use it too

SEED = 1
LARGEST_BYTES = 20_000
LIMIT_SECONDS = 600.0
FAULTS = ("crash", "timeout", "memory")


def measure(corpora: Path, hostile: Path, scratch: Path, count: int) -> dict[str, Any]:
    """Return how the odd files and so many damaged ones ended."""
    _damage(corpora, scratch / "damaged", count)
    folders = {"odd": hostile.absolute(), "damaged": scratch / "damaged"}
    styles = {name: {"sources": [{"folder": str(path), "licence": "unknown"}]} for name, path in folders.items()}
    (scratch / "corpora.yaml").write_text(yaml.safe_dump({"farm": 1, "styles": styles}))
    done = run_farm(["run", "corpora.yaml", "--until", "read", "--executor", "local"], scratch, LIMIT_SECONDS)
    storage = Storage(scratch / "artifacts")
    found = {name: _ended(storage, name, folder) for name, folder in folders.items()}
    return {"seconds": round(done.seconds, 2), "folders": found}


def _damage(corpora: Path, folder: Path, count: int) -> None:
    """Write damaged copies of small corpora files, drawn at random."""
    random = np.random.default_rng(SEED)
    small = [
        path
        for path in sorted(corpora.rglob("*"))
        if path.suffix.lower() == ".mid" and path.is_file() and path.stat().st_size < LARGEST_BYTES
    ]
    folder.mkdir()
    for number in range(count):
        one, other = (small[index].read_bytes() for index in random.integers(0, len(small), 2))
        (folder / f"damaged-{number:03d}.mid").write_bytes(mutate(one, random, other))


def _ended(storage: Storage, style: str, folder: Path) -> dict[str, Any]:
    """Return the states of a folder's files, and what must not be.

    Several tunes of one file are rows of their own, each with its state; they count as one file.
    """
    pieces = read_pieces(storage, style)
    rows = Counter(row.path for row in pieces.itertuples())
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    accounted = {path.rpartition("#")[0] or path for path in rows}
    not_read = pieces[pieces["state"] != "read"]
    return {
        "files": len(files),
        "lost": len(files ^ accounted),
        "twice": sum(count > 1 for count in rows.values()),
        "without_reason": int(not_read["reason"].isna().sum()) + int((~pieces["state"].isin(STATES)).sum()),
        "faults": int(not_read["reason"].fillna("").str.startswith(FAULTS).sum()),
        "note_differences": len(unexplained(pieces)),
        "repaired": int(pieces["format"].eq("midi-repaired").sum()),
        "rows": len(pieces),
        **{state: int((pieces["state"] == state).sum()) for state in STATES},
        "reasons": reasons_of(pieces),
    }


def print_table(facts: dict[str, Any]) -> None:
    print("hostile: odd files from test suites, and small corpora files damaged with a fixed seed")
    heads = ("files", "rows", *STATES, "repaired", "lost", "no reason", "crash etc.", "differences")
    names = ("files", "rows", *STATES, "repaired", "lost", "without_reason", "faults", "note_differences")
    widths = (6, 6, 6, 11, 10, 9, 10, 6, 11, 12, 13)
    print(f"  {'':<8}" + "".join(f"{head:>{width}}" for head, width in zip(heads, widths, strict=True)))
    for name, row in facts["folders"].items():
        print(f"  {name:<8}" + "".join(f"{row[key]:>{width}}" for key, width in zip(names, widths, strict=True)))
    for name, row in facts["folders"].items():
        line = f"  {name}:"
        for reason, count in row["reasons"].items():
            word = f" {reason} {count},"
            if len(line) + len(word) > 108:
                print(line)
                line = "   "
            line += word
        print(line.rstrip(","))
    print(
        f"  {facts['seconds']:.1f} s in all with two workers, their start included; target under 60 s, all the rest 0"
    )
