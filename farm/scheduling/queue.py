"""Which tasks start now, and where. Pure: tasks and machines in, the tasks to start out; it knows no clock and no Ray.

Conventions
-----------
Whoever carries tasks out tells the queue what ends and which machines there are; the queue answers with what starts.
The same calls in the same order give the same answers.
"""

from bisect import insort
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from farm.scheduling.machines import Demand, Node, Place, Room, could_hold

TRAINING = ("train", "base")
"""Stages that occupy what a recipe's `devices` say."""


_ONE_CPU = Demand()


@dataclass(frozen=True)
class Task:
    """One call that a worker makes: a stage of a style, or one batch of it."""

    id: str
    style: str
    stage: str
    call: Callable[..., dict[str, Any]]
    arguments: tuple[Any, ...]
    demand: Demand = _ONE_CPU
    priority: int = 0
    expected_seconds: float = 0  # of the whole style, so that the longest starts first
    ends_stage: bool = True  # False for one batch of many
    recipe: str = ""  # whose stage it is; empty for a stage that a style's recipes share
    at_once: int = 0  # so many tasks of its style run at once; 0 for any number
    keeps_room: bool = False  # while it waits, a machine that could hold it takes nothing else
    avoids: frozenset[str] = frozenset()  # machines that failed it
    place: Place | None = None  # once it starts
    environment: Mapping[str, str] = field(default_factory=dict)  # of its worker's process

    def elsewhere(self) -> "Task":
        """Return it for another try: on another machine than before, where there is one."""
        return replace(self, place=None, avoids=self.avoids | ({self.place.node} if self.place else set()))


@dataclass(frozen=True)
class Outcome:
    """What became of a task. `kind` says whose fault a failure is: style, infrastructure or bug.

    Its worker is worn when it has loaded Keras, whose backends keep memory, threads and GPUs for as long as their
    process lives: nothing else should run in it.
    """

    task: Task
    value: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    kind: str = ""
    seconds: float = 0
    worn: bool = False

    @property
    def ok(self) -> bool:
        return not self.error


_Key = tuple[int, bool, bool, float, str, int]


class Queue:
    """What waits, what runs, and what of the machines is free.

    Higher priority first; then publishing, which is one at a time, for there is one catalog, and shows what is done;
    then what needs a GPU, for those are few; then the style with most to do, then by style and arrival. A task that
    does not fit lets others pass.

    Examples
    --------
    >>> queue = Queue([Node("here", cpus=2)])
    >>> for name in ("bach", "chopin"):
    ...     queue.add(Task(f"{name}/train", name, "train", dict, (), Demand(cpus=2)))
    >>> [task.id for task in queue.start()], [task.id for task in queue.start()]
    (['bach/train'], [])
    >>> queue.end("bach/train")
    >>> [task.id for task in queue.start()]
    ['chopin/train']
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes: tuple[Node, ...] = ()
        self.running: dict[str, Task] = {}
        self._of_style: Counter[str] = Counter()
        self._arrivals = 0
        self._homeless_since: float | None = None
        # Tasks that ask for the same wait in one line: where the first of them finds no room, none does.
        self._lines: dict[tuple[Demand, bool], list[tuple[_Key, Task]]] = {}
        self.set_nodes(nodes)

    @property
    def n_waiting(self) -> int:
        return sum(map(len, self._lines.values()))

    def set_nodes(self, nodes: Sequence[Node]) -> None:
        """Say which machines there are from now on; what runs on one that is gone still has to end."""
        self.nodes = tuple(nodes)
        self._rooms = {node.id: Room(node) for node in nodes}
        for task in self.running.values():
            if task.place and task.place.node in self._rooms:
                self._rooms[task.place.node].take(task.demand, task.place)

    def add(self, task: Task) -> None:
        self._arrivals += 1
        publishes = task.stage == "publish"
        key = (-task.priority, not publishes, not task.demand.gpus, -task.expected_seconds, task.style, self._arrivals)
        insort(self._lines.setdefault((task.demand, publishes), []), (key, task))

    def start(self) -> list[Task]:
        """Return the waiting tasks that start now, in order, each with its place; they run from now on."""
        started: list[Task] = []
        full: set[tuple[Demand, bool]] = set()
        kept: set[str] = set()
        while True:
            heads = [(*head, line) for line in self._lines if line not in full and (head := self._head(line))]
            if not heads:
                return started
            key, task, line = min(heads, key=lambda head: head[0])
            place = self._find(task, kept)
            if place is None:
                full.add(line)
                if task.keeps_room and (node := self._emptiest(task.demand)):
                    kept.add(node)
                continue
            self._lines[line].remove((key, task))
            task = replace(task, place=place)
            self._rooms[place.node].take(task.demand, place)
            self._of_style[task.style] += 1
            self.running[task.id] = task
            started.append(task)

    def end(self, task_id: str) -> None:
        """Say that a task runs no more, however it went."""
        task = self.running.pop(task_id)
        self._of_style[task.style] -= 1
        if task.place and task.place.node in self._rooms:
            self._rooms[task.place.node].give_back(task.demand, task.place)

    def drop(self, is_dropped: Callable[[Task], bool]) -> list[Task]:
        """Take tasks out that wait, and return them."""
        dropped = []
        for line, entries in self._lines.items():
            dropped += [task for _, task in entries if is_dropped(task)]
            self._lines[line] = [entry for entry in entries if not is_dropped(entry[1])]
        return dropped

    def homeless(self) -> list[Task]:
        """Return the waiting tasks that no machine could hold, even an empty one."""
        lines = [line for line, entries in self._lines.items() if entries and not could_hold(self.nodes, line[0])]
        return [task for line in lines for _, task in self._lines[line]]

    def give_up(self, now: float, patience: float) -> list[Task]:
        """Take out and return what no machine could hold for so long: one that could may have died, and come back.

        Parameters
        ----------
        now, patience
            Seconds, on any clock that does not go back. Patience begins anew when nothing is homeless.
        """
        homeless = {task.id for task in self.homeless()}
        if not homeless:
            self._homeless_since = None
            return []
        if self._homeless_since is None:
            self._homeless_since = now
        if now - self._homeless_since < patience:
            return []
        return self.drop(lambda task: task.id in homeless)

    def _head(self, line: tuple[Demand, bool]) -> tuple[_Key, Task] | None:
        """Return the first of a line that may start as far as limits go."""
        if line[1] and any(task.stage == "publish" for task in self.running.values()):
            return None
        for entry in self._lines[line]:
            task = entry[1]
            if not task.at_once or self._of_style[task.style] < task.at_once:
                return entry
        return None

    def _find(self, task: Task, kept: set[str]) -> Place | None:
        """Return the best place for a task: on a machine that has not failed it where there is one."""
        places = [
            (node in task.avoids, room.tightness(place), place)
            for node, room in self._rooms.items()
            if node not in kept and (place := room.find(task.demand)) is not None
        ]
        return min(places, key=lambda found: found[:2])[2] if places else None

    def _emptiest(self, demand: Demand) -> str | None:
        rooms = [room for room in self._rooms.values() if could_hold([room.node], demand)]
        return max(rooms, key=lambda room: room.cpus).node.id if rooms else None


def threads_per_training(cpus: int, trainings: int) -> int:
    """Return how many CPUs each training gets, so that jobs side by side do not fight for cores.

    Examples
    --------
    >>> threads_per_training(8, 3), threads_per_training(2, 14), threads_per_training(2, 1)
    (2, 1, 2)
    """
    return max(1, cpus // max(1, min(trainings, cpus)))
