"""What a queue would make of steps whose length is known: how long a farm takes, on machines that may fail. Pure.

Conventions
-----------
Times are seconds from the start. A step that a machine loses is tried again, and begins after the last part of it
that was kept.
"""

import heapq
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from farm.scheduling.machines import Node
from farm.scheduling.queue import Queue, Task


@dataclass(frozen=True)
class Step:
    """A task with its length, and the ids of those that have to end before."""

    task: Task
    seconds: float
    after: tuple[str, ...] = ()
    kept_seconds: float = 0  # what is done is kept every so often, such as once an epoch; 0: never


@dataclass(frozen=True)
class Outage:
    """A machine that is gone from one time to another."""

    node: str
    begins: float
    ends: float


@dataclass(frozen=True)
class Span:
    """One attempt at a step: where, from when to when, and whether it came to its end."""

    task: Task
    began: float
    ended: float
    ok: bool


def simulate(
    steps: Iterable[Step],
    nodes: Sequence[Node],
    outages: Sequence[Outage] = (),
    fails_after: Callable[[Step, int], float | None] = lambda step, attempt: None,
) -> list[Span]:
    """Return every attempt, in the order in which they end.

    Parameters
    ----------
    fails_after
        Of a step and the number of the attempt, from 1: the seconds after which it fails, None when it does not.

    Raises
    ------
    ValueError
        When something can never start: no machine holds it, or what it follows is not among the steps.
    """
    return _Play(steps, nodes, outages, fails_after).play()


class _Play:
    def __init__(
        self,
        steps: Iterable[Step],
        nodes: Sequence[Node],
        outages: Sequence[Outage],
        fails_after: Callable[[Step, int], float | None],
    ) -> None:
        self.steps = {step.task.id: step for step in steps}
        self.fails_after = fails_after
        self.all_nodes, self.gone = tuple(nodes), set[str]()
        self.queue = Queue(nodes)
        self.left = {name: step.seconds for name, step in self.steps.items()}
        self.blocks = {name: set(step.after) for name, step in self.steps.items()}
        self.followers: dict[str, list[str]] = {}
        for name, step in self.steps.items():
            for before in step.after:
                self.followers.setdefault(before, []).append(name)
        self.attempts: dict[str, int] = {}
        self.began: dict[str, float] = {}
        self.numbers = itertools.count()
        self.events: list[tuple[float, int, str, str, int]] = []  # time, number, what, whose, attempt
        for outage in outages:
            self._plan(outage.begins, "gone", outage.node)
            self._plan(outage.ends, "back", outage.node)
        self.spans: list[Span] = []

    def play(self) -> list[Span]:
        for name, blocks in self.blocks.items():
            if not blocks:
                self.queue.add(self.steps[name].task)
        now = 0.0
        self._start(now)
        while self.events and (self.queue.running or self.queue.n_waiting):
            now = self.events[0][0]
            while self.events and self.events[0][0] == now:
                _, _, what, name, attempt = heapq.heappop(self.events)
                self._meet(now, what, name, attempt)
            self._start(now)
        if len({span.task.id for span in self.spans if span.ok}) < len(self.steps):
            raise ValueError("steps are left that can never start")
        return self.spans

    def _meet(self, now: float, what: str, name: str, attempt: int) -> None:
        if what in ("done", "failed"):
            if name in self.queue.running and self.attempts[name] == attempt:
                self._end(now, name, what == "done")
            return
        self.gone = self.gone | {name} if what == "gone" else self.gone - {name}
        self.queue.set_nodes([node for node in self.all_nodes if node.id not in self.gone])
        if what == "gone":
            lost = [task.id for task in self.queue.running.values() if task.place and task.place.node == name]
            for task_id in lost:
                self._end(now, task_id, ok=False)

    def _start(self, now: float) -> None:
        for task in self.queue.start():
            attempt = self.attempts[task.id] = self.attempts.get(task.id, 0) + 1
            self.began[task.id] = now
            fails = self.fails_after(self.steps[task.id], attempt)
            if fails is not None and fails < self.left[task.id]:
                self._plan(now + fails, "failed", task.id, attempt)
            else:
                self._plan(now + self.left[task.id], "done", task.id, attempt)

    def _end(self, now: float, name: str, ok: bool) -> None:
        task, step = self.queue.running[name], self.steps[name]
        self.queue.end(name)
        self.spans.append(Span(task, self.began[name], now, ok))
        if not ok:
            done = step.seconds - self.left[name] + now - self.began[name]
            kept = done // step.kept_seconds * step.kept_seconds if step.kept_seconds else 0.0
            self.left[name] = step.seconds - kept
            self.queue.add(task.elsewhere())
            return
        for follower in self.followers.get(name, ()):
            self.blocks[follower].discard(name)
            if not self.blocks[follower]:
                self.queue.add(self.steps[follower].task)

    def _plan(self, time: float, what: str, name: str, attempt: int = 0) -> None:
        heapq.heappush(self.events, (time, next(self.numbers), what, name, attempt))
