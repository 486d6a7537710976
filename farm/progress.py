"""What a person sees while the farm runs: bars in a terminal, plain lines elsewhere.

Both listen to `scheduling.run` and change nothing.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from farm.scheduling.plan import Job
from farm.scheduling.state import StyleState, progress_of
from farm.storage import Storage
from farm.website.text import duration

_LINE_EVERY_SECONDS = 15.0


def describe(facts: Mapping[str, Any]) -> str:
    """Return the state of a stage in words, from what its worker told."""
    stage = facts.get("stage", "")
    if stage == "train" and "epoch" in facts:
        left = f", {duration(facts['seconds_left'])} left at most" if facts.get("seconds_left") else ""
        loss, bits = facts.get("loss"), facts.get("val_bits_per_note")
        loss_text = f"loss {loss:.3f}" if loss is not None else "loss not finite"
        bits_text = f", held-out {bits:.2f} bits a note" if bits is not None else ""
        return f"epoch {facts['epoch']} of {facts['max_epochs']}, {loss_text}{bits_text}{left}"
    if stage == "read":
        rate = f", {facts['pieces_per_second']:.1f} pieces/s" if facts.get("pieces_per_second") else ""
        return f"reading batch {facts['done']} of {facts['total']} ({facts['files']} files){rate}"
    if stage == "judge" and "done" in facts:
        return f"listening to snapshot {facts['done']} of {facts['total']}"
    return {"baseline": "counting n-grams", "judge": "judging", "publish": "publishing"}.get(stage, stage)


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
    return (
        f"published {result['name']}, {result['bytes'] / 1e6:.1f} MB"
        if result.get("name")
        else result.get("why") or "nothing fit to publish"
    )


class PlainLines:
    """One line per event, and one per style every quarter of a minute, for logs and pipes."""

    def __init__(self, storage: Storage, console: Console) -> None:
        self.storage, self.console = storage, console
        self._said: dict[str, tuple[float, str]] = {}

    def begin(self, state: StyleState, job: Job) -> None:
        self._print(state.style, f"{job.stage}: {job.reason}")

    def end(self, state: StyleState, stage: str, result: Mapping[str, Any]) -> None:
        self._print(state.style, sentence(stage, result))

    def fail(self, state: StyleState, stage: str, message: str) -> None:
        self._print(state.style, f"{stage} failed: {message.strip().splitlines()[-1]}")

    def tick(self, states: Sequence[StyleState]) -> None:
        now = time.monotonic()
        for state in states:
            said_at, said = self._said.get(state.style, (0.0, ""))
            if not state.active or now - said_at < _LINE_EVERY_SECONDS:
                continue
            text = describe(progress_of(self.storage, state))
            if text and text != said:
                self._print(state.style, text)
                self._said[state.style] = (now, text)

    def _print(self, style: str, text: str) -> None:
        self._said[style] = (time.monotonic(), "")
        self.console.print(f"{style}: {escape(text)}", highlight=False, soft_wrap=True)


class Bars:
    """One bar per style in a terminal."""

    def __init__(self, storage: Storage, console: Console) -> None:
        self.storage, self.console = storage, console
        columns = (
            TextColumn("{task.fields[style]:<14}"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
        )
        self._progress = Progress(*columns, console=console)
        self._bars: dict[str, TaskID] = {}

    def begin(self, state: StyleState, job: Job) -> None:
        if not self._bars:
            self._progress.start()
        if state.style not in self._bars:
            self._bars[state.style] = self._progress.add_task("", style=state.style, total=None)
        self._update(state.style, describe({"stage": job.stage}) if job.stage != "read" else "reading", 0, None)

    def end(self, state: StyleState, stage: str, result: Mapping[str, Any]) -> None:
        self._progress.console.print(f"[bold]{state.style}[/]: {escape(sentence(stage, result))}", highlight=False)
        if stage == "publish":
            self._update(state.style, "done", 1, 1)

    def fail(self, state: StyleState, stage: str, message: str) -> None:
        last = escape(message.strip().splitlines()[-1])
        self._progress.console.print(f"[bold red]{state.style}[/]: {stage} failed: {last}", highlight=False)
        if state.style in self._bars:
            self._update(state.style, "failed", 0, 1)

    def tick(self, states: Sequence[StyleState]) -> None:
        for state in states:
            facts = progress_of(self.storage, state) if state.active else {}
            if facts:
                done, total = facts.get("epoch", facts.get("done", 0)), facts.get("max_epochs", facts.get("total"))
                self._update(state.style, describe(facts), done, total)

    def close(self) -> None:
        self._progress.stop()

    def _update(self, style: str, text: str, done: float, total: float | None) -> None:
        self._progress.update(self._bars[style], description=escape(text), completed=done, total=total)
