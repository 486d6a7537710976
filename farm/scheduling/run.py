"""The loop around the decisions: lists the files, asks the plan what is stale and the queue what fits, and carries
it out on an executor until nothing is left that can run.

One style's failure never stops another, nor one recipe's the style. Whatever is done is on disk with its receipt
before the next thing starts, so the loop keeps no state worth saving.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from farm.config import BASE
from farm.farm_config import Farm
from farm.scheduling import ledger, tasks
from farm.scheduling.attempts import Attempts
from farm.scheduling.demands import refuse_what_no_machine_has, why_unmet
from farm.scheduling.machines import Node, could_hold
from farm.scheduling.plan import PER_RECIPE, UNTIL, Job, key_of, next_jobs
from farm.scheduling.protocols import Executor, Listener
from farm.scheduling.publishing import finish
from farm.scheduling.queue import Outcome, Queue, Task
from farm.scheduling.state import BaseState, State, StyleState, progress_of, stale_trainings
from farm.scheduling.survey import survey
from farm.scheduling.threads import forget_shares, keep_shares, read_shares, shares
from farm.storage import Storage

_POLL_SECONDS = 0.25
_TICK_SHARE = 0.04  # of the time, for telling the listener: in an object store every look takes requests
_PATIENCE_SECONDS = 45.0  # with a task that no machine can hold: one that could may have died, and come back


def run_farm(
    farm: Farm,
    storage: Storage,
    *,
    styles: Sequence[str],
    until: str,
    make_executor: Callable[[], Executor],
    listener: Listener,
) -> tuple[list[StyleState], BaseState | None]:
    """Do everything that is missing or stale, and return how each style ended, and the bases.

    Parameters
    ----------
    until
        Last stage to do: read, train, judge or publish.
    make_executor
        Called only when there is something to do.
    """
    with ledger.owned(storage):
        states, base = survey(farm, storage, styles, with_base=BASE in UNTIL[until])
        loop = _Loop(storage, states, base, UNTIL[until], listener)
        loop.run(make_executor)
        wanted = [state for state in states if state.wanted]
        if until == "publish":
            ended = {state.style: (state.stage_failed, state.error) for state in wanted}
            finish(storage, ended, did_any=any(state.ran for state in wanted))
        return wanted, base


class _Loop:
    """Starts what can start, waits, books what ended."""

    def __init__(
        self,
        storage: Storage,
        states: list[StyleState],
        base: BaseState | None,
        until: Sequence[str],
        listener: Listener,
    ) -> None:
        self.storage = storage
        self.styles = {state.style: state for state in states}
        self.base = base
        self.until = until
        self.listener = listener
        self.queue = Queue(())
        self.next_tick = 0.0  # monotonic seconds
        self.attempts = Attempts(storage)

    @property
    def states(self) -> list[State]:
        return [*self.styles.values(), *([self.base] if self.base else [])]

    def run(self, make_executor: Callable[[], Executor]) -> None:
        for state in self.states:
            ledger.forget_progress(self.storage, state.style)
        for state in self.styles.values():
            if state.error:
                self._fail(state, state.stage_failed, "", state.error)
        if self.base is not None:
            self._check_base(self.base)
        if not any(self._startable(state) for state in self.states):
            return
        self.executor = make_executor()
        try:
            self._share_out(self.executor.nodes)
            for state in self.states:
                self._enqueue(state)
            while self.queue.n_waiting or self.queue.running:
                for task in self.queue.start():
                    self._start(task)
                for outcome in self.executor.wait(_POLL_SECONDS):
                    self.queue.end(outcome.task.id)
                    self._book(outcome)
                self._follow_machines()
                self._tick()
            forget_shares(self.storage, [style.style for style in self.styles.values() if style.wanted])
        finally:
            self.executor.close()

    def _tick(self) -> None:
        """Tell the listener, now and then."""
        began = time.monotonic()
        if began >= self.next_tick:
            self.listener.tick(self.states)
            ended = time.monotonic()
            self.next_tick = ended + max(_POLL_SECONDS, (ended - began) / _TICK_SHARE)

    def _share_out(self, nodes: Sequence[Node]) -> None:
        """Say how many threads each training gets; DemandError when one asks for what no machine has."""
        self.queue.set_nodes(nodes)
        self.most_threads = max((node.cpus for node in nodes), default=1)
        kept = read_shares(self.storage)
        self.threads = shares(stale_trainings(self.states), kept, nodes)
        demands = tasks.training_demands(self.states, self.until, self.threads, nodes)
        refuse_what_no_machine_has(demands, nodes)
        keep_shares(self.storage, {**kept, **self.threads})

    def _follow_machines(self) -> None:
        """Use machines that come, forget those that go, and give up what waits for one that does not come back."""
        if tuple(self.executor.nodes) != self.queue.nodes:
            self.queue.set_nodes(self.executor.nodes)
        for task in self.queue.give_up(time.monotonic(), _PATIENCE_SECONDS):
            state, key = self._state(task.style), key_of(task.stage, task.recipe)
            again = self._task(state, next(job for job in state.jobs if job.key == key)) if task.recipe else task
            if could_hold(self.queue.nodes, again.demand):
                self.queue.add(replace(again, avoids=task.avoids))
                continue
            self._fail(state, task.stage, task.recipe, why_unmet(task.recipe, again.demand, self.queue.nodes))
            self._go_on(state, task.stage)

    def _state(self, name: str) -> State:
        return self.base if name == BASE and self.base is not None else self.styles[name]

    def _startable(self, state: State) -> list[Job]:
        """Return the jobs of a style or base that can start now."""
        if isinstance(state, StyleState) and state.error:
            return []
        until = self.until if not isinstance(state, StyleState) or state.wanted else ("read",)
        jobs = next_jobs(state.jobs, until)
        return [job for job in jobs if job.key not in state.active and job.recipe not in state.failed]

    def _start(self, task: Task) -> None:
        state, key = self._state(task.style), key_of(task.stage, task.recipe)
        if key not in state.began:
            state.began[key] = time.monotonic()
            self.attempts.begin_stage(task)
            self._report(state, task)
            self.listener.begin(state, next(job for job in state.jobs if job.key == key))
        self.executor.submit(self.attempts.fenced(task))

    def _report(self, state: State, task: Task) -> None:
        """Tell other shells what is at work; how far reading is only this process knows."""
        (facts,) = progress_of(self.storage, state) if task.stage == "read" else [{"stage": task.stage}]
        ledger.report_progress(self.storage, state.style, **{"recipe": task.recipe, **facts})

    def _enqueue(self, state: State) -> None:
        """Turn the jobs that can start into tasks."""
        for job in self._startable(state):
            state.active.add(job.key)
            if isinstance(state, StyleState) and job.stage == "read":
                found = tasks.reading_tasks(state, self.storage, self.executor.home)
            else:
                found = [self._task(state, job)]
            for task in found:
                self.queue.add(task)

    def _task(self, state: State, job: Job) -> Task:
        """Return the task of a job after reading, for the machines there are now."""
        if isinstance(state, BaseState):
            return tasks.base_task(state, job.recipe, self.styles, self.most_threads, self.queue.nodes)
        assert isinstance(state, StyleState)  # there are no others
        return tasks.stage_task(state, job, self.threads.get(f"{state.style}/{job.recipe}", 1), self.queue.nodes)

    def _book(self, outcome: Outcome) -> None:
        """Write down what a task left, and start what follows."""
        task, state = outcome.task, self._state(outcome.task.style)
        self.attempts.end(task)
        if (isinstance(state, StyleState) and state.error) or task.recipe in state.failed:
            return  # another task of it has failed already
        key = key_of(task.stage, task.recipe)
        state.spent[key] = state.spent.get(key, 0.0) + outcome.seconds
        if not outcome.ok:
            if (again := self.attempts.again(outcome)) is not None:
                self.queue.add(again)
                return
            self._fail(state, task.stage, task.recipe, outcome.error)
            self._go_on(state, task.stage)
            return
        if isinstance(state, StyleState) and not task.ends_stage:
            state.batches_left -= 1
            state.pieces_read += outcome.value["tunes"]
            self._report(state, task)
            if state.batches_left == 0:
                self.queue.add(tasks.cleaning_task(state, self.executor.home))
            return
        self._finish_stage(state, task, outcome.value)

    def _finish_stage(self, state: State, task: Task, value: dict[str, Any]) -> None:
        key = key_of(task.stage, task.recipe)
        inputs = next(dict(job.inputs) for job in state.jobs if job.key == key)
        about: dict[str, Any] = {"recipe": task.recipe, "seconds": state.spent[key]}
        written = ledger.write_receipt(self.storage, state.style, task.stage, inputs=inputs, result=value, **about)
        state.receipts[key] = written
        state.lost.pop(key, None)
        ledger.note_attempt(self.storage, state.style, task.stage, "done", **about)
        state.active.discard(key)
        state.ran.append(state.named(task.stage, task.recipe))
        ledger.clear_progress(self.storage, state.style, task.recipe)
        self.listener.end(state, task.stage, task.recipe, value)
        self._go_on(state, task.stage)

    def _go_on(self, state: State, stage: str) -> None:
        """Plan anew whatever a stage that ended concerns, and start what can start."""
        concerned: list[State] = [state]
        if isinstance(state, StyleState) and not state.error:
            state.replan(self.base)
        if self.base is not None and stage in ("read", BASE) and (self.base.replan(self.styles) or stage == BASE):
            self._check_base(self.base)
            concerned.append(self.base)
            for style in self.styles.values():
                if style.wanted and not style.error:
                    style.replan(self.base)
                    concerned.append(style)
        for one in concerned:
            self._enqueue(one)

    def _check_base(self, base: BaseState) -> None:
        """Fail a base for which nothing is left to hear; it would wait for ever."""
        for work in base.works.values():
            if work.recipe.name not in base.failed and all(name in base.unread for name in work.hears):
                self._fail(base, BASE, work.recipe.name, "none of the styles that it hears could be read")

    def _fail(self, state: State, stage: str, recipe: str, message: str) -> None:
        """Note a failure: of a recipe where others are left, else of the style; of a base, with all who need it."""
        ledger.note_attempt(self.storage, state.style, stage, "failed", recipe=recipe, message=message)
        ledger.report_progress(self.storage, state.style, recipe, stage=stage, failed=message)
        if recipe:
            state.failed[recipe] = (stage, message)
            state.active -= {key_of(one, recipe) for one in (*PER_RECIPE, BASE)}
        if isinstance(state, StyleState) and (not recipe or len(state.failed) == len(state.recipes)):
            state.stage_failed, state.error = stage, message
            state.active.clear()
            self.queue.drop(lambda other: other.style == state.style)
        self.listener.fail(state, stage, recipe, message)
        if isinstance(state, BaseState):
            self._fail_without_base(recipe, message)

    def _fail_without_base(self, recipe: str, message: str) -> None:
        last = message.strip().splitlines()[-1]
        told = f"the common base failed: {last}; mend that, or let every style start by itself with 'base: none'"
        for style in self.styles.values():
            if not style.wanted or style.error or recipe not in style.recipes or recipe in style.failed:
                continue
            if style.work.alone(recipe).starts_from == BASE:
                self._fail(style, "train", recipe, f"{style.style}: {told}")
