"""How far each style and each base is in a run: receipts, jobs, what is at work on it now, what failed."""

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from farm.config import BASE
from farm.corpus.sources import InputFile
from farm.scheduling import ledger
from farm.scheduling.estimates import NO_HISTORY, History, expected_base_seconds, expected_seconds
from farm.scheduling.plan import PER_RECIPE, STAGES, Job, key_of, plan_base, plan_style
from farm.scheduling.work import BaseWork, Work
from farm.storage import Storage


@dataclass
class State(ABC):
    """How far something is that has jobs."""

    receipts: dict[str, dict[str, Any]] = field(default_factory=dict, kw_only=True)
    lost: dict[str, str] = field(default_factory=dict, kw_only=True)  # by key of what was done, a file that is gone
    jobs: list[Job] = field(default_factory=list, kw_only=True)
    expected_seconds: float = field(default=0.0, kw_only=True)  # for all of it on one core, as far as it is known
    active: set[str] = field(default_factory=set, kw_only=True)  # keys of the jobs at work now
    began: dict[str, float] = field(default_factory=dict, kw_only=True)  # by key, of its first task, monotonic seconds
    spent: dict[str, float] = field(default_factory=dict, kw_only=True)  # by key, what its tasks took, seconds
    failed: dict[str, tuple[str, str]] = field(default_factory=dict, kw_only=True)  # by recipe, the stage and why
    ran: list[str] = field(default_factory=list, kw_only=True)  # keys, as a person reads them

    @property
    @abstractmethod
    def style(self) -> str:
        """The style, or what the base is called."""

    @property
    @abstractmethod
    def recipes(self) -> list[str]:
        """The names of its recipes."""

    def label(self, recipe: str) -> str:
        """Return what lines about a job call it: the style, and the recipe where there are several."""
        return f"{self.style} {recipe}" if recipe and len(self.recipes) > 1 else self.style

    def named(self, stage: str, recipe: str) -> str:
        """Return a stage, and the recipe where there are several."""
        return f"{stage} {recipe}" if recipe and len(self.recipes) > 1 else stage


@dataclass
class StyleState(State):
    """How far one style is in this run; one that is not `wanted` is only read, for a base to hear."""

    work: Work
    wanted: bool = True
    files: list[InputFile] = field(default_factory=list)
    digest: str = ""
    history: History = NO_HISTORY
    batches_left: int = 0
    batches: int = 0
    pieces_read: int = 0
    stage_failed: str = ""
    error: str = ""

    @property
    def style(self) -> str:
        return self.work.style

    @property
    def recipes(self) -> list[str]:
        return [recipe.name for recipe in self.work.recipes]

    def replan(self, base: "BaseState | None") -> None:
        """Say what is stale, given the receipts."""
        own = {key: receipt for key, receipt in self.receipts.items() if not key.startswith(f"{BASE}/")}
        based = {job.key: base.receipts[job.key] for job in base.jobs if job.fresh} if base is not None else {}
        self.receipts = {**own, **based}
        self.jobs = plan_style(self.work, self.digest, self.receipts, self.failed, self.lost)
        self.expected_seconds = expected_seconds(self.files, self.receipts, self.work, self.history)

    @property
    def reading(self) -> dict[str, Any] | None:
        """What reading came to; None while that is stale."""
        is_fresh = any(job.stage == "read" and job.fresh for job in self.jobs)
        return self.receipts["read"]["result"] if is_fresh else None


@dataclass
class BaseState(State):
    """How far the common bases are, one for each recipe that any style uses.

    Attributes
    ----------
    unread
        By style that could not be read, why.
    """

    works: dict[str, BaseWork]
    unread: dict[str, str] = field(default_factory=dict)

    @property
    def style(self) -> str:
        return BASE

    @property
    def recipes(self) -> list[str]:
        return list(self.works)

    def replan(self, styles: Mapping[str, StyleState]) -> bool:
        """Say what is stale, given the receipts and how far reading is; return whether that is other than before."""
        before = self.jobs
        self.unread = {name: state.error for name, state in styles.items() if state.stage_failed == "read"}
        self.jobs = [
            plan_base(work, self.reads(work, styles), self.receipts, self.lost) for work in self.works.values()
        ]
        if not before:
            self.expected_seconds = sum(
                expected_base_seconds(work, [styles[name].files for name in work.hears], self.receipts)
                for work in self.works.values()
            )
        return self.jobs != before

    def reads(self, work: BaseWork, styles: Mapping[str, StyleState]) -> dict[str, Any]:
        """Return what reading came to by style, None where that is stale; failed ones are left out."""
        return {name: styles[name].reading for name in work.settings if name not in self.unread}

    def task_argument(self, recipe: str) -> dict[str, Any]:
        """Return what the stage is told: why styles are missing, and the base there was before."""
        before = self.receipts.get(key_of(BASE, recipe), {}).get("result")
        return {"unread": dict(self.unread), "before": before}


def receipts_of(storage: Storage, style: str) -> dict[str, dict[str, Any]]:
    """Return by key the receipts whose files are still there."""
    return whole_and_lost(storage, style)[0]


def whole_and_lost(storage: Storage, style: str) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Return by key the receipts whose files are still there, and of the others a file that is not."""
    whole, lost = {}, {}
    for key, receipt in ledger.read_receipts(storage, style, STAGES, (*PER_RECIPE, BASE)).items():
        gone = next((file for file in receipt["result"].get("outputs", []) if not storage.exists(file)), None)
        if gone is None:
            whole[key] = receipt
        else:
            lost[key] = gone
    return whole, lost


def progress_of(storage: Storage, state: State) -> list[dict[str, Any]]:
    """Return what can be shown of what is at work; nothing of what waits for its turn."""
    at_work = state.active & set(state.began)
    if not at_work:
        return []
    if isinstance(state, StyleState) and "read" in at_work:
        rate = state.pieces_read / max(time.monotonic() - state.began["read"], 1e-9)
        done, files = state.batches - state.batches_left, sum(file.is_wanted for file in state.files)
        counts = {"done": done, "total": max(1, state.batches), "files": files}
        return [{"stage": "read", "recipe": "", **counts, "pieces_per_second": rate}]
    told = ledger.read_progress(storage, state.style)
    return [facts for facts in told if key_of(facts.get("stage", ""), facts["recipe"]) in at_work]


def stale_trainings(states: Sequence[State]) -> list[str]:
    """Return the networks that have to be trained, as `style/recipe`; bases are left out, they train alone."""
    return [
        f"{state.style}/{job.recipe}"
        for state in states
        if isinstance(state, StyleState) and state.wanted and not state.error
        for job in state.jobs
        if job.stage == "train" and not job.fresh
    ]
