"""A pack of a whole farm within a budget: what ships in which precision, and how long packing and checking take."""

import argparse
import shutil
import time
from pathlib import Path
from typing import Any

from farm import layout
from farm.catalog.entry import is_fit
from farm.catalog.pack import ship
from farm.catalog.publish import current, decide
from farm.catalog.verify import verify
from farm.storage import Storage

BUDGET_BYTES = 20_000_000


def measure(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Approve every fit model in a copy of the catalog, pack all within the budget, and check the pack."""
    shutil.copytree(options.artifacts / layout.CATALOG, scratch / "artifacts" / layout.CATALOG)
    storage = Storage(scratch / "artifacts")
    models = (current(storage) or {"models": []})["models"]
    for model in models:
        if is_fit(model):
            decide(storage, model["style"], "approved", "for a bench", although="for a bench")
    started = time.perf_counter()
    report = ship(storage, scratch / "pack", budget_bytes=BUDGET_BYTES)
    packed = time.perf_counter()
    problems = verify(scratch / "pack")
    return {
        "styles": len(models),
        "bytes": report["bytes"],
        "models": [{key: one[key] for key in ("style", "precision", "bytes", "in_page")} for one in report["models"]],
        "left_out": report["left_out"],
        "problems": problems,
        "seconds": {"ship": packed - started, "verify": time.perf_counter() - packed},
    }


def print_table(facts: dict[str, Any]) -> None:
    models, seconds = facts["models"], facts["seconds"]
    kinds = {name: sum(one["precision"] == name for one in models) for name in ("float32", "float16", "int8")}
    told = ", ".join(f"{count} in {name}" for name, count in kinds.items() if count)
    print(f"pack: {len(models)} of {facts['styles']} styles within {BUDGET_BYTES / 1e6:.0f} MB")
    print(f"  {facts['bytes'] / 1e6:.2f} MB: {told}; {sum(one['in_page'] for one in models)} in the page too")
    print(
        f"  packed in {seconds['ship']:.1f} s, checked in {seconds['verify']:.1f} s, {len(facts['problems'])} problems"
    )
    for one in facts["left_out"]:
        print(f"  {one['style']} left out: {one['why']}")
