"""Carries tasks out without Ray: one warm child process per CPU, each with the GPUs that its task was given.

A child that dies costs its task only, which comes back as an infrastructure failure; no child outlives the farm.
"""

import ctypes
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from threadpoolctl import threadpool_limits

from farm.errors import DiskError, FarmError, FencedError
from farm.scheduling.machines import Node
from farm.scheduling.queue import Outcome, Task
from farm.training.devices import Gpu, list_gpus
from farm.training.gpu_memory import MEMORY_MIB, SHARE

_PR_SET_PDEATHSIG = 1
_PATIENCE_SECONDS = 5.0  # for children that were asked to end


def perform(task: Task) -> Outcome:
    """Make the task's call; an exception becomes an outcome, because nothing may escape from a worker."""
    started = time.monotonic()
    os.environ.update(task.environment)
    outcome = _performed(task)
    return replace(outcome, seconds=time.monotonic() - started, worn="keras" in sys.modules)


def _performed(task: Task) -> Outcome:
    try:
        # Products of a few rows, as in composing, gain nothing from threads that wait for those of the task beside it.
        with threadpool_limits(task.demand.cpus):
            return Outcome(task, value=task.call(*task.arguments))
    except (DiskError, FencedError) as error:
        return Outcome(task, error=str(error), kind="infrastructure")
    except FarmError as error:
        return Outcome(task, error=str(error), kind="style")
    except MemoryError:
        advice = "out of memory; use a recipe with smaller layers or batch_windows, or run fewer styles at once"
        return Outcome(task, error=advice, kind="style")
    except Exception:  # the process boundary: whatever it was must reach the person as a failure of this style
        return Outcome(task, error=traceback.format_exc(), kind="bug")


def environment_of(task: Task) -> dict[str, str]:
    """Return what the process of a task is told about GPUs: that it has none, or how much of one's memory.

    Which GPU it is, the executor adds.
    """
    if not task.demand.gpus:
        return {"CUDA_VISIBLE_DEVICES": "-1"}  # a library that finds one would take all of its memory
    is_limited = task.demand.gpus < 1 or task.demand.gpu_memory_mib
    known = task.place.gpu_memory_mib if task.place and is_limited else 0
    return {SHARE: str(task.demand.gpus), MEMORY_MIB: str(known or "")}


def node_here(cpus: int, gpus: Sequence[Gpu]) -> Node:
    """Return this machine as the queue sees it; GPUs that are not all alike count as the smallest."""
    memory = min((gpu.memory_mib for gpu in gpus), default=0)
    return Node("here", cpus, len(gpus), gpus[0].name if gpus else "", memory)


@dataclass
class _Worker:
    process: SpawnProcess
    pipe: Connection
    task: Task | None = None


class LocalExecutor:
    """Runs tasks in child processes, as many as `cpus` and the GPUs of this machine bear."""

    name, home = "local", ""

    def __init__(self, cpus: int) -> None:
        self._gpus = list_gpus()
        self.nodes = (node_here(cpus, self._gpus),)
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker] = []

    def submit(self, task: Task) -> None:
        told = environment_of(task)
        if task.place and task.place.gpus:
            told["CUDA_VISIBLE_DEVICES"] = ",".join(self._gpus[index].id for index in task.place.gpus)
        task = replace(task, environment=told)
        for worker in [worker for worker in self._workers if worker.task is None]:
            worker.task = task
            try:
                worker.pipe.send(task)
            except OSError:  # it was killed while it had nothing to do
                worker.process.join(_PATIENCE_SECONDS)
                self._workers.remove(worker)
            else:
                return
        worker = self._start()
        worker.task = task
        worker.pipe.send(task)

    def wait(self, timeout_seconds: float) -> list[Outcome]:
        """Return what has finished, waiting at most so long for the first."""
        busy = {worker.pipe: worker for worker in self._workers if worker.task is not None}
        return [self._collect(busy[pipe]) for pipe in wait(list(busy), timeout_seconds) if isinstance(pipe, Connection)]

    def close(self) -> None:
        """End every child: the idle ones and those at work."""
        for worker in self._workers:
            worker.pipe.close()
            worker.process.terminate()
        until = time.monotonic() + _PATIENCE_SECONDS
        for worker in self._workers:
            worker.process.join(max(0.0, until - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        self._workers = []

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, os.getpid()))
        # The child is born deaf to ^C, which reaches the whole process group: the farm decides.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        worker = _Worker(process, ours)
        self._workers.append(worker)
        return worker

    def _collect(self, worker: _Worker) -> Outcome:
        task = worker.task
        assert task is not None  # only busy workers are waited for
        worker.task = None
        try:
            outcome: Outcome = worker.pipe.recv()
        except (EOFError, OSError):
            worker.process.join(_PATIENCE_SECONDS)
            self._workers.remove(worker)
            return Outcome(
                task, error=f"worker process ended with code {worker.process.exitcode}", kind="infrastructure"
            )
        if outcome.worn:
            worker.pipe.close()
            worker.process.join(_PATIENCE_SECONDS)
            self._workers.remove(worker)
        return outcome


def _serve(pipe: Any, parent: int) -> None:
    """Perform tasks until the farm closes the pipe or dies."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the farm decides; ^C reaches the whole process group
    if os.getppid() != parent:
        return
    while True:
        try:
            task = pipe.recv()
        except (EOFError, OSError):
            return
        pipe.send(perform(task))
