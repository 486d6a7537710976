"""The publish stage: from a verdict to a model in the catalog and the pages of the report, and what a person decides.

A style whose verdict names no epoch is not published; the catalog lists it with the reason, and the model published
before stays.
"""

from collections.abc import Mapping
from typing import Any

from farm import layout
from farm.catalog import publish as shelf
from farm.errors import FarmError
from farm.scheduling import ledger
from farm.scheduling.entries import make_entry
from farm.scheduling.kinds import why_not_shipped
from farm.scheduling.plan import Work
from farm.storage import Storage
from farm.training import snapshots


def publish(work: Work, receipts: Mapping[str, Any]) -> dict[str, Any]:
    """Publish the style's picked model and rebuild the report; return what was published."""
    storage = Storage(work.root)
    run = receipts["train"]["result"]["run"]
    storage.write_json(layout.run_work(work.style, run), work.to_json())
    verdict = storage.read_json(layout.verdict(work.style, run))
    why_not = why_not_shipped(work.recipe)
    if why_not or verdict["epoch"] is None:
        message = f"{why_not}. Judged all the same: {verdict['reason']}" if why_not else verdict["reason"]
        # the run tells the report whose curve to show where there is no model
        failure = {"style": work.style, "stage": "judge", "message": message, "run": run}
        shelf.publish(storage, [], [failure])
        _write_site(storage)
        return {"name": None, "why": why_not, "bytes": 0, "outputs": [layout.CURRENT]}
    entry = make_entry(storage, work, receipts, run, verdict)
    shelf.publish(storage, [entry], [])
    _write_site(storage)
    model = _model(storage, work.style)
    files = model["files"]
    return {"name": files[0]["path"].rsplit("/", 1)[-1], "bytes": files[0]["bytes"], "outputs": [files[0]["path"]]}


def finish(storage: Storage, ended: Mapping[str, tuple[str, str]]) -> None:
    """Bring the failures of a run into the catalog and the report.

    Parameters
    ----------
    ended
        For every style of the run the stage that failed and the message; both empty when it went well.
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
    if is_news or (before and not storage.exists(f"{layout.SITE}/index.html")):
        _write_site(storage)


def current_catalog(storage: Storage) -> dict[str, Any] | None:
    """Return the catalog in force, None before the first."""
    return shelf.current(storage)


def decide(storage: Storage, style: str, status: str, why: str, *, epoch: int | None) -> str:
    """Record a decision about a style's model, with another epoch published first where one is named.

    Returns
    -------
    What was done, for a person.
    """
    with ledger.owned(storage):
        if epoch is not None:
            _overrule(storage, style, epoch, why)
        decision = shelf.decide(storage, style, status, why)
        _write_site(storage)
    overruled = "; the verdict called it unfit, your reason is kept with it" if decision["overrules"] else ""
    return f"{style}: version {decision['version']}, epoch {decision['epoch']}, {status}{overruled}"


def _overrule(storage: Storage, style: str, epoch: int, why: str) -> None:
    """Publish another epoch than the picked one; FarmError with the choice when there is no such snapshot."""
    if not why.strip():
        raise FarmError(f"{style}: a decision needs its reason; add --why 'what you heard'")
    receipts = ledger.read_receipts(storage, style, ("read", "baseline", "train", "judge"))
    if "judge" not in receipts:
        raise FarmError(f"{style}: not judged yet; run 'farm run corpora.yaml --styles {style}' first")
    run = receipts["train"]["result"]["run"]
    kept = snapshots.epochs(storage, style, run)
    if epoch not in kept:
        raise FarmError(f"{style}: epoch {epoch} has no snapshot; choose from {', '.join(map(str, kept))}")
    verdict = storage.read_json(layout.verdict(style, run))
    if epoch == verdict["epoch"]:
        return
    work = Work.from_json(storage.read_json(layout.run_work(style, run)), str(storage.root))
    if why_not := why_not_shipped(work.recipe):
        raise FarmError(f"{style}: {why_not}; farm it with another recipe to have a model to approve")
    verdict["overruled_by"] = {"epoch": epoch, "why": why.strip(), "picked": verdict["epoch"]}
    shelf.publish(storage, [make_entry(storage, work, receipts, run, verdict)], [])


def _model(storage: Storage, style: str) -> dict[str, Any]:
    models = (current_catalog(storage) or {}).get("models", [])
    return next(model for model in models if model["style"] == style)


def _write_site(storage: Storage) -> None:
    from farm.website.write import write_site

    write_site(storage)
