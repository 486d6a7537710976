"""All recipes of a style side by side: what each came to, and which of them is published."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from farm import layout
from farm.catalog.model_file import model_files
from farm.catalog.rivals import Choice, Rival, choose
from farm.scheduling.entries import card_of, draft_entry
from farm.scheduling.kinds import why_not_shipped
from farm.scheduling.plan import one_recipe
from farm.scheduling.work import Work
from farm.storage import Storage
from farm.training import snapshots
from farm.training.loading import Music, load_music


@dataclass(frozen=True)
class Trained:
    """One recipe's run that was judged."""

    work: Work
    receipts: Mapping[str, Any]
    run: str
    verdict: Mapping[str, Any]


def judged_runs(storage: Storage, work: Work, receipts: Mapping[str, Any], without: Mapping[str, Any]) -> list[Trained]:
    """Return the run of every recipe of a style but those in `without`, in the order of corpora.yaml."""
    found = []
    for recipe in work.recipes:
        if recipe.name not in without:
            own = one_recipe(receipts, recipe.name)
            run = own["train"]["result"]["run"]
            verdict = storage.read_json(layout.verdict(work.style, run))
            found.append(Trained(work.alone(recipe.name), own, run, verdict))
    return found


def compare(
    storage: Storage, work: Work, runs: list[Trained], failed: Mapping[str, tuple[str, str]]
) -> tuple[Choice, list[dict[str, Any]]]:
    """Return which recipe is published, and the row of each in the catalog.

    Parameters
    ----------
    failed
        By recipe that failed, the stage and the message.
    """
    music = load_music(storage, work.style)
    rivals, rows = {}, {}
    for one in runs:
        name, result = one.work.recipe.name, one.receipts["judge"]["result"]
        trouble = why_not_shipped(one.work.recipe)
        sizes, bits = ({}, None) if trouble else _sizes_and_bits(storage, one, music)
        if not trouble and one.verdict["epoch"] is None:
            trouble = result["reason"]
        rivals[name] = Rival(name, one.work.recipe.network.kind, result["fit"], sizes, bits, trouble)
        rows[name] = {
            "recipe": name,
            "run": one.run,
            "bytes": sizes,
            "val_bits_per_note": bits,
            "epoch": one.verdict["epoch"],
            "verdict": one.verdict["verdict"],
            "fit": result["fit"],
            "seconds": round(sum(one.receipts[stage]["seconds"] for stage in ("train", "judge")), 1),
        }
    for name, (stage, message) in failed.items():
        kind = next(recipe.network.kind for recipe in work.recipes if recipe.name == name)
        last = message.strip().splitlines()[-1]
        rivals[name] = Rival(name, kind, False, {}, None, f"its {stage} failed: {last}")
        empty: dict[str, Any] = {"recipe": name, "bytes": {}, "val_bits_per_note": None, "epoch": None}
        rows[name] = {**empty, "verdict": "failed", "fit": False, "seconds": None}
    order = [recipe.name for recipe in work.recipes if recipe.name in rows]
    choice = choose([rivals[name] for name in order], work.settings.max_bytes)
    return choice, [{**rows[name], "chosen": name == choice.recipe, "why": choice.why[name]} for name in order]


def _sizes_and_bits(storage: Storage, one: Trained, music: Music) -> tuple[dict[str, int], float | None]:
    """Return the bytes of a run's model file by precision and its held-out bits; nothing where no epoch was picked."""
    epoch = one.verdict["epoch"]
    if epoch is None:
        return {}, None
    entry = draft_entry(storage, one.work, one.receipts, one.run, one.verdict)
    architecture, encoding, weights = snapshots.load(storage, one.work.style, one.run, epoch)
    files = model_files(weights, architecture, encoding, card_of(entry, music))
    sizes = {file["precision"]: len(file["data"]) for file in files}
    return sizes, entry["quality"]["val_bits_per_note"]
