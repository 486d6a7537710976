"""The loop around the decisions: lists the files, asks the plan what is stale and the queue what fits, and carries
it out on an executor until nothing is left that can run.

One style's failure never stops another. Whatever is done is on disk with its receipt before the next thing starts,
so the loop keeps no state worth saving.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from farm.config import Farm
from farm.scheduling import ledger, stages
from farm.scheduling.plan import UNTIL, Job, next_jobs
from farm.scheduling.publishing import finish
from farm.scheduling.queue import Capacity, Outcome, Task, choose, threads_per_training
from farm.scheduling.state import StyleState, survey
from farm.storage import Storage

_TRIES = 3  # for failures that are nobody's fault, such as a worker that was killed
_POLL_SECONDS = 0.25


class Executor(Protocol):
    """What carries tasks out: `cluster.RayExecutor` or `local.LocalExecutor`."""

    name: str
    capacity: Capacity

    def submit(self, task: Task) -> None: ...
    def wait(self, timeout_seconds: float) -> list[Outcome]: ...
    def close(self) -> None: ...


class Listener(Protocol):
    """Who is told what happens, for a person or a program to follow."""

    def begin(self, state: StyleState, job: Job) -> None: ...
    def end(self, state: StyleState, stage: str, result: Mapping[str, Any]) -> None: ...
    def fail(self, state: StyleState, stage: str, message: str) -> None: ...
    def tick(self, states: Sequence[StyleState]) -> None: ...


def run_farm(
    farm: Farm,
    storage: Storage,
    *,
    styles: Sequence[str],
    until: str,
    make_executor: Callable[[], Executor],
    listener: Listener,
) -> list[StyleState]:
    """Do everything that is missing or stale, and return how each style ended.

    Parameters
    ----------
    until
        Last stage to do: read, train, judge or publish.
    make_executor
        Called only when there is something to do.
    """
    with ledger.owned(storage):
        states = survey(farm, storage, styles)
        for state in states:
            if state.error:
                _fail(storage, listener, state, state.stage_failed, state.error)
        if any(next_jobs(state.jobs, UNTIL[until]) for state in states if not state.error):
            executor = make_executor()
            try:
                _Loop(storage, states, UNTIL[until], executor, listener).run()
            finally:
                executor.close()
        if until == "publish":
            finish(storage, {state.style: (state.stage_failed, state.error) for state in states})
        return states


class _Loop:
    """Starts what can start, waits, books what ended."""

    def __init__(
        self, storage: Storage, states: list[StyleState], until: Sequence[str], executor: Executor, listener: Listener
    ) -> None:
        self.storage = storage
        self.states = {state.style: state for state in states}
        self.until = until
        self.executor = executor
        self.listener = listener
        self.waiting: list[Task] = []
        self.running: list[Task] = []
        self.tries: dict[str, int] = {}
        to_train = sum("train" in self.until and not _is_fresh(state, "train") for state in states if not state.error)
        self.threads = threads_per_training(executor.capacity.cpus, to_train)

    def run(self) -> None:
        for state in self.states.values():
            self._enqueue(state)
        while self.waiting or self.running:
            for task in choose(self.waiting, self.running, self.executor.capacity):
                self._start(task)
            for outcome in self.executor.wait(_POLL_SECONDS):
                self.running = [task for task in self.running if task.id != outcome.task.id]
                self._book(outcome)
            self.listener.tick(list(self.states.values()))

    def _start(self, task: Task) -> None:
        self.waiting.remove(task)
        self.running.append(task)
        state = self.states[task.style]
        if task.stage not in state.began:
            state.began[task.stage] = time.monotonic()
            ledger.note_attempt(self.storage, state.style, task.stage, "started")
            ledger.report_progress(self.storage, state.style, stage=task.stage)
            self.listener.begin(state, next(job for job in state.jobs if job.stage == task.stage))
        self.executor.submit(task)

    def _enqueue(self, state: StyleState) -> None:
        """Turn the style's jobs that can start into tasks."""
        if state.error:
            return
        for job in next_jobs(state.jobs, self.until):
            if job.stage in state.active:
                continue
            state.active.add(job.stage)
            if job.stage == "read":
                batches = stages.batches_to_read(state.files, state.work.settings.filters, self.storage)
                state.batches = state.batches_left = len(batches)
                for batch in batches:
                    task = self._task(state, "read", stages.read_batch, batch, part=batch.key)
                    self.waiting.append(replace(task, ends_stage=False))
                if not batches:
                    self._clean(state)
            else:
                self.waiting.append(self._task(state, job.stage, stages.CALLS[job.stage], state.receipts))

    def _task(
        self, state: StyleState, stage: str, call: Callable[..., dict[str, Any]], argument: Any, *, part: str = ""
    ) -> Task:
        training = stage == "train"
        gpus = min(1.0, self.executor.capacity.gpus) if training else 0.0
        work = replace(state.work, threads=self.threads) if training else state.work
        return Task(
            id="/".join(filter(None, (state.style, stage, part))),
            style=state.style,
            stage=stage,
            call=call,
            arguments=(work, argument),
            cpus=self.threads if training else 1,
            gpus=gpus,
            priority=state.work.settings.priority,
            expected_seconds=state.expected_seconds,
        )

    def _clean(self, state: StyleState) -> None:
        self.waiting.append(self._task(state, "read", stages.clean, state.files, part="clean"))

    def _book(self, outcome: Outcome) -> None:
        """Write down what a task left, and start what follows."""
        task, state = outcome.task, self.states[outcome.task.style]
        if state.error:
            return  # another task of it has failed already
        state.spent[task.stage] = state.spent.get(task.stage, 0.0) + outcome.seconds
        if not outcome.ok:
            self.tries[task.id] = self.tries.get(task.id, 1) + 1
            if outcome.kind == "infrastructure" and self.tries[task.id] <= _TRIES:
                ledger.note_attempt(self.storage, state.style, task.stage, "started", message=outcome.error)
                self.waiting.append(task)
                return
            self.waiting = [other for other in self.waiting if other.style != state.style]
            _fail(self.storage, self.listener, state, task.stage, outcome.error)
            return
        if not task.ends_stage:
            state.batches_left -= 1
            state.pieces_read += outcome.value["tunes"]
            if state.batches_left == 0:
                self._clean(state)
            return
        self._finish_stage(state, task.stage, outcome.value)

    def _finish_stage(self, state: StyleState, stage: str, value: dict[str, Any]) -> None:
        seconds = state.spent[stage]
        inputs = next(dict(job.inputs) for job in state.jobs if job.stage == stage)
        ledger.write_receipt(self.storage, state.style, stage, inputs=inputs, result=value, seconds=seconds)
        ledger.note_attempt(self.storage, state.style, stage, "done", seconds=seconds)
        state.active.discard(stage)
        state.ran.append(stage)
        state.replan(self.storage)
        self.listener.end(state, stage, value)
        self._enqueue(state)
        if not state.active:
            ledger.clear_progress(self.storage, state.style)


def _is_fresh(state: StyleState, stage: str) -> bool:
    return any(job.stage == stage and job.fresh for job in state.jobs)


def _fail(storage: Storage, listener: Listener, state: StyleState, stage: str, message: str) -> None:
    state.stage_failed, state.error = stage, message
    state.active.clear()
    ledger.note_attempt(storage, state.style, stage, "failed", message=message)
    ledger.report_progress(storage, state.style, stage=stage, failed=message)
    listener.fail(state, stage, message)
