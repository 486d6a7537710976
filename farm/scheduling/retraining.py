"""Trainings that a person asked for anew: lines of the ledger that the next run honours.

Conventions
-----------
The same training gives the same network, so another one is the same recipe on the same notes with the next seed. How
many a person asked for beyond the first is part of what a training depends on, so the run that was not liked keeps its
folder; the last line about a recipe says it. Lines are appended without owning the artifacts: a farm that runs
meanwhile has read them at its start, and the next one reads these.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from farm import layout
from farm.catalog.publish import current
from farm.errors import FarmError
from farm.scheduling import ledger
from farm.scheduling.plan import PER_RECIPE, STAGES, key_of
from farm.scheduling.work import ASKED
from farm.storage import Storage


def asked(storage: Storage) -> dict[str, dict[str, int]]:
    """Return how many trainings are asked for beyond the first, by style and recipe; only what is above 0."""
    counts: dict[str, dict[str, int]] = {}
    for line in storage.read_lines(layout.RETRAINING):
        counts.setdefault(line["style"], {})[line["recipe"]] = line["number"]
    more = {style: {name: number for name, number in found.items() if number} for style, found in counts.items()}
    return {style: found for style, found in more.items() if found}


def waiting(storage: Storage, style: str) -> dict[str, str]:
    """Return by recipe why another training is asked for, of those that no run has made yet."""
    last = {line["recipe"]: line for line in storage.read_lines(layout.RETRAINING) if line["style"] == style}
    receipts = ledger.read_receipts(storage, style, STAGES, PER_RECIPE) if last else {}
    return {recipe: line["why"] for recipe, line in last.items() if line["number"] > _made(receipts, recipe)}


def ask(storage: Storage, style: str, why: str) -> str:
    """Ask the next run to train a style's recipe anew, the published one where there is one; return the recipe.

    Raises
    ------
    FarmError
        Without a reason, for a style that was never trained, and where one is asked for already.
    """
    if not why.strip():
        raise FarmError(f"{style}: another training needs its reason; say what was wrong with this one")
    receipts = ledger.read_receipts(storage, style, STAGES, PER_RECIPE)
    recipe = _recipe_of(storage, style, receipts)
    if recipe in waiting(storage, style):
        raise FarmError(f"{style}: another training is asked for already; the next 'farm run' makes it")
    _append(storage, style, recipe, _made(receipts, recipe) + 1, why.strip())
    return recipe


def take_back(storage: Storage, style: str) -> str:
    """Take back what was asked for and no run has made yet; return the recipe. FarmError where nothing waits."""
    recipe = next(iter(waiting(storage, style)), None)
    if recipe is None:
        raise FarmError(f"{style}: no training is asked for; there is nothing to take back")
    receipts = ledger.read_receipts(storage, style, STAGES, PER_RECIPE)
    _append(storage, style, recipe, _made(receipts, recipe), "")
    return recipe


def _made(receipts: Mapping[str, Any], recipe: str) -> int:
    """Return how many trainings had been asked for when the recipe was trained last, 0 where it never was."""
    receipt = receipts.get(key_of("train", recipe))
    return int(receipt["inputs"].get(ASKED, 0)) if receipt else 0


def _recipe_of(storage: Storage, style: str, receipts: Mapping[str, Any]) -> str:
    models = (current(storage) or {}).get("models", [])
    published = next((str(one["lineage"]["recipe"]) for one in models if one["style"] == style), None)
    trained = [key.partition("/")[2] for key in receipts if key.startswith("train/")]
    if published is None and not trained:
        raise FarmError(f"{style}: was never trained; 'farm run' does it without being asked")
    return published or trained[0]


def _append(storage: Storage, style: str, recipe: str, number: int, why: str) -> None:
    time = datetime.now(UTC).isoformat(timespec="seconds")
    line = {"time": time, "style": style, "recipe": recipe, "number": number, "why": why}
    storage.append_json(layout.RETRAINING, line)
