"""What a worker does with a task, and worker processes that a process starts for itself.

A worker that dies costs its task only, which comes back as an infrastructure failure; none outlives who started it.
"""

import ctypes
import functools
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import resource_tracker
from multiprocessing.context import SpawnProcess
from typing import Any

from threadpoolctl import threadpool_limits

from farm.errors import DiskError, FarmError, FencedError
from farm.scheduling.queue import Outcome, Task
from farm.training.gpu_memory import MEMORY_MIB, SHARE

_PR_SET_PDEATHSIG = 1
_PATIENCE_SECONDS = 5.0  # for workers that were asked to end
_CONTEXT = multiprocessing.get_context("spawn")
_VISIBLE = "CUDA_VISIBLE_DEVICES"


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
        return {_VISIBLE: "-1"}  # a library that finds one would take all of its memory
    is_limited = task.demand.gpus < 1 or task.demand.gpu_memory_mib
    known = task.place.gpu_memory_mib if task.place and is_limited else 0
    return {SHARE: str(task.demand.gpus), MEMORY_MIB: str(known or "")}


class Worker:
    """A child process that performs tasks, one at a time, until it is ended or worn.

    Attributes
    ----------
    pipe
        Has something to read when the task is over, or the process is.
    task
        What it is at work on.
    """

    def __init__(self) -> None:
        self.pipe, theirs = _CONTEXT.Pipe()
        self.task: Task | None = None
        self.process: SpawnProcess = _CONTEXT.Process(target=_serve, args=(theirs, os.getpid()), daemon=True)
        with _undisturbed():
            self.process.start()
        theirs.close()

    def send(self, task: Task) -> bool:
        """Give it a task; return False when it was killed while it had nothing to do."""
        try:
            self.pipe.send(task)
        except OSError:
            self.process.join(_PATIENCE_SECONDS)
            return False
        self.task = task
        return True

    def collect(self) -> tuple[Outcome, bool]:
        """Wait for the task to be over; return what became of it, and whether this worker can take another."""
        task, self.task = self.task, None
        assert task is not None  # only busy workers are waited for
        try:
            outcome: Outcome = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join(_PATIENCE_SECONDS)
            error = f"worker process ended with code {self.process.exitcode}"
            return Outcome(task, error=error, kind="infrastructure"), False
        if outcome.worn:
            self.pipe.close()
            self.process.join(_PATIENCE_SECONDS)
        return outcome, not outcome.worn

    def ask_to_end(self) -> None:
        self.pipe.close()
        self.process.terminate()

    def wait_for_end(self, until: float) -> None:
        """Wait until a moment of the monotonic clock, then end it by force."""
        self.process.join(max(0.0, until - time.monotonic()))
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Put off what asks this process to stop until a child is started whole; a half started one says so in a trace.

    The child is born deaf to ^C, which reaches the whole process group: the farm decides. For this process that mask
    is not enough, because any of its threads may get the signal, and then Python interrupts the main one.
    """
    resource_tracker.ensure_running()  # the first child starts it otherwise, which takes the mask away again
    came: list[int] = []
    is_main = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM) if is_main}
    for number in handlers:
        signal.signal(number, lambda number, frame: came.append(number))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for number, handler in handlers.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        for signalled in came[:1]:
            signal.raise_signal(signalled)


def perform_apart(task: Task) -> Outcome:
    """Perform a task in a child of this process, which stays for the next unless it is worn.

    For a process of Ray's, which would have to start and import anew for every training.
    """
    if task.demand.gpus:  # which ones Ray told this process
        task = replace(task, environment={**task.environment, _VISIBLE: os.environ.get(_VISIBLE, "")})
    spare = _spare()
    while spare and not spare[-1].send(task):
        spare.pop()
    worker = spare.pop() if spare else Worker()
    if worker.task is None and not worker.send(task):
        return Outcome(task, error="worker process ended before it began", kind="infrastructure")
    outcome, lives = worker.collect()
    if lives:
        spare.append(worker)
    return outcome


@functools.cache
def _spare() -> list[Worker]:
    """The children of this process that have nothing to do."""
    return []


def _serve(pipe: Any, parent: int) -> None:
    """Perform tasks until the farm closes the pipe or dies, or this process is worn."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the farm decides; ^C reaches the whole process group
    if os.getppid() != parent:
        return
    while True:
        try:
            task = pipe.recv()
        except (EOFError, OSError):
            return
        outcome = perform(task)
        pipe.send(outcome)
        if outcome.worn:
            os._exit(0)  # all is on disk, and what Keras takes down takes a second
