"""A hundred thousand files against a thousand: does the rate hold, and does memory stay flat?

The real command reads made files: `farm run corpora.yaml --until read`, both cores. The rate is files over the sum of
two times, so that starting Python, Ray and workers is left out and nothing that grows with the files is:

before    what the driver does before any task starts, listing and hashing included: from taking the lock of the
          artifacts folder to the first line of the ledger. It does the same for Ray, whose start falls into that
          time; so it is taken from the run with the local executor.
read      from the first task of the style that counts to its finished tables, as the ledger tells. Two styles of a
          handful of files go first, so that both workers have started, loaded and compiled everything by then.

The whole command is told beside them, and listing alone, by the same call on the same files.
"""

import json
import shutil
import statistics
import time
from pathlib import Path
from typing import Any

import make_midi
import yaml
from processes import Done, run_farm

from farm import layout
from farm.config import Source
from farm.corpus.sources import list_files

SEED = 1
WARM_FILES = 40
LIMIT_SECONDS = 1200.0
_STYLE = "music"


def measure(most: int, scratch: Path, rounds: int, executors: list[str]) -> dict[str, Any]:
    """Return rate and peak memory for 1,000 files, 10,000 and so on up to `most`, per executor.

    Parameters
    ----------
    rounds
        How often the smallest size is read; the larger ones are read once.
    executors
        Which to measure; the local one always is, and first.
    """
    sizes = sorted({size for size in (1_000, 10_000) if size < most} | {most})
    for warm in ("warm-a", "warm-b"):
        make_midi.write_files(scratch / warm, WARM_FILES, SEED + 1 + (warm == "warm-b"))
    rows = []
    for size in sizes:
        began = time.perf_counter()
        make_midi.write_files(scratch / "music", size, SEED)
        made = size / (time.perf_counter() - began)
        before = None
        for executor in ["local", *(name for name in executors if name != "local")]:
            runs = [_run(scratch, executor, size) for _ in range(rounds if size == sizes[0] else 1)]
            before = before or statistics.median(run["before_seconds"] for run in runs)
            rows.append(_row(size, executor, runs, before, made))
        shutil.rmtree(scratch / "music")
    smallest = {row["executor"]: row["files_per_second"] for row in rows if row["files"] == sizes[0]}
    for row in rows:
        row["rate_against_smallest"] = round(row["files_per_second"] / smallest[row["executor"]], 3)
    return {"sizes": sizes, "rows": rows}


def _row(size: int, executor: str, runs: list[dict[str, Any]], before: float, made: float) -> dict[str, Any]:
    rates = [size / (before + run["read_seconds"]) for run in runs]
    roles = sorted({role for run in runs for role in run["peaks"]})
    return {
        "files": size,
        "executor": executor,
        "runs": len(runs),
        "files_per_second": round(statistics.median(rates), 1),
        "files_per_second_spread": [round(min(rates), 1), round(max(rates), 1)],
        "before_seconds": round(before, 3),
        **{
            name: round(statistics.median(run[name] for run in runs), 3)
            for name in ("list_seconds", "read_seconds", "command_seconds")
        },
        "peak_mib": {role: round(max(run["peaks"].get(role, 0) for run in runs) / 2**20) for role in roles},
        "states": runs[0]["states"],
        "made_per_second": round(made),
    }


def _run(scratch: Path, executor: str, size: int) -> dict[str, Any]:
    """Read everything under the scratch folder once, into an empty artifacts folder."""
    shutil.rmtree(scratch / "artifacts", ignore_errors=True)
    styles = {
        name: {"sources": [{"folder": name, "licence": "CC0-1.0"}], "priority": int(name != _STYLE)}
        for name in ("warm-a", "warm-b", _STYLE)
    }
    (scratch / "corpora.yaml").write_text(yaml.safe_dump({"farm": 1, "styles": styles}))
    began = time.perf_counter()
    files = list_files(Source(folder="music"), scratch)
    listed = time.perf_counter() - began
    if len(files) != size:
        raise SystemExit(f"{size} files were made, {len(files)} listed")
    del files
    done = run_farm(["run", "corpora.yaml", "--until", "read", "--executor", executor], scratch, LIMIT_SECONDS)
    return {"list_seconds": listed, "command_seconds": done.seconds, "peaks": done.peaks, **_booked(scratch, done)}


def _booked(scratch: Path, done: Done) -> dict[str, Any]:
    """Return what lock and ledger say of the run and of the style that counts."""
    artifacts = scratch / "artifacts"
    lines = [json.loads(line) for line in (artifacts / layout.ATTEMPTS).read_text().splitlines()]
    times = {line["outcome"]: line["time"] for line in lines if line["style"] == _STYLE}
    if set(times) != {"started", "done"}:
        raise SystemExit(f"the ledger tells {sorted(times)} of {_STYLE}:\n{done.output}")
    before = min(line["time"] for line in lines) - (artifacts / layout.LOCK).stat().st_mtime
    receipt = json.loads((artifacts / layout.receipt("read", _STYLE)).read_text())
    read = times["done"] - times["started"]
    return {"before_seconds": before, "read_seconds": read, "states": receipt["result"]["states"]}


def print_table(facts: dict[str, Any]) -> None:
    print("scale: made files, `farm run --until read`, both cores; MiB: the most any process of a role took")
    roles = ("driver", "worker", "sandbox", "raylet", "gcs", "other")
    shown = [role for role in roles if any(role in row["peak_mib"] for row in facts["rows"])]
    heads = "".join(f"{role:>{len(role) + 2}}" for role in shown)
    seconds = f"{'list':>6}{'before':>8}{'read':>7}{'command s':>11}"
    print(f"  {'files':>7}  {'with':<6}{'files/s':>8}{'rate':>6}{seconds}{heads}")
    for row in facts["rows"]:
        rate = f"{row['files_per_second']:>8,.0f}{row['rate_against_smallest']:>6.0%}"
        seconds = f"{row['list_seconds']:>6.1f}{row['before_seconds']:>8.1f}"
        seconds += f"{row['read_seconds']:>7.1f}{row['command_seconds']:>11.1f}"
        peaks = "".join(f"{row['peak_mib'].get(role, '-'):>{len(role) + 2}}" for role in shown)
        print(f"  {row['files']:>7,}  {row['executor']:<6}{rate}{seconds}{peaks}")
    print("  targets: a rate of at least 80% of that of the fewest files; every process below 1,024 MiB")
