"""Facts about a farm, and the same as lines for a person: `farm plan`, `farm status`, the end of `farm run`.

Each `*_facts` returns plain data, which is what `--json` prints; each `*_lines` only words it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from farm import layout
from farm.config import Farm
from farm.progress import describe, state_counts
from farm.scheduling import ledger
from farm.scheduling.plan import STAGES
from farm.scheduling.publishing import current_catalog
from farm.scheduling.stages import expected_bytes, expected_stage_seconds
from farm.scheduling.state import StyleState, receipts_of, survey
from farm.storage import Storage
from farm.website.text import duration


def plan_facts(farm: Farm, storage: Storage) -> dict[str, Any]:
    """Return every job of every style with its reason, or None when fresh, and what is estimated of time and disk."""
    styles = []
    for state in survey(farm, storage, list(farm.styles)):
        known = (state.files, state.receipts, state.work.recipe)
        seconds = {job.stage: 0.0 if job.fresh else expected_stage_seconds(job.stage, *known) for job in state.jobs}
        jobs = [
            {"stage": job.stage, "reason": job.reason, "estimated_seconds": seconds[job.stage]} for job in state.jobs
        ]
        stale = not all(job.fresh for job in state.jobs)
        styles.append(
            {
                "style": state.style,
                "files": len(state.files),
                "bytes": sum(file.bytes for file in state.files),
                "jobs": jobs,
                "error": state.error,
                "estimated_seconds": sum(seconds.values()),
                "estimated_bytes": expected_bytes(state.files, state.work.recipe) if stale else 0,
            }
        )
    return {"styles": styles, "artifacts": str(storage.root)}


def plan_lines(facts: Mapping[str, Any]) -> list[str]:
    text = []
    for style in facts["styles"]:
        if style["error"]:
            text.append(f"{style['style']}: cannot run: {style['error']}")
            continue
        stale = [f"{job['stage']} ({job['reason']})" for job in style["jobs"] if job["reason"]]
        about = f"about {duration(style['estimated_seconds'])} on one CPU, {style['estimated_bytes'] / 1e6:.0f} MB"
        text.append(
            f"{style['style']}: {style['files']} files; " + (", ".join(stale) + f"; {about}" if stale else "fresh")
        )
    seconds = sum(style["estimated_seconds"] for style in facts["styles"])
    n_bytes = sum(style["estimated_bytes"] for style in facts["styles"])
    return [*text, f"in all about {duration(seconds)} of one CPU and {n_bytes / 1e6:.0f} MB in {facts['artifacts']}"]


def run_facts(states: Sequence[StyleState], storage: Storage) -> dict[str, Any]:
    """Return how every style of a run ended, with the catalog and the report's place."""
    styles = [
        {
            "style": state.style,
            "ran": state.ran,
            "failed_stage": state.stage_failed or None,
            "error": state.error or None,
            "states": state.receipts.get("read", {}).get("result", {}).get("states", {}),
            "epoch": state.receipts.get("judge", {}).get("result", {}).get("epoch"),
            "verdict": state.receipts.get("judge", {}).get("result", {}).get("verdict"),
        }
        for state in states
    ]
    site = storage.path(f"{layout.SITE}/index.html")
    return {
        "styles": styles,
        "failed": [style["style"] for style in styles if style["error"]],
        "site": str(site) if site.exists() else None,
    }


def run_lines(facts: Mapping[str, Any]) -> list[str]:
    text = []
    for style in facts["styles"]:
        if style["error"]:
            text.append(f"{style['style']}: failed at {style['failed_stage']}: {style['error'].strip()}")
        elif not style["ran"]:
            text.append(f"{style['style']}: fresh, nothing to do")
        else:
            verdict = f", {style['verdict']}, epoch {style['epoch'] or 'none'}" if style["verdict"] else ""
            text.append(f"{style['style']}: {', '.join(style['ran'])} done{verdict}")
            if "read" in style["ran"]:
                text.append("  files: " + " · ".join(state_counts(style["states"])))
    return [*text, *([f"report: {facts['site']}"] if facts["site"] else [])]


def status_facts(storage: Storage, *, with_rejects: bool) -> dict[str, Any]:
    """Return stages, epochs, time left, attempts and counts of files for every style that has left anything."""
    tries = ledger.attempts(storage)
    models = {model["style"]: model for model in (current_catalog(storage) or {}).get("models", [])}
    running = ledger.is_running(storage)
    known = {key.rsplit("/", 1)[-1].removesuffix(".json") for key in storage.list(layout.PROGRESS, ".json")}
    known |= {style for style, _ in tries} | set(models)
    styles = []
    for style in sorted(known):
        receipts = receipts_of(storage, style)
        result = {stage: receipt["result"] for stage, receipt in receipts.items()}
        progress = ledger.read_progress(storage, style)
        styles.append(
            {
                "style": style,
                "done": [stage for stage in STAGES if stage in receipts],
                "failed": progress.get("failed"),
                "at_work": progress if running and progress and not progress.get("failed") else None,
                "states": result.get("read", {}).get("states", {}),
                "epochs": result.get("train", {}).get("epochs"),
                "epoch": result.get("judge", {}).get("epoch"),
                "verdict": result.get("judge", {}).get("verdict"),
                "model": models.get(style, {}).get("status"),
                "attempts": {stage: tries[style, stage] for stage in STAGES if (style, stage) in tries},
                "seconds": round(sum(receipt["seconds"] for receipt in receipts.values()), 1),
                **({"rejects": _rejects(storage, style)} if with_rejects else {}),
            }
        )
    return {"artifacts": str(storage.root), "running": running, "styles": styles}


def status_lines(facts: Mapping[str, Any]) -> list[str]:
    if not facts["styles"]:
        return [f"{facts['artifacts']}: nothing yet; run 'farm run corpora.yaml' first"]
    text = []
    for style in facts["styles"]:
        parts = [f"{style['style']}: {', '.join(style['done']) or 'nothing'} done"]
        if style["failed"]:
            parts.append(f"failed: {style['failed'].strip().splitlines()[-1]}")
        elif style["at_work"]:
            parts.append(describe(style["at_work"]))
        if style["verdict"]:
            parts.append(f"{style['verdict']}, epoch {style['epoch'] or 'none'} of {style['epochs']}")
        if style["model"]:
            parts.append(str(style["model"]))
        again = {stage: count for stage, count in style["attempts"].items() if count > 1}
        if again:
            parts.append("attempts: " + ", ".join(f"{stage} {count}" for stage, count in again.items()))
        text.append("; ".join(parts))
        if style["states"]:
            text.append("  files: " + " · ".join(state_counts(style["states"])))
    return [*text, "a farm is running" if facts["running"] else "no farm is running"]


def reject_lines(facts: Mapping[str, Any]) -> list[str]:
    """Return style, path and reason of every file that was not read, one a line."""
    text = [
        "\t".join(_printable(part) for part in (style["style"], row["path"], row["state"], row["reason"]))
        for style in facts["styles"]
        for row in style["rejects"]
    ]
    return text or ["every file was read"]


def _printable(text: str) -> str:
    """Return text for a terminal and one line: what is no printable character is written as its escape."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


def _rejects(storage: Storage, style: str) -> list[dict[str, Any]]:
    from farm.corpus.tables import read_pieces

    if not storage.exists(layout.pieces(style)):
        return []
    pieces = read_pieces(storage, style)
    others = pieces[pieces["state"] != "read"]
    return [{"path": row.path, "state": row.state, "reason": row.reason} for row in others.itertuples()]
