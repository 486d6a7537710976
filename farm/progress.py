"""What a person sees while the farm runs: bars in a terminal, plain lines elsewhere.

Both listen to `scheduling.run` and change nothing.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from farm.config import BASE
from farm.scheduling.hearing import AKIN, TWICE, UNLICENSED
from farm.scheduling.plan import Job
from farm.scheduling.state import State, progress_of
from farm.storage import Storage
from farm.website.at_work import describe

_LINE_EVERY_SECONDS = 15.0
_TOLD = (AKIN, UNLICENSED, TWICE)  # reasons for not hearing a piece that a person should know


def state_counts(states: Mapping[str, int]) -> list[str]:
    """Return how many input files ended in which state, and where the reasons are told."""
    where = " (see farm status --rejects)"
    ordered = sorted(states.items(), key=lambda item: (item[0] != "read", item[0]))
    return [f"{state} {count:,}{where if state == 'rejected' and count else ''}" for state, count in ordered]


def sentence(stage: str, result: Mapping[str, Any]) -> str:
    """Return what a finished stage found."""
    if stage == "read":
        counts = [*state_counts(result["states"]), f"{result['notes']:,} notes"]
        if result["repaired"]:
            counts.append(f"{result['repaired']:,} repaired")
        if result["in_seconds"]:
            counts.append(f"{result['in_seconds']:,} off their stated beat")
        return " · ".join(counts)
    if stage == "baseline" and result["bits_per_note"] is None:
        return "no held-out notes to measure n-grams on"
    if stage == "baseline":
        return f"best n-gram: {result['bits_per_note']:.2f} bits a note ({result['order']} notes of context)"
    if stage == "train":
        return f"trained {result['epochs']} epochs, best held-out {result['best_val_bits_per_note']:.2f} bits a note"
    if stage == "judge":
        return str(result["reason"])
    if stage == BASE:
        return base_sentence(result)
    if not result.get("name"):
        return result.get("why") or "nothing fit to publish"
    recipe = f", recipe {result['recipe']}" if result.get("recipe") else ""
    return f"published {result['name']}, {result['bytes'] / 1e6:.1f} MB{recipe}"


def base_sentence(result: Mapping[str, Any]) -> str:
    """Return what became of a base: trained or kept and why, what it heard, and what it left out."""
    heard = f"{result['pieces']:,} pieces of {', '.join(result['styles'])}"
    did = f"kept, {result['why']}" if not result["trained"] else f"{result['val_bits_per_note']:.2f} bits a note"
    parts = [f"heard {heard}", did]
    parts += [f"left out: {reason} {n:,}" for reason, n in result["left_out"].items() if reason in _TOLD]
    if result["left_out"]["styles"]:
        parts.append(f"under no known licence: {', '.join(result['left_out']['styles'])}")
    if result["unread"]:
        parts.append(f"could not be read: {', '.join(result['unread'])}")
    return " · ".join(parts)


class PlainLines:
    """One line per event, and one per style every quarter of a minute, for logs and pipes."""

    def __init__(self, storage: Storage, console: Console) -> None:
        self.storage, self.console = storage, console
        self._said: dict[str, tuple[float, str]] = {}

    def begin(self, state: State, job: Job) -> None:
        stage = "trained first, for every style to start from" if job.stage == BASE else job.stage
        self._print(state.label(job.recipe), f"{stage}: {job.reason}")

    def end(self, state: State, stage: str, recipe: str, result: Mapping[str, Any]) -> None:
        self._print(state.label(recipe), sentence(stage, result))

    def fail(self, state: State, stage: str, recipe: str, message: str) -> None:
        self._print(state.label(recipe), f"{stage} failed: {message.strip().splitlines()[-1]}")

    def tick(self, states: Sequence[State]) -> None:
        now = time.monotonic()
        for state in states:
            for facts in progress_of(self.storage, state):
                label, text = state.label(facts["recipe"]), describe(facts)
                said_at, said = self._said.get(label, (0.0, ""))
                if now - said_at >= _LINE_EVERY_SECONDS and text and text != said:
                    self._print(label, text)
                    self._said[label] = (now, text)

    def _print(self, label: str, text: str) -> None:
        self._said[label] = (time.monotonic(), "")
        self.console.print(f"{label}: {escape(text)}", highlight=False, soft_wrap=True)


class Bars:
    """One bar in a terminal per style, or per style and recipe where there are several."""

    def __init__(self, storage: Storage, console: Console) -> None:
        self.storage, self.console = storage, console
        columns = (
            TextColumn("{task.fields[label]:<14}"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
        )
        self._progress = Progress(*columns, console=console)
        self._bars: dict[str, TaskID] = {}

    def begin(self, state: State, job: Job) -> None:
        if not self._bars:
            self._progress.start()
        label = state.label(job.recipe)
        if label not in self._bars:
            self._bars[label] = self._progress.add_task("", label=label, total=None)
        self._update(label, describe({"stage": job.stage}) if job.stage != "read" else "reading", 0, None)

    def end(self, state: State, stage: str, recipe: str, result: Mapping[str, Any]) -> None:
        label = state.label(recipe)
        self._progress.console.print(f"[bold]{label}[/]: {escape(sentence(stage, result))}", highlight=False)
        if stage in ("publish", BASE) or (stage == "judge" and label != state.style):
            self._update(label, "done", 1, 1)

    def fail(self, state: State, stage: str, recipe: str, message: str) -> None:
        label, last = state.label(recipe), escape(message.strip().splitlines()[-1])
        self._progress.console.print(f"[bold red]{label}[/]: {stage} failed: {last}", highlight=False)
        if label in self._bars:
            self._update(label, "failed", 0, 1)

    def tick(self, states: Sequence[State]) -> None:
        for state in states:
            for facts in progress_of(self.storage, state):
                label = state.label(facts["recipe"])
                done, total = facts.get("epoch", facts.get("done", 0)), facts.get("max_epochs", facts.get("total"))
                if label in self._bars:
                    self._update(label, describe(facts), done, total)

    def close(self) -> None:
        self._progress.stop()

    def _update(self, label: str, text: str, done: float, total: float | None) -> None:
        self._progress.update(self._bars[label], description=escape(text), completed=done, total=total)
