"""Runs that are killed, whole, at a chosen point and then run again: what is missing or other than it should be.

Conventions
-----------
A *point* lies in a stage: at its `at`-th operation (from 1), or with `seconds` so long after its first one, which is in
the middle of an epoch, of a file, of a sample. Where a stage begins later, the run begins from what the stages before
it left (`beginnings`), so that not every kill trains everything.
"""

import random
import shutil
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farm.catalog.verify import verify
from farm.scheduling.ledger import read_progress
from farm.storage import Storage
from tests.faults.small_farm import (
    STYLES,
    differences,
    is_gone,
    kill_session,
    make_farm,
    outcome,
    run,
    said,
    session_of,
    start,
)

STATE_SHARE = 1e9  # a training keeps its state after every epoch, whatever that costs: there is something to go on from
_REACHED_SECONDS = 900.0
AFTER = {"train": "trained", "judge": "judged", "publish": "published"}  # the farm whose last run was of a stage alone
FROM = {"read": "new", "ledger": "new", "base": "read", "train": "based", "judge": "trained", "publish": "judged"}


@dataclass(frozen=True)
class Point:
    """Where a run is killed."""

    stage: str
    at: int = 1
    seconds: float | None = None


@dataclass(frozen=True)
class Unkilled:
    """The run to compare with: its folder, what it came to, and its operations."""

    folder: Path
    came_to: dict[str, Any]
    operations: Counter[str]  # by stage


def run_unkilled(folder: Path) -> Unkilled:
    """Run a new farm to its end."""
    make_farm(folder)
    code = run(folder, fault=traced(folder))
    assert code == 0, said(folder)
    return as_unkilled(folder)


def as_unkilled(folder: Path) -> Unkilled:
    """Return a farm that ran to its end as what to compare with."""
    times = operations_of(folder)
    return Unkilled(folder, outcome(folder), Counter({stage: len(found) for stage, found in times.items()}))


def operations_of(folder: Path) -> dict[str, list[float]]:
    """Return the moments, in seconds, of the operations that a farm's last run had, by stage."""
    times: dict[str, list[float]] = {}
    for line in (folder / "trace").read_text().splitlines():
        moment, stage, *_ = line.split()
        times.setdefault(stage, []).append(float(moment))
    return times


def traced(folder: Path, **fault: Any) -> dict[str, Any]:
    """Return a fault that is noted in the folder's trace."""
    return {"trace": str(folder / "trace"), "state_share": STATE_SHARE, **fault}


def beginnings(folder: Path) -> dict[str, Path]:
    """Return farms that have come so far: new, read, based (the base is there), trained, judged, published."""
    made = {"new": make_farm(folder / "new")}
    for before, name, until in (
        ("new", "read", "read"),
        ("based", "trained", "train"),
        ("trained", "judged", "judge"),
        ("judged", "published", "publish"),
    ):
        if before == "based":
            made["based"] = copied(made["read"], folder / "based")
            kill_at(made["based"], Point("train"))
        made[name] = copied(made[before], folder / name)
        assert run(made[name], "--until", until, fault=traced(made[name])) == 0, said(made[name])
    return made


def copied(farm: Path, folder: Path) -> Path:
    """Copy a farm, its traces left out; its music keeps its place relative to it, and so its name."""
    shutil.copytree(farm, folder, ignore=shutil.ignore_patterns("trace*", "run.log"))
    return folder


def kill_at(folder: Path, point: Point, executor: str = "local") -> list[str]:
    """Run a farm and kill it with all its processes at a point; return what is wrong: it ended before, one is left."""
    for trace in folder.glob("trace*"):
        trace.unlink()
    if point.seconds is None:
        code = run(folder, fault=traced(folder, stage=point.stage, at=point.at, do="kill"), executor=executor)
        return [] if code == -9 else [f"{point}: the run ended before it; {said(folder)[-300:]}"]
    process = start(folder, fault=traced(folder), executor=executor)
    until = time.monotonic() + _REACHED_SECONDS
    while process.poll() is None and time.monotonic() < until and not has_begun(folder, point.stage, executor):
        time.sleep(0.02)
    time.sleep(point.seconds)
    was_running = process.poll() is None
    kill_session(process.pid)
    process.wait()
    problems = [] if was_running else [f"{point}: the run ended before it; {said(folder)[-300:]}"]
    return problems if is_gone(process.pid) else [*problems, f"processes are left: {session_of(process.pid)}"]


def has_begun(folder: Path, stage: str, executor: str = "local") -> bool:
    """Tell whether a run has come to a stage; the workers of Ray have no trace, but leave progress."""
    if executor == "ray":
        told = [facts for style in STYLES for facts in read_progress(Storage(folder / "artifacts"), style)]
        return any(facts.get("stage") == stage for facts in told)
    trace = folder / "trace"
    return trace.exists() and any(line.split()[1] == stage for line in trace.read_text().splitlines() if line.strip())


def killed_and_gone_on(
    farm: Path, folder: Path, points: list[Point], unkilled: Unkilled, executor: str = "local"
) -> list[str]:
    """Copy a farm, kill it at each point in turn, run it to its end; return what is wrong then, empty for nothing."""
    copied(farm, folder)
    problems = []
    for point in points:
        problems += kill_at(folder, point, executor)
    if (code := run(folder, fault=traced(folder), executor=executor)) != 0:
        problems.append(f"it ended with {code}: {said(folder)[-2000:]}")
    return problems + wrong_with(folder, unkilled)


def wrong_with(folder: Path, unkilled: Unkilled) -> list[str]:
    """Return where a farm that ran to its end differs from the unkilled one, what does not hold, what is left."""
    artifacts = folder / "artifacts"
    left = [*artifacts.rglob("*.tmp"), *(artifacts / "ledger" / "fences").glob("*")]
    return [
        *differences(outcome(folder), unkilled.came_to),
        *verify(artifacts),
        *(f"{path.relative_to(folder)} is left" for path in left),
    ]


def drawn_points(
    unkilled: Unkilled, made: dict[str, Path], operations: dict[str, int], moments: dict[str, int], seed: int
) -> list[Point]:
    """Draw points: so many operations and so many moments of each stage, no operation twice.

    A farm that does not begin anew has fewer of them left; those are drawn from.
    """
    draw = random.Random(seed)
    there = {**operations_of(unkilled.folder)}
    there |= {stage: operations_of(made[after])[stage] for stage, after in AFTER.items()}
    points = []
    for stage, count in operations.items():
        points += [Point(stage, at) for at in sorted(draw.sample(range(1, len(there[stage]) + 1), count))]
    for stage, count in moments.items():
        span = max(there[stage]) - min(there[stage])
        points += [Point(stage, seconds=draw.uniform(0, 0.8 * span)) for _ in range(count)]
    return points


def beginning_of(point: Point, made: dict[str, Path]) -> Path:
    """Return the farm to begin with, that the point is reached soon."""
    return made[FROM[point.stage]]
