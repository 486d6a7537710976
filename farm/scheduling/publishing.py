"""The publish stage: from a verdict to a model in the catalog and the pages of the report, and what a person decides.

A style whose verdict names no epoch is not published; the catalog lists it with the reason, and the model published
before stays.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from farm import layout
from farm.catalog import publish as shelf
from farm.config import BASE
from farm.errors import BusyError, ChangedError, FarmError
from farm.scheduling import ledger
from farm.scheduling.comparing import compare, judged_runs
from farm.scheduling.entries import make_entry
from farm.scheduling.heat import measure_missing, measure_style
from farm.scheduling.kinds import why_not_shipped
from farm.scheduling.plan import PER_RECIPE, STAGES, key_of, one_recipe
from farm.scheduling.work import Work
from farm.storage import Storage
from farm.training import snapshots
from farm.website.wording import seen_of

_MOST_HEAT_SECONDS = 30.0  # for asking models about each other's music: what is left is asked at the end of a run


def publish(work: Work, receipts: Mapping[str, Any], failed: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """Publish the style's best model and rebuild the report; return what was published.

    Parameters
    ----------
    receipts
        Of all recipes, by key.
    failed
        By recipe that failed in this run, the stage and the message.
    """
    storage = work.storage()
    runs = judged_runs(storage, work, receipts, failed)
    for one in runs:
        storage.write_json(layout.run_work(work.style, one.run), one.work.to_json())
    choice, rows = compare(storage, work, runs, failed)
    chosen = next((one for one in runs if one.work.recipe.name == choice.recipe), None)
    if chosen is None:
        message, why_not = " ".join(row["why"] for row in rows), why_not_shipped(runs[0].work.recipe)
        if len(rows) == 1:
            reason = runs[0].verdict["reason"]
            message = f"{why_not}. Judged all the same: {reason}" if why_not else reason
        # the run tells the report whose curve to show where there is no model
        failure = {"style": work.style, "stage": "judge", "message": message, "run": runs[0].run}
        shelf.publish(storage, [], [failure])
        _write_site(storage, is_at_work=True)
        return {"name": None, "why": why_not, "bytes": 0, "outputs": [layout.CURRENT]}
    entry = make_entry(storage, chosen.work, chosen.receipts, chosen.run, chosen.verdict, rows)
    shelf.publish(storage, [entry], [])
    models = (current_catalog(storage) or {}).get("models", [])
    measure_style(storage, models, work.style, _MOST_HEAT_SECONDS)
    _write_site(storage, is_at_work=True)
    file = _model(storage, work.style)["files"][0]
    name = file["path"].rsplit("/", 1)[-1]
    recipe = choice.recipe if len(rows) > 1 else None
    return {"name": name, "bytes": file["bytes"], "recipe": recipe, "outputs": [file["path"]]}


def finish(storage: Storage, ended: Mapping[str, tuple[str, str]], *, did_any: bool = True) -> None:
    """Bring the failures of a run into the catalog, and the report up to date with all that its styles did at once.

    Parameters
    ----------
    ended
        For every style of the run the stage that failed and the message; both empty when it went well.
    did_any
        Whether the run did anything; after one that did not, the report is written only where it is not there.
    """
    before = current_catalog(storage)
    told = (before or {}).get("failures", [])
    failures = [
        {"style": style, "stage": stage, "message": message} for style, (stage, message) in ended.items() if message
    ]
    went_well = {style for style, (_, message) in ended.items() if not message}
    settled = [one["style"] for one in told if one["style"] in went_well and one["stage"] != "judge"]
    is_news = bool(settled) or any(failure not in told for failure in failures)
    if is_news:
        shelf.publish(storage, [], failures, settled=settled)
    asked = measure_missing(storage, (before or {}).get("models", []), _MOST_HEAT_SECONDS)
    if is_news or (before and (did_any or asked or not storage.exists(f"{layout.SITE}/index.html"))):
        _write_site(storage)


def current_catalog(storage: Storage) -> dict[str, Any] | None:
    """Return the catalog in force, None before the first."""
    return shelf.current(storage)


def decide(
    storage: Storage,
    style: str,
    status: str,
    why: str,
    *,
    epoch: int | None = None,
    although: str = "",
    seen: str | None = None,
) -> str:
    """Record a decision about a style's model, with another epoch published first where one is named.

    While a farm runs a decision about what is published is recorded all the same; the run brings the report up to date.
    Another epoch cannot be published meanwhile: BusyError.

    Parameters
    ----------
    although
        Why a model is approved that is worse than the one that ships.
    seen
        What the person saw and heard, as `seen_of` names it: ChangedError where it is another now. None for any.

    Returns
    -------
    What was done, for a person.
    """
    if epoch is None:
        decision = shelf.decide(storage, style, status, why, although=although, sha256=seen)
        _write_site_unless_busy(storage)
    else:
        with ledger.owned(storage):
            if seen is not None and seen != seen_of(current_catalog(storage) or {}, style):
                raise ChangedError(shelf.CHANGED.format(style=style))
            _overrule(storage, style, epoch, why)
            try:
                decision = shelf.decide(storage, style, status, why, although=although)
            finally:  # another epoch is published even where it is not approved
                _write_site(storage)
    overruled = "; the verdict called it unfit, your reason is kept with it" if decision["overrules"] else ""
    return f"{style}: version {decision['version']}, epoch {decision['epoch']}, {status}{overruled}"


def record_shipped(storage: Storage, report: Mapping[str, Any]) -> None:
    """Record what a pack holds, from the report of `farm.catalog.pack.ship`, when the pack stands.

    A run of the farm that is going on is not disturbed: it brings the report site up to date itself.
    """
    versions = {one["style"]: one["version"] for one in report["models"]}
    shelf.record_shipped(storage, versions, Path(report["out"]).resolve().name)
    _write_site_unless_busy(storage)


def _write_site_unless_busy(storage: Storage) -> None:
    """Bring the report up to date; a run that goes on does so itself."""
    with suppress(BusyError), ledger.owned(storage):
        _write_site(storage)


def _overrule(storage: Storage, style: str, epoch: int, why: str) -> None:
    """Publish another epoch than the picked one; FarmError with the choice when there is no such snapshot."""
    if not why.strip():
        raise FarmError(f"{style}: a decision needs its reason; add --why 'what you heard'")
    receipts = ledger.read_receipts(storage, style, STAGES, PER_RECIPE)
    recipe, published = _recipe_to_overrule(storage, style, receipts)
    if recipe is None:
        raise FarmError(f"{style}: not judged yet; run 'farm run corpora.yaml --styles {style}' first")
    own = one_recipe(receipts, recipe)
    run = own["train"]["result"]["run"]
    kept = snapshots.epochs(storage, style, run)
    if epoch not in kept:
        raise FarmError(f"{style}: epoch {epoch} has no snapshot; choose from {', '.join(map(str, kept))}")
    verdict = storage.read_json(layout.verdict(style, run))
    work = Work.from_json(storage.read_json(layout.run_work(style, run)), storage.home)
    if why_not := why_not_shipped(work.recipe):
        raise FarmError(f"{style}: {why_not}; farm it with another recipe to have a model to approve")
    bases = ledger.read_receipts(storage, BASE, (), (BASE,))
    own |= {BASE: bases[key_of(BASE, recipe)]} if key_of(BASE, recipe) in bases else {}
    if work.starts_from == BASE and own["train"]["inputs"]["base"] != own.get(BASE, {}).get("result", {}).get("digest"):
        raise FarmError(f"{style}: the base is another one since; run 'farm run corpora.yaml --styles {style}' first")
    if epoch != verdict["epoch"]:
        verdict["overruled_by"] = {"epoch": epoch, "why": why.strip(), "picked": verdict["epoch"]}
    shelf.publish(storage, [make_entry(storage, work, own, run, verdict, published)], [])


def _recipe_to_overrule(
    storage: Storage, style: str, receipts: Mapping[str, Any]
) -> tuple[str | None, list[dict[str, Any]]]:
    """Return the recipe whose epoch a person means, the published one's or else any judged one; and all their rows."""
    model = next((one for one in (current_catalog(storage) or {}).get("models", []) if one["style"] == style), None)
    judged = [key.partition("/")[2] for key in receipts if key.startswith("judge/")]
    if model is not None and model["lineage"]["recipe"] in judged:
        return model["lineage"]["recipe"], model.get("recipes", [])
    return (judged[0] if judged else None), []


def _model(storage: Storage, style: str) -> dict[str, Any]:
    models = (current_catalog(storage) or {}).get("models", [])
    return next(model for model in models if model["style"] == style)


def _write_site(storage: Storage, *, is_at_work: bool = False) -> None:
    from farm.website.write import write_site

    write_site(storage, is_at_work=is_at_work)
