"""Facts about what a farm has done, and the same as lines for a person: `farm status`, the end of `farm run`.

Each `*_facts` returns plain data, which is what `--json` prints; each `*_lines` only words it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from farm import layout
from farm.config import BASE
from farm.progress import base_sentence, describe, state_counts
from farm.scheduling import ledger
from farm.scheduling.plan import STAGES, key_of, one_recipe
from farm.scheduling.publishing import current_catalog
from farm.scheduling.state import BaseState, StyleState, receipts_of
from farm.storage import Storage


def run_facts(states: Sequence[StyleState], base: BaseState | None, storage: Storage) -> dict[str, Any]:
    """Return how every style of a run ended, and the bases, with the catalog and the report's place."""
    site = f"{layout.SITE}/index.html"
    styles = [_ended(state) for state in states]
    return {
        "styles": styles,
        "bases": [_ended_base(base, recipe, storage) for recipe in base.recipes] if base else [],
        "failed": [style["style"] for style in styles if style["error"] or style.get("failed_recipes")],
        "site": storage.address(site) if storage.exists(site) else None,
    }


def _ended(state: StyleState) -> dict[str, Any]:
    recipes = {}
    for recipe in state.recipes:
        judged = one_recipe(state.receipts, recipe).get("judge", {}).get("result", {})
        recipes[recipe] = {"epoch": judged.get("epoch"), "verdict": judged.get("verdict")}
    first = next(iter(recipes.values()))
    published = state.receipts.get("publish", {}).get("result", {}).get("recipe")
    failed = {recipe: message for recipe, (_, message) in state.failed.items()}
    several = {"recipes": recipes, "published_recipe": published, "failed_recipes": failed}
    return {
        "style": state.style,
        "ran": state.ran,
        "failed_stage": state.stage_failed or None,
        "error": state.error or None,
        "states": state.receipts.get("read", {}).get("result", {}).get("states", {}),
        **recipes.get(published, first),
        **(several if len(recipes) > 1 else {}),
    }


def _ended_base(base: BaseState, recipe: str, storage: Storage) -> dict[str, Any]:
    """Return the state of one base, its file as a path that another farm's corpora.yaml can name."""
    result = base.receipts.get(key_of(BASE, recipe), {}).get("result") or {}
    told = {name: result.get(name) for name in ("run", "epoch", "val_bits_per_note", "trained", "why")}
    told["file"] = storage.address(result["file"]) if result else None
    error = base.failed.get(recipe, ("", ""))[1] or None
    ran = base.named(BASE, recipe) in base.ran
    return {"recipe": recipe, "ran": ran, **told, "says": base_sentence(result) if result else "", "error": error}


def run_lines(facts: Mapping[str, Any]) -> list[str]:
    text = []
    for base in facts["bases"]:
        name = f"base {base['recipe']}" if len(facts["bases"]) > 1 else BASE
        if base["error"]:
            text.append(f"{name}: failed: {base['error'].strip()}")
        elif base["ran"]:
            text.append(f"{name}: {base['says']}")
    for style in facts["styles"]:
        if style["error"]:
            text.append(f"{style['style']}: failed at {style['failed_stage']}: {style['error'].strip()}")
        elif not style["ran"] and not style.get("failed_recipes"):
            text.append(f"{style['style']}: fresh, nothing to do")
        else:
            recipe = f"{style['published_recipe']}, " if style.get("published_recipe") else ""
            verdict = f", {recipe}{style['verdict']}, epoch {style['epoch'] or 'none'}" if style["verdict"] else ""
            text.append(f"{style['style']}: {', '.join(style['ran']) or 'nothing'} done{verdict}")
            if "read" in style["ran"]:
                text.append("  files: " + " · ".join(state_counts(style["states"])))
        if not style["error"]:
            text += [f"  {recipe} failed: {why.strip()}" for recipe, why in style.get("failed_recipes", {}).items()]
    return [*text, *([f"report: {facts['site']}"] if facts["site"] else [])]


def status_facts(storage: Storage, *, with_rejects: bool) -> dict[str, Any]:
    """Return stages, epochs, time left, attempts and counts of files for every style that has left anything."""
    tries = ledger.attempts(storage)
    models = {model["style"]: model for model in (current_catalog(storage) or {}).get("models", [])}
    running = ledger.is_running(storage)
    known = {key.rsplit("/", 1)[-1].removesuffix(".json") for key in storage.list(layout.PROGRESS, ".json")}
    known |= {style for style, _, _ in tries} | set(models)
    styles = []
    for style in sorted(known - {BASE}):
        receipts = receipts_of(storage, style)
        recipe = _recipe_shown(receipts, models.get(style, {}))
        result = {stage: receipt["result"] for stage, receipt in one_recipe(receipts, recipe).items()}
        progress = ledger.read_progress(storage, style)
        failed = [facts["failed"] for facts in progress if facts.get("failed")]
        styles.append(
            {
                "style": style,
                "recipe": recipe or None,
                "done": [stage for stage in STAGES if stage in result],
                "failed": failed[0] if failed else None,
                "at_work": [facts for facts in progress if not facts.get("failed")] if running else [],
                "states": result.get("read", {}).get("states", {}),
                "epochs": result.get("train", {}).get("epochs"),
                "epoch": result.get("judge", {}).get("epoch"),
                "verdict": result.get("judge", {}).get("verdict"),
                "model": models.get(style, {}).get("status"),
                "attempts": _attempts(tries, style, recipe),
                "seconds": round(sum(receipt["seconds"] for receipt in receipts.values()), 1),
                **({"rejects": _rejects(storage, style)} if with_rejects else {}),
            }
        )
    bases = _bases_there(storage, running)
    return {"artifacts": storage.root, "running": running, "bases": bases, "styles": styles}


def _recipe_shown(receipts: Mapping[str, Any], model: Mapping[str, Any]) -> str:
    """Return the recipe that stands for a style: the published one's, else any that has got furthest; '' for none."""
    known = [key.partition("/")[2] for stage in ("judge", "train") for key in receipts if key.startswith(f"{stage}/")]
    published = model.get("lineage", {}).get("recipe", "")
    return published if published in known else next(iter(known), "")


def _attempts(tries: Mapping[tuple[str, str, str], int], style: str, recipe: str) -> dict[str, int]:
    counts = {stage: tries.get((style, stage, ""), 0) + tries.get((style, stage, recipe or "-"), 0) for stage in STAGES}
    return {stage: count for stage, count in counts.items() if count}


def _bases_there(storage: Storage, running: bool) -> list[dict[str, Any]]:
    """Return every base there is, and what is at work on one now."""
    progress = {facts["recipe"]: facts for facts in ledger.read_progress(storage, BASE)}
    results = {key.partition("/")[2]: receipt["result"] for key, receipt in receipts_of(storage, BASE).items()}
    found = []
    for recipe in sorted({*progress, *results}):
        facts, result = progress.get(recipe, {}), results.get(recipe, {})
        told = {name: result.get(name) for name in ("run", "epoch", "epochs", "val_bits_per_note", "styles")}
        file = storage.address(result["file"]) if result else None
        at_work = facts if running and facts and not facts.get("failed") else None
        found.append({"recipe": recipe, **told, "file": file, "failed": facts.get("failed"), "at_work": at_work})
    return found


def status_lines(facts: Mapping[str, Any]) -> list[str]:
    if not facts["styles"]:
        return [_nothing(facts)]
    text = []
    for base in facts["bases"]:
        parts = [f"base {base['recipe']}"]
        if base["failed"]:
            parts.append(f"failed: {base['failed'].strip().splitlines()[-1]}")
        elif base["at_work"]:
            parts.append(describe(base["at_work"]))
        if base["file"]:
            parts.append(f"epoch {base['epoch']} of {base['epochs']}, {base['val_bits_per_note']:.2f} bits a note")
            parts.append(f"for another farm: {base['file']}")
        text.append("; ".join(parts))
    for style in facts["styles"]:
        parts = [f"{style['style']}: {', '.join(style['done']) or 'nothing'} done"]
        if style["failed"]:
            parts.append(f"failed: {style['failed'].strip().splitlines()[-1]}")
        for one in style["at_work"]:
            parts.append(f"{one['recipe']}: {describe(one)}" if len(style["at_work"]) > 1 else describe(one))
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
    if not facts["styles"]:
        return [_nothing(facts)]
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


def _nothing(facts: Mapping[str, Any]) -> str:
    return f"{facts['artifacts']}: nothing yet; run 'farm run corpora.yaml' first"
