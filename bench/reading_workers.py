"""One worker and two, with Ray and without: are the notes and pieces tables the same bytes?"""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import yaml
from processes import run_farm
from reading_corpora import folders_of

from farm import layout

RUNS = (("local", 1), ("local", 2), ("ray", 1), ("ray", 2))
LIMIT_SECONDS = 900.0


def measure(corpora: Path, hostile: Path, scratch: Path, only: list[str] | None) -> dict[str, Any]:
    """Read the same folders in each way, and return which files differ from those of the first way."""
    folders = {folder.name: folder for folder in folders_of(corpora, only)} | {"odd": hostile}
    sources = {name: [{"folder": str(folder.absolute()), "licence": "unknown"}] for name, folder in folders.items()}
    styles = {name: {"sources": source} for name, source in sources.items()}
    (scratch / "corpora.yaml").write_text(yaml.safe_dump({"farm": 1, "styles": styles}))
    rows: list[dict[str, Any]] = []
    first: dict[str, str] = {}
    for executor, workers in RUNS:
        shutil.rmtree(scratch / "artifacts", ignore_errors=True)
        asked = ["--until", "read", "--executor", executor, "--cpus", str(workers)]
        done = run_farm(["run", "corpora.yaml", *asked], scratch, LIMIT_SECONDS)
        hashes = _hashes(scratch / "artifacts")
        first = first or hashes
        differing = sorted(name for name in first.keys() | hashes.keys() if first.get(name) != hashes.get(name))
        rows.append(
            {
                "executor": executor,
                "workers": workers,
                "seconds": round(done.seconds, 1),
                "tables": len(hashes),
                "sha256": hashlib.sha256(repr(sorted(hashes.items())).encode()).hexdigest(),
                "differing": differing,
            }
        )
    return {"styles": len(folders), "runs": rows}


def _hashes(artifacts: Path) -> dict[str, str]:
    """Return the hash of every file of notes and pieces by its path."""
    return {
        path.relative_to(artifacts).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for room in (layout.NOTES, layout.PIECES)
        for path in (artifacts / room).rglob("*")
        if path.is_file()
    }


def print_table(facts: dict[str, Any]) -> None:
    print(f"workers: {facts['styles']} styles read four times; every notes and pieces table compared by its hash")
    print(f"  {'executor':<10}{'workers':>8}{'seconds':>9}{'tables':>8}{'differing':>11}  sha256 of all")
    for row in facts["runs"]:
        counts = f"{row['workers']:>8}{row['seconds']:>9.1f}{row['tables']:>8}{len(row['differing']):>11}"
        print(f"  {row['executor']:<10}{counts}  {row['sha256'][:16]}")
