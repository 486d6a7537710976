"""Which tasks start now. Pure: what waits, what runs and what there is in; the tasks to start out.

Conventions
-----------
CPUs and GPUs are counted as Ray counts them: a task says how many it occupies, fractions of a GPU are allowed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

TRAINING = ("train", "base")
"""Stages after which a worker process is not used again."""


@dataclass(frozen=True)
class Task:
    """One call that a worker makes: a stage of a style, or one batch of it."""

    id: str
    style: str
    stage: str
    call: Callable[..., dict[str, Any]]
    arguments: tuple[Any, ...]
    cpus: int = 1
    gpus: float = 0
    priority: int = 0
    expected_seconds: float = 0  # of the whole style, so that the longest starts first
    ends_stage: bool = True  # False for one batch of many
    recipe: str = ""  # whose stage it is; empty for a stage that a style's recipes share


@dataclass(frozen=True)
class Outcome:
    """What became of a task. `kind` says whose fault a failure is: style, infrastructure or bug."""

    task: Task
    value: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    kind: str = ""
    seconds: float = 0

    @property
    def ok(self) -> bool:
        return not self.error


@dataclass(frozen=True)
class Capacity:
    """What the machines have; `machine_cpus` is what the largest of them has, for a task runs on one. 0 for all."""

    cpus: int
    gpus: float = 0
    machine_cpus: int = 0

    @property
    def cpus_of_one(self) -> int:
        """CPUs that a single task can have."""
        return self.machine_cpus or self.cpus


def choose(waiting: Sequence[Task], running: Sequence[Task], capacity: Capacity) -> list[Task]:
    """Return the waiting tasks to start now, in order.

    Higher priority first, then the style with most to do, then by style and arrival; a task that does not fit
    lets smaller ones pass. Publishing is one at a time: there is one catalog.

    Examples
    --------
    >>> task = Task("bach/train", "bach", "train", dict, (), cpus=2)
    >>> [t.id for t in choose([task], [], Capacity(cpus=2))]
    ['bach/train']
    >>> choose([task], [task], Capacity(cpus=2))
    []
    """
    cpus = capacity.cpus - sum(task.cpus for task in running)
    gpus = capacity.gpus - sum(task.gpus for task in running)
    publishing = any(task.stage == "publish" for task in running)
    started = []
    for task in sorted(waiting, key=lambda task: (-task.priority, -task.expected_seconds, task.style)):
        if task.cpus > cpus or task.gpus > gpus or (task.stage == "publish" and publishing):
            continue
        started.append(task)
        cpus -= task.cpus
        gpus -= task.gpus
        publishing = publishing or task.stage == "publish"
    return started


def threads_per_training(cpus: int, trainings: int) -> int:
    """Return how many CPUs each training gets, so that jobs side by side do not fight for cores.

    Examples
    --------
    >>> threads_per_training(8, 3), threads_per_training(2, 14), threads_per_training(2, 1)
    (2, 1, 2)
    """
    return max(1, cpus // max(1, min(trainings, cpus)))
