"""What must run, and why. Pure: a style's settings, its input files and its receipts in, jobs out.

Conventions
-----------
A job is one stage of one style. A stage is *fresh* when its receipt was written for the very inputs it would have
now; otherwise it is stale, with a reason. Inputs are content and settings only: never a time, a path, a number of
CPUs or of attempts. What follows a stale stage is stale too; whether it really has to run is known when the stage
before is done, because the receipts hold what came out: the same notes train nothing anew.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from farm.config import Recipe, Style, digest

STAGES = ("read", "baseline", "train", "judge", "publish")
AFTER: dict[str, tuple[str, ...]] = {
    "read": (),
    "baseline": ("read",),
    "train": ("read",),
    "judge": ("train", "baseline"),
    "publish": ("judge",),
}
UNTIL = {"read": STAGES[:1], "train": STAGES[:3], "judge": STAGES[:4], "publish": STAGES}

# Raised by hand when a stage would give another result for the same inputs.
CODE_VERSIONS = {"read": 2, "baseline": 2, "train": 2, "judge": 2, "publish": 1}


@dataclass(frozen=True)
class Job:
    """One stage of one style, and whether it has to run."""

    style: str
    stage: str
    inputs: Mapping[str, str]
    reason: str | None  # why it must run; None when fresh
    ready: bool  # all stages before it are fresh
    last_seconds: float | None  # what it took last time

    @property
    def fresh(self) -> bool:
        return self.reason is None


@dataclass(frozen=True)
class Work:
    """A style as the stages see it; plain data that travels to a worker."""

    style: str
    settings: Style
    recipe: Recipe
    seed: int
    root: str
    threads: int = 1

    def run_id(self, notes_digest: str) -> str:
        """Return the name of the run folder: what the training depends on, so the same training is the same run."""
        return digest(_train_inputs(self, notes_digest))[:12]

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` needs; the folder and the threads are not part of it."""
        models = {"settings": self.settings.model_dump(mode="json"), "recipe": self.recipe.model_dump(mode="json")}
        return {"style": self.style, "seed": self.seed, **models}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], root: str) -> "Work":
        settings, recipe = Style.model_validate(data["settings"]), Recipe.model_validate(data["recipe"])
        return cls(data["style"], settings, recipe, data["seed"], root)


def plan_style(work: Work, files_digest: str, receipts: Mapping[str, Mapping[str, Any]]) -> list[Job]:
    """Return the jobs of one style in order, fresh ones included.

    Parameters
    ----------
    files_digest
        Hash over the input files' paths and contents.
    receipts
        By stage: `inputs` it was done for, `result`, `seconds`.
    """
    jobs: dict[str, Job] = {}
    for stage in STAGES:
        stale = [before for before in AFTER[stage] if not jobs[before].fresh]
        receipt = receipts.get(stage)
        last = receipt["seconds"] if receipt else None
        if stale:
            jobs[stage] = Job(work.style, stage, {}, f"follows {stale[0]}", False, last)
            continue
        inputs = _inputs(work, stage, files_digest, {name: receipts[name]["result"] for name in AFTER[stage]})
        jobs[stage] = Job(work.style, stage, inputs, _reason(inputs, receipt), True, last)
    return list(jobs.values())


def next_jobs(jobs: Sequence[Job], until: Sequence[str]) -> list[Job]:
    """Return the stale jobs that can start now."""
    return [job for job in jobs if not job.fresh and job.ready and job.stage in until]


def files_digest(files: Sequence[tuple[str, str, str]]) -> str:
    """Return the hash over (source, path, sha256) of a style's input files, whatever their order."""
    lines = hashlib.sha256()
    for file in sorted(files):
        lines.update(json.dumps(file).encode() + b"\n")
    return lines.hexdigest()


def _inputs(work: Work, stage: str, files: str, before: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return what the result of a stage depends on, by a name a person understands."""
    training = work.recipe.training
    if stage == "read":
        split = digest([training.heldout_share, work.seed])
        inputs = {"files": files, "filters": digest(work.settings.filters), "split": split}
    elif stage == "baseline":
        reach = [training.transpose_down_semitones, training.transpose_up_semitones]
        inputs = {"notes": before["read"]["digest"], "recipe": digest(reach)}
    elif stage == "train":
        return _train_inputs(work, before["read"]["digest"])
    elif stage == "judge":
        inputs = {
            "training": before["train"]["run"],
            "baseline": digest(before["baseline"]),
            "rule": digest(work.recipe.selection),
            "samples": digest(work.recipe.samples),
        }
    else:
        inputs = {"verdict": before["judge"]["digest"], "title and licences": digest(_labels(work.settings))}
    return {**inputs, "code version": str(CODE_VERSIONS[stage])}


def _train_inputs(work: Work, notes_digest: str) -> dict[str, str]:
    return {
        "notes": notes_digest,
        "recipe": digest([digest(work.recipe.network), digest(work.recipe.training)]),
        "seed": str(work.seed),
        "code version": str(CODE_VERSIONS["train"]),
    }


def _labels(settings: Style) -> list[Any]:
    sources = [[source.name, source.licence, source.attribution, source.url] for source in settings.sources]
    return [settings.title, settings.max_bytes, sources]


def _reason(inputs: Mapping[str, str], receipt: Mapping[str, Any] | None) -> str | None:
    if receipt is None:
        return "never done"
    changed = [name for name, value in inputs.items() if receipt["inputs"].get(name) != value]
    return f"{' and '.join(changed)} changed" if changed else None
