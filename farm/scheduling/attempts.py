"""The tries at every task: counted on disk before they begin, each with a fence, and given up after some."""

from dataclasses import replace

from farm.scheduling import ledger
from farm.scheduling.queue import Outcome, Task
from farm.storage import Storage

_TRIES = 3  # for failures that are nobody's fault, such as a worker that was killed


class Attempts:
    """What has been tried in this run and before it.

    Parameters
    ----------
    storage
        The artifacts, which this process owns.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._started = ledger.attempts(storage)
        self._tries: dict[str, int] = {}  # of a task, in this run

    def begin_stage(self, task: Task, message: str = "") -> None:
        """Count an attempt at a task's stage; `message` says why there is another."""
        ledger.note_attempt(self._storage, task.style, task.stage, "started", recipe=task.recipe, message=message)
        name = (task.style, task.stage, task.recipe)
        self._started[name] = self._started.get(name, 0) + 1

    def fenced(self, task: Task) -> Task:
        """Return a task as this attempt makes it: its work, the first argument of every call, writes by a fence."""
        fence = ledger.open_fence(self._storage, task.id, self._started[task.style, task.stage, task.recipe])
        work, *others = task.arguments
        return replace(task, arguments=(replace(work, fence=fence), *others))

    def end(self, task: Task) -> None:
        """Let nobody write for a task any more."""
        ledger.close_fence(self._storage, task.id)

    def again(self, outcome: Outcome) -> Task | None:
        """Return the task for another try at what failed, counted; None when it would only fail again."""
        task = outcome.task
        self._tries[task.id] = self._tries.get(task.id, 1) + 1
        if outcome.kind != "infrastructure" or self._tries[task.id] > _TRIES:
            return None
        self.begin_stage(task, outcome.error)
        return task.elsewhere()
