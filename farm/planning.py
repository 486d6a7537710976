"""What a run would do, as facts and as lines for a person: `farm plan`.

`plan_facts` returns plain data, which is what `--json` prints; `plan_lines` only words it.
"""

import os
from collections.abc import Mapping
from typing import Any

from farm.catalog.entry import is_unknown
from farm.config import BASE
from farm.farm_config import Farm
from farm.scheduling.estimates import expected_bytes, expected_stage_seconds
from farm.scheduling.forecast import wall_seconds
from farm.scheduling.local import node_here
from farm.scheduling.machines import describe
from farm.scheduling.state import BaseState, StyleState
from farm.scheduling.survey import survey
from farm.storage import Storage
from farm.training.devices import list_gpus
from farm.website.text import duration


def plan_facts(farm: Farm, storage: Storage) -> dict[str, Any]:
    """Return every job of every style with its reason, or None when fresh, and what is estimated of time and disk."""
    states, base = survey(farm, storage, list(farm.styles))
    here = node_here(len(os.sched_getaffinity(0)), list_gpus())
    return {
        "bases": _base_facts(base) if base else [],
        "styles": [_style_facts(state) for state in states],
        "estimated_wall_seconds": wall_seconds(states, base, [here]),
        "machine": describe([here]),
        "artifacts": storage.root,
    }


def _style_facts(state: StyleState) -> dict[str, Any]:
    recipes = {recipe.name: recipe for recipe in state.work.recipes}
    jobs = []
    for job in state.jobs:
        recipe = recipes.get(job.recipe, state.work.recipe)
        seconds = (
            0.0 if job.fresh else expected_stage_seconds(job.key, state.files, state.receipts, recipe, state.history)
        )
        name = {"recipe": job.recipe} if job.recipe and len(recipes) > 1 else {}
        jobs.append({"stage": job.stage, **name, "reason": job.reason, "estimated_seconds": seconds})
    stale = not all(job.fresh for job in state.jobs)
    return {
        "style": state.style,
        "files": len(state.files),
        "bytes": sum(file.bytes for file in state.files),
        "jobs": jobs,
        "error": state.error,
        "estimated_seconds": sum(job["estimated_seconds"] for job in jobs),
        "estimated_bytes": expected_bytes(state.files, state.work.recipes) if stale else 0,
    }


def _base_facts(base: BaseState) -> list[dict[str, Any]]:
    """Return for each base whether it has to be looked at, what it may hear, and whose licence keeps it from that."""
    facts = []
    for job in base.jobs:
        work = base.works[job.recipe]
        labels = {name: sources for name, sources in work.labels().items() if name in work.hears}
        unknown = [
            name for name, sources in labels.items() if all(is_unknown(one["licence"]) for one in sources.values())
        ]
        result = base.receipts.get(job.key, {}).get("result")
        facts.append(
            {
                "recipe": job.recipe,
                "reason": job.reason,
                "estimated_seconds": 0.0 if job.fresh else job.last_seconds or base.expected_seconds,
                "hears": [name for name in work.hears if name not in base.unread],
                "unlicensed": unknown if len(unknown) < len(labels) else [],
                "unread": dict(base.unread),
                "file": result["file"] if result else None,
            }
        )
    return facts


def plan_lines(facts: Mapping[str, Any]) -> list[str]:
    text = []
    for base in facts["bases"]:
        name = f"base {base['recipe']}" if len(facts["bases"]) > 1 else "base"
        parts = [f"hears {len(base['hears'])} styles"]
        if base["unlicensed"]:
            parts.append(f"not {', '.join(base['unlicensed'])}, whose licence is unknown")
        if base["unread"]:
            parts.append(f"not {', '.join(base['unread'])}, which cannot be read")
        about = f"about {duration(base['estimated_seconds'])} on one CPU"
        stays = "; while all that it heard is allowed it stays, and trains no style anew" if base["file"] else ""
        parts.append(f"{BASE} ({base['reason']}); {about}{stays}" if base["reason"] else "fresh")
        text.append(f"{name}: {'; '.join(parts)}")
    for style in facts["styles"]:
        if style["error"]:
            text.append(f"{style['style']}: cannot run: {style['error']}")
            continue
        stale = [
            f"{' '.join(filter(None, (job['stage'], job.get('recipe'))))} ({job['reason']})"
            for job in style["jobs"]
            if job["reason"]
        ]
        about = f"about {duration(style['estimated_seconds'])} on one CPU, {style['estimated_bytes'] / 1e6:.0f} MB"
        text.append(
            f"{style['style']}: {style['files']} files; " + (", ".join(stale) + f"; {about}" if stale else "fresh")
        )
    seconds = sum(one["estimated_seconds"] for one in (*facts["styles"], *facts["bases"]))
    n_bytes = sum(style["estimated_bytes"] for style in facts["styles"])
    if not seconds:
        return [*text, f"nothing to do in {facts['artifacts']}"]
    return [
        *text,
        f"in all about {duration(seconds)} of jobs and {n_bytes / 1e6:.0f} MB in {facts['artifacts']}",
        f"on this machine about {duration(facts['estimated_wall_seconds'])}: {facts['machine']}",
    ]
