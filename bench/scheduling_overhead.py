"""What the farm itself costs: 1,000 styles whose stages do nothing, with and without Ray, and the plan of what is done.

A job is one stage of one style; reading is two tasks. The time per job is that of the whole run, the survey of all
files and the start of workers and Ray included, over the jobs. A trainer that does nothing wears no process out, so the
start of the process that a real one takes is not in it. The floor is what a job must leave on disk: two lines of the
attempts and a receipt with its fsync.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fake_stages
import yaml

from farm.config_file import load_farm
from farm.farm_config import Farm
from farm.planning import plan_facts
from farm.scheduling import ledger
from farm.scheduling.run import run_farm
from farm.status import status_facts
from farm.storage import Storage

JOBS = {"publish": 5, "read": 1}  # of a style, up to a stage
FLOOR_ROUNDS = 300


class Silent:
    def begin(self, state: Any, job: Any) -> None: ...
    def end(self, state: Any, stage: str, recipe: str, result: Any) -> None: ...
    def fail(self, state: Any, stage: str, recipe: str, message: str) -> None:
        raise SystemExit(f"{state.style}: {stage}: {message}")

    def tick(self, states: Sequence[Any]) -> None: ...


def measure(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    fake_stages.replace_stages()
    farm = _farm_of(options.styles, scratch)
    facts: dict[str, Any] = {"styles": options.styles, "cpus": options.cpus, "floor_ms": _floor(scratch), "runs": []}
    for executor in options.executors:
        storage = Storage(scratch / executor)
        facts["runs"].append(_run(farm, storage, executor, options.cpus))
    facts |= _looked_at(scratch / "corpora.yaml", Storage(scratch / options.executors[0]))
    return facts


def _farm_of(count: int, folder: Path) -> Farm:
    styles = {}
    for number in range(count):
        name = f"style-{number:05}"
        (folder / "music" / name).mkdir(parents=True)
        (folder / "music" / name / "a.mid").write_bytes(b"MThd" + name.encode() * 200)
        styles[name] = {"sources": [{"folder": f"music/{name}", "licence": "CC0-1.0"}]}
    (folder / "corpora.yaml").write_text(yaml.safe_dump({"farm": 1, "base": "none", "styles": styles}))
    return load_farm(folder / "corpora.yaml")


def _run(farm: Farm, storage: Storage, executor: str, cpus: int) -> dict[str, Any]:
    """Farm everything in three goes; return the time per job of each, in ms."""
    row: dict[str, Any] = {"executor": executor}
    for until in ("read", "train", "publish"):
        began = time.perf_counter()
        states, _ = run_farm(
            farm,
            storage,
            styles=list(farm.styles),
            until=until,
            make_executor=lambda: _executor(executor, cpus, storage),
            listener=Silent(),
        )
        seconds = time.perf_counter() - began
        jobs = sum(len(state.ran) for state in states)
        row[until] = {"jobs": jobs, "seconds": round(seconds, 1), "ms_per_job": round(seconds / jobs * 1000, 2)}
    return row


def _executor(name: str, cpus: int, storage: Storage) -> Any:
    if name == "local":
        from farm.scheduling.local import LocalExecutor

        return LocalExecutor(cpus)
    from farm.scheduling.cluster import RayExecutor

    return RayExecutor(cpus, None, storage)


def _floor(scratch: Path) -> float:
    """Return the milliseconds of what a job must leave on disk."""
    storage = Storage(scratch / "floor")
    began = time.perf_counter()
    for number in range(FLOOR_ROUNDS):
        ledger.note_attempt(storage, "style", "train", "started")
        ledger.write_receipt(storage, f"style-{number}", "train", inputs={}, result={}, seconds=1.0)
        ledger.note_attempt(storage, "style", "train", "done")
    return round((time.perf_counter() - began) / FLOOR_ROUNDS * 1000, 2)


def _looked_at(config: Path, storage: Storage) -> dict[str, Any]:
    """Return how long planning a finished farm takes, and asking for its status."""
    began = time.perf_counter()
    farm = load_farm(config)
    loaded = time.perf_counter()
    plan = plan_facts(farm, storage)
    planned = time.perf_counter()
    status_facts(storage, with_rejects=False)
    asked = time.perf_counter()
    if any(job["reason"] for style in plan["styles"] for job in style["jobs"]):
        raise SystemExit("the farm is not finished")
    times = {"load": loaded - began, "plan": planned - loaded, "status": asked - planned}
    return {f"{name}_seconds": round(seconds, 2) for name, seconds in times.items()}


def print_table(facts: dict[str, Any]) -> None:
    print(f"overhead: {facts['styles']:,} styles whose stages do nothing, {facts['cpus']} CPUs; ms a job")
    print(f"  {'with':<7}{'reading':>9}{'training and n-grams':>22}{'judging, publishing':>21}{'all':>8}   target")
    for row in facts["runs"]:
        parts = [row[until] for until in ("read", "train", "publish")]
        jobs, seconds = (sum(part[name] for part in parts) for name in ("jobs", "seconds"))
        cells = "".join(f"{part['ms_per_job']:>{width}.1f}" for part, width in zip(parts, (9, 22, 21), strict=True))
        target = 20 if row["executor"] == "local" else 100
        print(f"  {row['executor']:<7}{cells}{seconds / jobs * 1000:>8.1f}   under {target}")
    print(f"  floor, what must be on disk for a job: {facts['floor_ms']:.1f} ms")
    total = facts["load_seconds"] + facts["plan_seconds"]
    print(
        f"  plan of the finished farm: {total:.2f} s (corpora.yaml {facts['load_seconds']:.2f}, looking and hashing "
        f"{facts['plan_seconds']:.2f}); target under 3 s; status {facts['status_seconds']:.2f} s"
    )
