"""Carries tasks out without Ray: one warm child process per CPU.

A child that dies costs its task only, which comes back as an infrastructure failure; no child outlives the farm.
"""

import ctypes
import multiprocessing
import os
import signal
import time
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from threadpoolctl import threadpool_limits

from farm.errors import DiskError, FarmError, FencedError
from farm.scheduling.queue import TRAINING, Capacity, Outcome, Task

_PR_SET_PDEATHSIG = 1
_PATIENCE_SECONDS = 5.0  # for children that were asked to end


def perform(task: Task) -> Outcome:
    """Make the task's call; an exception becomes an outcome, because nothing may escape from a worker."""
    started = time.monotonic()
    try:
        # Products of a few rows, as in composing, gain nothing from threads that wait for those of the task beside it.
        with threadpool_limits(task.cpus):
            value = task.call(*task.arguments)
    except (DiskError, FencedError) as error:
        return Outcome(task, error=str(error), kind="infrastructure", seconds=time.monotonic() - started)
    except FarmError as error:
        return Outcome(task, error=str(error), kind="style", seconds=time.monotonic() - started)
    except MemoryError:
        advice = "out of memory; use a recipe with smaller layers or batch_windows, or run fewer styles at once"
        return Outcome(task, error=advice, kind="style", seconds=time.monotonic() - started)
    except Exception:  # the process boundary: whatever it was must reach the person as a failure of this style
        return Outcome(task, error=traceback.format_exc(), kind="bug", seconds=time.monotonic() - started)
    return Outcome(task, value=value, seconds=time.monotonic() - started)


@dataclass
class _Worker:
    process: SpawnProcess
    pipe: Connection
    task: Task | None = None


class LocalExecutor:
    """Runs up to `cpus` tasks at once in child processes."""

    name = "local"

    def __init__(self, cpus: int) -> None:
        self.capacity = Capacity(cpus)
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker] = []

    def submit(self, task: Task) -> None:
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
        if task.stage in TRAINING:
            # TensorFlow keeps its memory and its thread counts for as long as the process lives.
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
