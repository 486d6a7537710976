"""What must run, and why. Pure: a style's settings, its input files and its receipts in, jobs out.

Conventions
-----------
A job is one stage of one style; training and judging are a job for each of its recipes. Its *key* is the stage, or
stage and recipe with a slash between. A stage is *fresh* when its receipt was written for the very inputs it would have
now; otherwise it is stale, with a reason. Inputs are content and settings only: never a time, a path, a number of
CPUs or of attempts. What follows a stale stage is stale too; whether it really has to run is known when the stage
before is done, because the receipts hold what came out: the same notes train nothing anew.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

from farm.config import BASE, digest
from farm.farm_config import Style
from farm.scheduling.work import CODE_VERSIONS, BaseWork, Work

STAGES = ("read", "baseline", "train", "judge", "publish")
PER_RECIPE = ("train", "judge")
UNTIL = {
    "read": ("read",),
    "train": ("read", "baseline", BASE, "train"),
    "judge": ("read", "baseline", BASE, "train", "judge"),
    "publish": ("read", "baseline", BASE, "train", "judge", "publish"),
}

Receipts = Mapping[str, Mapping[str, Any]]
"""By key: `inputs` a stage was done for, `result`, `seconds`."""


@dataclass(frozen=True)
class Job:
    """One stage of one style, and whether it has to run."""

    style: str
    stage: str
    inputs: Mapping[str, str]
    reason: str | None  # why it must run; None when fresh
    ready: bool  # all stages before it are fresh
    last_seconds: float | None  # what it took last time
    recipe: str = ""  # whose training it is; empty for the stages that all recipes share

    @property
    def fresh(self) -> bool:
        return self.reason is None

    @property
    def key(self) -> str:
        return key_of(self.stage, self.recipe)


def key_of(stage: str, recipe: str = "") -> str:
    return f"{stage}/{recipe}" if recipe else stage


def one_recipe(receipts: Receipts, recipe: str) -> dict[str, Any]:
    """Return by stage the receipts that all recipes share and those of this one."""
    own = {key.removesuffix(f"/{recipe}"): value for key, value in receipts.items() if key.endswith(f"/{recipe}")}
    return {**{key: value for key, value in receipts.items() if "/" not in key}, **own}


def plan_style(
    work: Work,
    files_digest: str,
    receipts: Receipts,
    failed: Collection[str] = (),
    lost: Mapping[str, str] = MappingProxyType({}),
) -> list[Job]:
    """Return the jobs of one style in order, fresh ones included.

    Parameters
    ----------
    files_digest
        Hash over the input files' paths and contents.
    receipts
        Among them, under `base/<recipe>`, that of each common base which is there and fresh.
    failed
        Recipes that failed in this run: the others are published without them.
    lost
        By key of what was done, a file of it that is gone.
    """
    jobs: dict[str, Job] = {}
    several = len(work.recipes) > 1

    def add(stage: str, recipe: str, after: Sequence[str], inputs: Callable[[], dict[str, str]]) -> None:
        key = key_of(stage, recipe)
        receipt = receipts.get(key)
        last = receipt["seconds"] if receipt else None
        stale = [before for before in after if not (jobs[before].fresh if before in jobs else before in receipts)]
        if stale:
            reason = "follows " + (stale[0].replace("/", " ") if several else stale[0].partition("/")[0])
            jobs[key] = Job(work.style, stage, {}, reason, False, last, recipe)
            return
        found = {**inputs(), "code version": str(CODE_VERSIONS[stage])}
        jobs[key] = Job(work.style, stage, found, _reason(found, receipt, lost.get(key)), True, last, recipe)

    add("read", "", (), lambda: _read_inputs(work, files_digest))
    add("baseline", "", ("read",), lambda: _baseline_inputs(work, receipts))
    for recipe in work.recipes:
        name, one = recipe.name, work.alone(recipe.name)
        base = (key_of(BASE, name),) if one.starts_from == BASE else ()
        add("train", name, ("read", *base), partial(_train_inputs, one, receipts))
        add("judge", name, (key_of("train", name), "baseline"), partial(_judge_inputs, one, receipts))
    judged = [recipe.name for recipe in work.recipes if recipe.name not in failed]
    add("publish", "", [key_of("judge", name) for name in judged], lambda: _publish_inputs(work, judged, receipts))
    return list(jobs.values())


def plan_base(
    base: BaseWork,
    reads: Mapping[str, Mapping[str, Any] | None],
    receipts: Receipts,
    lost: Mapping[str, str] = MappingProxyType({}),
) -> Job:
    """Return the job of a base; `lost` as in `plan_style`.

    Parameters
    ----------
    reads
        By style what reading came to, None while that is stale; styles that could not be read are missing.
    """
    key = key_of(BASE, base.recipe.name)
    receipt = receipts.get(key)
    last = receipt["seconds"] if receipt else None
    if any(read is None for read in reads.values()):
        return Job(BASE, BASE, {}, "follows read", False, last, base.recipe.name)
    inputs = base.inputs({style: read["digest"] for style, read in reads.items() if read})
    return Job(BASE, BASE, inputs, _reason(inputs, receipt, lost.get(key)), True, last, base.recipe.name)


def next_jobs(jobs: Sequence[Job], until: Sequence[str]) -> list[Job]:
    """Return the stale jobs that can start now."""
    return [job for job in jobs if not job.fresh and job.ready and job.stage in until]


def files_digest(files: Sequence[tuple[str, str, str]]) -> str:
    """Return the hash over (source, path, sha256) of a style's input files, whatever their order."""
    lines = hashlib.sha256()
    for file in sorted(files):
        lines.update(json.dumps(file).encode() + b"\n")
    return lines.hexdigest()


# What the result of a stage depends on, by a name a person understands.


def _read_inputs(work: Work, files: str) -> dict[str, str]:
    split = digest([work.recipe.training.heldout_share, work.seed])
    return {"files": files, "filters": digest(work.settings.filters), "split": split}


def _baseline_inputs(work: Work, receipts: Receipts) -> dict[str, str]:
    training = work.recipe.training
    reach = [training.transpose_down_semitones, training.transpose_up_semitones]
    return {"notes": receipts["read"]["result"]["digest"], "recipe": digest(reach), "base": work.file_digest}


def _train_inputs(work: Work, receipts: Receipts) -> dict[str, str]:
    base = receipts.get(key_of(BASE, work.recipe.name), {}).get("result")
    return work.train_inputs(receipts["read"]["result"]["digest"], work.start_digest(base))


def _judge_inputs(work: Work, receipts: Receipts) -> dict[str, str]:
    return {
        "training": receipts[key_of("train", work.recipe.name)]["result"]["run"],
        "baseline": digest(receipts["baseline"]["result"]),
        "rule": digest(work.recipe.selection),
        "samples": digest(work.recipe.samples),
    }


def _publish_inputs(work: Work, judged: Sequence[str], receipts: Receipts) -> dict[str, str]:
    verdicts = [[name, receipts[key_of("judge", name)]["result"]["digest"]] for name in judged]
    started = [receipts[key_of(BASE, name)]["result"] for name in judged if key_of(BASE, name) in receipts]
    return {
        "verdict": digest([verdicts, [recipe.name for recipe in work.recipes]]),
        "title and licences": digest([_labels(work.settings), [base["sources"] for base in started]]),
    }


def _labels(settings: Style) -> list[Any]:
    sources = [[source.name, source.licence, source.attribution, source.url] for source in settings.sources]
    return [settings.title, settings.max_bytes, sources]


def _reason(inputs: Mapping[str, str], receipt: Mapping[str, Any] | None, lost: str | None) -> str | None:
    if receipt is None:
        return f"{lost} is missing" if lost else "never done"
    changed = [name for name, value in inputs.items() if receipt["inputs"].get(name) != value]
    return f"{' and '.join(changed)} changed" if changed else None
