"""Real styles on the cores of this machine: the clock against what the jobs would take if nothing were ever idle.

`farm run --executor local --json` on the smallest folders of --corpora, without a base, each trained by the farm's own
rule. The ideal is the sum of what the jobs took, as their receipts say, over the cores; a job is one thread.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import yaml
from processes import run_farm

from farm.scheduling import ledger
from farm.scheduling.plan import PER_RECIPE, STAGES
from farm.storage import Storage

LIMIT_SECONDS = 2 * 3600


def measure(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    folders = sorted((one for one in options.corpora.iterdir() if one.is_dir()), key=_bytes_of)[: options.farmed]
    styles = {one.name.lower(): {"sources": [{"folder": str(one.resolve()), "licence": "unknown"}]} for one in folders}
    farm = {"farm": 1, "recipe": options.recipe, "base": "none", "styles": styles}
    (scratch / "corpora.yaml").write_text(yaml.safe_dump(farm))
    asked = ["run", "corpora.yaml", "--executor", "local", "--cpus", str(options.cpus)]
    plan = json.loads(run_farm(["plan", "corpora.yaml", "--json"], scratch, LIMIT_SECONDS).output)
    done = run_farm(asked, scratch, LIMIT_SECONDS)
    storage = Storage(scratch / "artifacts")
    receipts = {name: ledger.read_receipts(storage, name, STAGES, PER_RECIPE) for name in styles}
    seconds = {name: sum(one["seconds"] for one in found.values()) for name, found in receipts.items()}
    lines = storage.read_lines("ledger/attempts.jsonl")
    jobs = max(line["time"] for line in lines) - min(line["time"] for line in lines)
    by_stage: dict[str, float] = {}
    for found in receipts.values():
        for key, one in found.items():
            stage = key.partition("/")[0]
            by_stage[stage] = by_stage.get(stage, 0.0) + one["seconds"]
    return {
        "styles": len(styles),
        "recipe": options.recipe,
        "cpus": options.cpus,
        "planned_seconds": round(plan["estimated_wall_seconds"], 1),
        "command_seconds": round(done.seconds, 1),
        "jobs_seconds": round(jobs, 1),
        "ideal_seconds": round(sum(seconds.values()) / options.cpus, 1),
        "longest_style_seconds": round(max(seconds.values()), 1),
        "by_stage_seconds": {stage: round(total, 1) for stage, total in by_stage.items()},
    }


def _bytes_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def print_table(facts: dict[str, Any]) -> None:
    print(f"cores: {facts['styles']} styles by {facts['recipe']} on {facts['cpus']} cores, no base")
    ideal, jobs, command = (facts[f"{name}_seconds"] for name in ("ideal", "jobs", "command"))
    print(f"  ideal, the sum of the jobs over the cores   {ideal:>8.1f} s")
    print(f"  from the first task to the last             {jobs:>8.1f} s   {jobs / ideal:.3f} of it")
    print(
        f"  the whole command                           {command:>8.1f} s   {command / ideal:.3f}; target at most 1.10"
    )
    print(f"  the longest style alone                     {facts['longest_style_seconds']:>8.1f} s")
    print(f"  what farm plan said before, without history {facts['planned_seconds']:>8.1f} s")
    stages = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in facts["by_stage_seconds"].items())
    print(f"  jobs by stage: {stages}")
