"""Faults on purpose, in full: kills, disks that fail, double starts, workers that are lost or revived, signals.

    make faults
    python bench/faults.py --only kills,signals --scratch DIR

What is done to the farm and how it is told that nothing is wrong lies in `tests/faults`, which runs a short form of it.
"""

import argparse
import json
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from machine import describe

from tests.faults import failing, fencing, killing, owning, signalling
from tests.faults.killing import Point, Unkilled

OUT = Path(__file__).with_suffix(".json")
SEED = 2026
OPERATIONS = {"read": 6, "base": 4, "train": 7, "judge": 7, "publish": 9, "ledger": 4}
MOMENTS = {"read": 1, "base": 2, "train": 4, "judge": 3, "publish": 3}
NAMES = {"ledger": "anywhere, as it is noted"}
STARTS = 100
_WHOLE = "whole"  # a file that says that a folder was made to its end

Tried = Iterator[tuple[str, list[str]]]
"""What was done, with its group before a colon, and what was wrong then; empty for nothing."""


class Farms:
    """The farms that faults are tried on, made when they are first asked for; those that are there are used again."""

    def __init__(self, scratch: Path, at_once: int) -> None:
        self.scratch, self.at_once = scratch, at_once
        self._unkilled: Unkilled | None = None
        self._beginnings: dict[str, Path] = {}

    @property
    def unkilled(self) -> Unkilled:
        if self._unkilled is None:
            folder = self.scratch / "unkilled"
            is_there = (folder / _WHOLE).exists()
            self._unkilled = killing.as_unkilled(folder) if is_there else killing.run_unkilled(folder)
            (folder / _WHOLE).touch()
        return self._unkilled

    @property
    def beginnings(self) -> dict[str, Path]:
        if not self._beginnings:
            folder = self.scratch / "beginnings"
            if not (folder / _WHOLE).exists():
                killing.beginnings(folder)
            self._beginnings = {name: folder / name for name in {*killing.FROM.values(), *killing.AFTER.values()}}
            (folder / _WHOLE).touch()
        return self._beginnings

    def each(self, cases: list[tuple[str, Callable[[Path], list[str]]]]) -> Tried:
        """Try cases, some at once, each in a folder of its own."""
        with ThreadPoolExecutor(self.at_once) as pool:
            folders = [Path(tempfile.mkdtemp(dir=self.scratch)) / "farm" for _ in cases]
            done = [pool.submit(case, folder) for (_, case), folder in zip(cases, folders, strict=True)]
            for (told, _), future in zip(cases, done, strict=True):
                wrong = future.exception()
                yield told, [repr(wrong)] if wrong else future.result()


def kills(farms: Farms) -> Tried:
    begin = farms.beginnings
    points = killing.drawn_points(farms.unkilled, begin, OPERATIONS, MOMENTS, SEED)
    cases = []
    for point in points:
        from_here = partial(killing.killed_and_gone_on, killing.beginning_of(point, begin))
        told = f"{NAMES.get(point.stage, point.stage)}: {point}"
        cases.append((told, lambda folder, go=from_here, point=point: go(folder, [point], farms.unkilled)))
    yield from farms.each(cases)


def kills_ray(farms: Farms) -> Tried:
    for stage, begin, seconds in (("read", "new", 0.5), ("train", "based", 4.0), ("judge", "trained", 0.5)):
        point, folder = Point(stage, seconds=seconds), Path(tempfile.mkdtemp(dir=farms.scratch)) / "farm"
        points = [point]
        found = killing.killed_and_gone_on(farms.beginnings[begin], folder, points, farms.unkilled, executor="ray")
        yield f"{stage}: {point}", found


def publishing(farms: Farms) -> Tried:
    for name, for_good in (("once", False), ("for good", True)):
        folder = Path(tempfile.mkdtemp(dir=farms.scratch))
        yield from ((f"the catalog, {name}: {told}", wrong) for told, wrong in failing.catalog_faults(folder, for_good))
    folder = Path(tempfile.mkdtemp(dir=farms.scratch))
    yield from (
        (f"samples and report: {told}", wrong)
        for told, wrong in failing.stage_faults(farms.beginnings["judged"], folder)
    )


def full_disks(farms: Farms) -> Tried:
    total = sum(farms.unkilled.operations.values())
    cases = [
        (
            f"run: from operation {at}",
            lambda folder, at=at: failing.full_disk(farms.beginnings["new"], folder, at, farms.unkilled),
        )
        for at in (total // 6, total // 2, 5 * total // 6)
    ]
    yield from farms.each(cases)


def owners(farms: Farms) -> Tried:
    root = Path(tempfile.mkdtemp(dir=farms.scratch))
    for number in range(STARTS):
        answers = owning.double_start(root)
        is_well = answers[0] == "owner" and answers[1].startswith("busy")
        yield f"double start: {number}", [] if is_well else answers
    for number in range(STARTS):
        answers = owning.start_after_kill(root)
        yield f"start after kill -9: {number}", [] if answers == ["owner", "owner"] else answers


def workers(farms: Farms) -> Tried:
    total = farms.unkilled.operations["train"]
    based, unkilled = farms.beginnings["based"], farms.unkilled
    cases = [
        (f"stopped, revived: at {at}", lambda folder, at=at: fencing.revived(based, folder, unkilled, at))
        for at in (total // 10, total // 4, total // 3)
    ]
    cases += [
        (f"{what}: at {at}", lambda folder, at=at, what=what: fencing.lost(based, folder, unkilled, at, what))
        for at, what in ((total // 5, "die"), (total // 2, "die"), (total // 4, "ENOSPC"), (total // 3, "EIO"))
    ]
    yield from farms.each(cases)


def signals(farms: Farms) -> Tried:
    for executor, stages in (("local", ("ledger", "base", "train", "judge", "publish")), ("ray", ("read", "train"))):
        for stage in stages:
            for number in (signal.SIGINT, signal.SIGTERM):
                folder = Path(tempfile.mkdtemp(dir=farms.scratch)) / "farm"
                killing.copied(farms.beginnings[killing.FROM[stage]], folder)
                seconds, wrong = signalling.stopped(folder, number, stage, 0.3, executor)
                yield f"{executor}: {number.name} in {stage}, {seconds:.1f} s", wrong


KINDS: dict[str, Callable[[Farms], Tried]] = {
    **{"kills": kills, "kills_ray": kills_ray, "publishing": publishing, "full_disks": full_disks},
    **{"owners": owners, "workers": workers, "signals": signals},
}
TITLES = {
    "kills": "kill -9 of the whole run, then run again: the same models, verdicts and hashes",
    "kills_ray": "the same with Ray",
    "publishing": "publishing with each operation failed: no torn catalog, the old one valid",
    "full_disks": "a disk full from some operation on: told without a trace, then the same models",
    "owners": "one owner at a time, none left behind",
    "workers": "a worker lost in training: the same models, and an old one changes nothing",
    "signals": "SIGINT, SIGTERM: out within 10 s, nothing left running, the line that says how to go on",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(KINDS), help="kinds, with commas between (default: %(default)s)")
    parser.add_argument("--at-once", type=int, default=2, help="farms beside each other (default: %(default)s)")
    parser.add_argument("--scratch", type=Path, help="a folder for the farms; temporary when not given")
    options = parser.parse_args()
    facts: dict[str, Any] = {"kinds": {}}
    with tempfile.TemporaryDirectory() as temporary:
        farms = Farms(options.scratch or Path(temporary), options.at_once)
        farms.scratch.mkdir(parents=True, exist_ok=True)
        for kind in options.only.split(","):
            found = _counted(kind, farms)
            facts = json.loads(OUT.read_text()) if OUT.exists() else facts  # another may have written it meanwhile
            facts["kinds"][kind] = found
            facts["machine"] = describe()
            facts["kinds"] = {name: facts["kinds"][name] for name in KINDS if name in facts["kinds"]}
            OUT.write_text(json.dumps(facts, indent=1) + "\n")
    print_table(facts)


def _counted(kind: str, farms: Farms) -> dict:
    """Try all of a kind, and return by group how many there were and what was wrong with any."""
    began, tried, wrong = time.monotonic(), Counter[str](), {}
    for told, problems in KINDS[kind](farms):
        tried[told.partition(":")[0]] += 1
        print(f"{kind} {told}: {problems or 'well'}", flush=True)
        if problems:
            wrong[told] = problems
    return {"tried": dict(tried), "wrong": wrong, "seconds": round(time.monotonic() - began)}


def print_table(facts: dict) -> None:
    """Print how many of each kind went well."""
    print("```")
    for kind, found in facts["kinds"].items():
        wrong = Counter(told.partition(":")[0] for told in found["wrong"])
        total = sum(found["tried"].values())
        print(f"{TITLES[kind]}")
        for group, tried in found["tried"].items():
            print(f"  {group:<26}{tried - wrong[group]:>5} of {tried}")
        print(f"  {'all':<26}{total - len(found['wrong']):>5} of {total}")
    print("```")


if __name__ == "__main__":
    main()
