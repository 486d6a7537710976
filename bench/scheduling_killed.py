"""A node killed during reading and during training, several times each: what became of every style.

A Ray cluster of a head and three nodes on this machine, each with two processors and a GPU that is none; for every kill
a farm of two styles of made music, and a new node in the place of the dead one. What is read is held against a farm
without Ray, note for note by the hash of its tables. Processes of the cluster are counted afterwards.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))
from killed_nodes import STYLES, farm_and_kill, farm_once, notes_of, write_farm  # tests do the same, once each
from small_cluster import cluster_of, processes_of, wait_until

from farm.scheduling.local import LocalExecutor

NODE = {"num_cpus": 2, "num_gpus": 1, "labels": {"ray.io/accelerator-type": "T4"}}
NODES = 3


def measure(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    write_farm(scratch)
    farm_once(scratch / "whole", scratch, lambda: LocalExecutor(2), until="read")
    expected = {name: notes_of(scratch / "whole", name) for name in STYLES}
    runs = []
    with cluster_of(*[NODE] * NODES) as cluster:
        for stage in ("read", "train"):
            for number in range(options.kills):
                began = time.perf_counter()
                found = farm_and_kill(scratch, f"{stage}-{number}", cluster, stage)
                runs.append({**found, "seconds": round(time.perf_counter() - began, 1)})
                if found["killed"]:
                    cluster.add(**NODE)
        address = cluster.address
    wait_until(lambda: not processes_of(address), 60)
    for run in runs:
        run["notes"] = all(run["notes"][name] == expected[name] for name in STYLES)
    return {"nodes": NODES, "styles": len(STYLES), "runs": runs, "processes_left": len(processes_of(address))}


def print_table(facts: dict[str, Any]) -> None:
    print(f"killed: a node of {facts['nodes']} killed at work, farms of {facts['styles']} styles; no 'ray stop'")
    print(
        f"  {'during':<8}{'kills':>6}{'styles failed':>15}{'other notes':>13}{'epochs twice, most':>20}{'seconds':>9}"
    )
    for stage in dict.fromkeys(run["stage"] for run in facts["runs"]):
        runs = [run for run in facts["runs"] if run["stage"] == stage]
        kills = sum(run["killed"] is not None for run in runs)
        failed, other = sum(len(run["failed"]) for run in runs), sum(not run["notes"] for run in runs)
        twice = max(sum(run["repeated"].values()) for run in runs)
        seconds = sum(run["seconds"] for run in runs) / len(runs)
        print(f"  {stage:<8}{kills:>6}{failed:>15}{other:>13}{twice:>20}{seconds:>9.1f}")
    print(f"  processes of the cluster afterwards: {facts['processes_left']}; targets: 0, 0, at most 1 epoch, 0")
