"""How far each style is in a run: its files, its receipts, its jobs, and what is at work on it now."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from farm.config import Farm
from farm.corpus.sources import InputFile, list_files
from farm.errors import FarmError
from farm.scheduling import ledger
from farm.scheduling.plan import STAGES, Job, Work, files_digest, plan_style
from farm.scheduling.stages import expected_seconds
from farm.storage import Storage


@dataclass
class StyleState:
    """How far one style is in this run."""

    work: Work
    files: list[InputFile] = field(default_factory=list)
    digest: str = ""
    receipts: dict[str, dict[str, Any]] = field(default_factory=dict)
    jobs: list[Job] = field(default_factory=list)
    expected_seconds: float = 0.0  # for the whole style on one core, as far as it is known
    active: set[str] = field(default_factory=set)  # stages at work now
    batches_left: int = 0
    batches: int = 0
    pieces_read: int = 0
    began: dict[str, float] = field(default_factory=dict)  # by stage, when its first task started, monotonic seconds
    spent: dict[str, float] = field(default_factory=dict)  # by stage, what its tasks took, seconds
    stage_failed: str = ""
    error: str = ""
    ran: list[str] = field(default_factory=list)

    @property
    def style(self) -> str:
        return self.work.style

    def replan(self, storage: Storage) -> None:
        """Look at the receipts again and say what is stale."""
        self.receipts = receipts_of(storage, self.style)
        self.jobs = plan_style(self.work, self.digest, self.receipts)
        self.expected_seconds = expected_seconds(self.files, self.receipts, self.work.recipe)


def receipts_of(storage: Storage, style: str) -> dict[str, dict[str, Any]]:
    """Return the receipts whose files are still there; a deleted artifact makes its stage stale."""
    receipts = ledger.read_receipts(storage, style, STAGES)
    return {
        stage: receipt
        for stage, receipt in receipts.items()
        if all(storage.exists(key) for key in receipt["result"].get("outputs", []))
    }


def survey(farm: Farm, storage: Storage, styles: Sequence[str]) -> list[StyleState]:
    """List and hash every style's input files and plan its jobs; runs nothing. A style without files is failed."""
    states = []
    for name in styles:
        work = Work(name, farm.styles[name], farm.recipes[name], farm.seed, str(storage.root))
        state = StyleState(work)
        states.append(state)
        try:
            for source in work.settings.sources:
                state.files += list_files(source, farm.folder)
        except FarmError as error:
            state.stage_failed, state.error = "read", str(error)
            continue
        state.digest = files_digest([(file.source, file.path, file.sha256) for file in state.files])
        state.replan(storage)
    return states


def progress_of(storage: Storage, state: StyleState) -> dict[str, Any]:
    """Return what can be shown of a style that is being worked on; nothing while it waits for its turn."""
    if not state.active & set(state.began):
        return {}
    if "read" in state.active:
        rate = state.pieces_read / max(time.monotonic() - state.began["read"], 1e-9)
        done, files = state.batches - state.batches_left, sum(file.is_wanted for file in state.files)
        counts = {"done": done, "total": max(1, state.batches), "files": files}
        return {"stage": "read", **counts, "pieces_per_second": rate}
    return ledger.read_progress(storage, state.style)
