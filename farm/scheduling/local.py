"""Carries tasks out without Ray: one warm child process per CPU, each with the GPUs that its task was given."""

import time
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import Connection, wait

from farm.scheduling.machines import Node
from farm.scheduling.queue import Outcome, Task
from farm.scheduling.workers import Worker, environment_of
from farm.training.devices import Gpu, list_gpus

_PATIENCE_SECONDS = 5.0  # for children that were asked to end


def node_here(cpus: int, gpus: Sequence[Gpu]) -> Node:
    """Return this machine as the queue sees it; GPUs that are not all alike count as the smallest."""
    memory = min((gpu.memory_mib for gpu in gpus), default=0)
    return Node("here", cpus, len(gpus), gpus[0].name if gpus else "", memory)


class LocalExecutor:
    """Runs tasks in child processes, as many as `cpus` and the GPUs of this machine bear."""

    name, home = "local", ""

    def __init__(self, cpus: int) -> None:
        self._gpus = list_gpus()
        self.nodes = (node_here(cpus, self._gpus),)
        self._workers: list[Worker] = []

    def submit(self, task: Task) -> None:
        told = environment_of(task)
        if task.place and task.place.gpus:
            told["CUDA_VISIBLE_DEVICES"] = ",".join(self._gpus[index].id for index in task.place.gpus)
        task = replace(task, environment=told)
        for worker in [worker for worker in self._workers if worker.task is None]:
            if worker.send(task):
                return
            self._workers.remove(worker)
        self._workers.append(Worker())
        self._workers[-1].send(task)

    def wait(self, timeout_seconds: float) -> list[Outcome]:
        """Return what has finished, waiting at most so long for the first."""
        busy = {worker.pipe: worker for worker in self._workers if worker.task is not None}
        return [self._collect(busy[pipe]) for pipe in wait(list(busy), timeout_seconds) if isinstance(pipe, Connection)]

    def close(self) -> None:
        """End every child: the idle ones and those at work."""
        for worker in self._workers:
            worker.ask_to_end()
        until = time.monotonic() + _PATIENCE_SECONDS
        for worker in self._workers:
            worker.wait_for_end(until)
        self._workers = []

    def _collect(self, worker: Worker) -> Outcome:
        outcome, lives = worker.collect()
        if not lives:
            self._workers.remove(worker)
        return outcome
