"""What a run asks of whoever carries its tasks out, and of whoever is told what happens."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from farm.scheduling.machines import Node
from farm.scheduling.plan import Job
from farm.scheduling.queue import Outcome, Task
from farm.scheduling.state import State


class Executor(Protocol):
    """What carries tasks out: `cluster.RayExecutor` or `local.LocalExecutor`."""

    name: str
    home: str

    @property
    def nodes(self) -> Sequence[Node]:
        """The machines there are now; more than one only on a cluster. `home` is where music is read, "" for any."""

    def submit(self, task: Task) -> None: ...
    def wait(self, timeout_seconds: float) -> list[Outcome]: ...
    def close(self) -> None: ...


class Listener(Protocol):
    """Who is told what happens, for a person or a program to follow."""

    def begin(self, state: State, job: Job) -> None: ...
    def end(self, state: State, stage: str, recipe: str, result: Mapping[str, Any]) -> None: ...
    def fail(self, state: State, stage: str, recipe: str, message: str) -> None: ...
    def tick(self, states: Sequence[State]) -> None: ...
