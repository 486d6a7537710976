"""What loading and verifying withstand: hostile files, damaged headers, damaged packs."""

import argparse
import resource
import time
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from farm.catalog.pack_trust import check
from tests.hostile_models import hostile_models, mutated_header
from tests.pack_mutations import mutated, two_packs
from tests.small_keys import AUTHOR_LINE
from tests.test_catalog import snapshot
from tests.test_hostile_models import GOOD, opened, watched


def measure_hostile(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Load each hostile file in a process that is watched."""
    files = hostile_models(GOOD, scratch / "canary")
    told = watched(files, scratch)
    rows = []
    for name, data in files.items():
        tracemalloc.start()
        outcome = opened(data)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        rows.append({"name": name, "bytes": len(data), "outcome": outcome, "peak_bytes": peak})
    ran = [*told["seen"], *(["canary"] if (scratch / "canary").exists() else [])]
    return {"files": rows, "refused": len(told["refused"]), "ran": ran, "frameworks": told["frameworks"]}


def print_hostile(facts: dict[str, Any]) -> None:
    rows = facts["files"]
    ran, loaded = facts["ran"] or "nothing", facts["frameworks"] or "none"
    print(f"hostile: {len(rows)} files, {facts['refused']} refused; ran: {ran}; frameworks loaded: {loaded}")
    print(f"  {'file':<34} {'bytes':>10} {'memory':>10}  outcome")
    for row in rows:
        print(f"  {row['name']:<34} {row['bytes']:>10,} {row['peak_bytes']:>10,}  {row['outcome']}")


def measure_headers(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Open files with damaged headers, one after the other, in this process."""
    random = np.random.default_rng(2019)
    outcomes: Counter[str] = Counter()
    crashes: Counter[str] = Counter()
    most = 0.0
    opened(GOOD)
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    tracemalloc.start()
    for _ in range(options.headers):
        data = mutated_header(GOOD, random)
        tracemalloc.reset_peak()
        held = tracemalloc.get_traced_memory()[0]
        try:
            outcomes[opened(data)] += 1
        except Exception as error:  # any other than the named one is what is looked for
            crashes[type(error).__name__] += 1
        most = max(most, (tracemalloc.get_traced_memory()[1] - held) / len(data))
    tracemalloc.stop()
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
    return {
        "headers": options.headers,
        "outcomes": dict(outcomes),
        "crashes": dict(crashes),
        "peak_times_file": most,
        "grown_kib": grown_kib,
        "seconds": time.perf_counter() - started,
    }


def print_headers(facts: dict[str, Any]) -> None:
    told = ", ".join(f"{count:,} {name}" for name, count in sorted(facts["outcomes"].items()))
    print(f"headers: {facts['headers']:,} damaged, {told}; crashes: {sum(facts['crashes'].values())}")
    grown = f"the process grew by {facts['grown_kib']:,} KiB"
    print(f"  memory at most {facts['peak_times_file']:.1f} times the file; {grown}")


def measure_mutations(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Damage a signed pack of two small models, once a time, and verify it with the key and against a copy of it."""
    pack, copy, others = two_packs(scratch, ["model", "onnx"])
    missed: list[int] = []
    unnamed: list[int] = []
    for number in range(options.mutations):
        with mutated(pack, number, others) as names:
            problems = check(pack, key=AUTHOR_LINE, after=copy)
            if not problems:
                missed.append(number)
            elif not any(name in problem for name in names for problem in problems):
                unnamed.append(number)
    return {"mutations": options.mutations, "missed": missed, "unnamed": unnamed, "members": len(snapshot(copy))}


def print_mutations(facts: dict[str, Any]) -> None:
    n_refused = facts["mutations"] - len(facts["missed"])
    print(
        f"mutations: {facts['mutations']:,} of a signed pack of {facts['members']} files; {n_refused:,} refused, "
        f"{n_refused - len(facts['unnamed']):,} with the file's name"
    )
