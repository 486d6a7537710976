"""A hundred thousand files against a thousand: does the rate hold, and does memory stay flat?

The real command reads made files: `farm run corpora.yaml --until read`, both cores. Two styles of a handful of files
come first, so that both workers have started, loaded and compiled everything when the style that counts begins; its
time is that from its first task to its finished tables, as the ledger tells. Listing and hashing happen before any
worker starts; they are timed here by the same call on the same files, and added. The rate is files over that sum.
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
    """
    sizes = sorted({size for size in (1_000, 10_000) if size < most} | {most})
    for warm in ("warm-a", "warm-b"):
        make_midi.write_files(scratch / warm, WARM_FILES, SEED + 1 + (warm == "warm-b"))
    rows = []
    for size in sizes:
        began = time.perf_counter()
        make_midi.write_files(scratch / "music", size, SEED)
        made = size / (time.perf_counter() - began)
        for executor in executors:
            runs = [_run(scratch, executor, size) for _ in range(rounds if size == sizes[0] else 1)]
            rows.append(_row(size, executor, runs, made))
        shutil.rmtree(scratch / "music")
    smallest = {row["executor"]: row["files_per_second"] for row in rows if row["files"] == sizes[0]}
    for row in rows:
        row["rate_against_smallest"] = round(row["files_per_second"] / smallest[row["executor"]], 3)
    return {"sizes": sizes, "rows": rows}


def _row(size: int, executor: str, runs: list[dict[str, Any]], made: float) -> dict[str, Any]:
    rates = [size / (run["list_seconds"] + run["read_seconds"]) for run in runs]
    roles = sorted({role for run in runs for role in run["peaks"]})
    return {
        "files": size,
        "executor": executor,
        "runs": len(runs),
        "files_per_second": round(statistics.median(rates), 1),
        "files_per_second_spread": [round(min(rates), 1), round(max(rates), 1)],
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
    """Return what the ledger says of the style that counts."""
    artifacts = scratch / "artifacts"
    lines = [json.loads(line) for line in (artifacts / layout.ATTEMPTS).read_text().splitlines()]
    times = {line["outcome"]: line["time"] for line in lines if line["style"] == _STYLE}
    if set(times) != {"started", "done"}:
        raise SystemExit(f"the ledger tells {sorted(times)} of {_STYLE}:\n{done.output}")
    receipt = json.loads((artifacts / layout.receipt("read", _STYLE)).read_text())
    return {"read_seconds": times["done"] - times["started"], "states": receipt["result"]["states"]}


def print_table(facts: dict[str, Any]) -> None:
    print("scale: made files, `farm run --until read`, both cores; MiB: the most any process of a role took")
    roles = ("driver", "worker", "sandbox", "raylet", "gcs", "other")
    shown = [role for role in roles if any(role in row["peak_mib"] for row in facts["rows"])]
    heads = "".join(f"{role:>8}" for role in shown)
    print(f"  {'files':>7}  {'executor':<9}{'files/s':>8}{'list s':>8}{'read s':>8}{'against 1st':>12}{heads}")
    for row in facts["rows"]:
        times = f"{row['files_per_second']:>8,.0f}{row['list_seconds']:>8.1f}{row['read_seconds']:>8.1f}"
        peaks = "".join(f"{row['peak_mib'].get(role, '-'):>8}" for role in shown)
        print(f"  {row['files']:>7,}  {row['executor']:<9}{times}{row['rate_against_smallest']:>12.0%}{peaks}")
    print("  targets: at least 80% of the rate of the smallest; every process below 1,024 MiB")
