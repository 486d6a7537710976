"""What is nobody's fault is tried again, and counted on disk; what would fail again is not."""

import os
import signal
import time

import pytest

from farm.config_file import load_farm
from farm.errors import DiskError, StyleError
from farm.progress import PlainLines
from farm.scheduling import ledger
from farm.scheduling.local import LocalExecutor
from farm.scheduling.machines import Node
from farm.scheduling.queue import Outcome, Task
from farm.scheduling.run import run_farm
from farm.scheduling.workers import perform
from farm.storage import Storage
from tests.faults.small_farm import make_farm


class Failing:
    """Carries tasks out in this process, after so many failures of a kind for each."""

    name = "failing"
    nodes, home = (Node("here", cpus=2),), ""

    def __init__(self, kind, times):
        self._kind, self._times = kind, times
        self._failed, self._submitted = {}, []

    def submit(self, task):
        self._submitted.append(task)

    def wait(self, timeout_seconds):
        submitted, self._submitted = self._submitted, []
        return [self._outcome(task) for task in submitted]

    def close(self):
        pass

    def _outcome(self, task):
        self._failed[task.id] = self._failed.get(task.id, 0) + 1
        if self._failed[task.id] <= self._times:
            return Outcome(task, error="it failed", kind=self._kind)
        return perform(task)


class Silent(PlainLines):
    def __init__(self):
        pass

    def begin(self, state, job): ...
    def end(self, state, stage, recipe, result): ...
    def fail(self, state, stage, recipe, message): ...
    def tick(self, states): ...


@pytest.mark.parametrize(
    ("kind", "times", "attempts", "error"),
    [
        ("infrastructure", 2, 5, ""),  # two tasks, the batch and the tables: one start and two more for each
        ("infrastructure", 3, 3, "it failed"),
        ("style", 1, 1, "it failed"),
        ("bug", 1, 1, "it failed"),
    ],
)
def test_infrastructure_is_tried_three_times_and_nothing_else_twice(tmp_path, kind, times, attempts, error):
    farm = load_farm(make_farm(tmp_path, {"hill": 5}) / "corpora.yaml")
    storage = Storage(tmp_path / "artifacts")
    (hill,), _ = run_farm(
        farm,
        storage,
        styles=["hill"],
        until="read",
        make_executor=lambda: Failing(kind, times),
        listener=Silent(),
    )
    assert (hill.error, hill.stage_failed) == (error, "read" if error else "")
    assert ledger.attempts(storage) == {("hill", "read", ""): attempts}
    assert not storage.list("ledger/fences")


class Interrupted(Failing):
    """Trains nothing, notes the threads of each training, and is interrupted at the one after so many."""

    def __init__(self, trainings):
        super().__init__("", 0)
        self.threads, self._trainings = {}, trainings

    def _outcome(self, task):
        if task.stage != "train":
            return super()._outcome(task)
        if len(self.threads) == self._trainings:
            raise KeyboardInterrupt
        self.threads[task.style] = task.arguments[0].threads
        return Outcome(task, value={"run": "1", "epochs": 1, "best_val_bits_per_note": 1.0, "outputs": []})


def test_a_training_keeps_its_threads_when_the_run_is_killed(tmp_path):
    folder = make_farm(tmp_path, {"hill": 3, "vale": 3})
    (folder / "corpora.yaml").write_text((folder / "corpora.yaml").read_text().replace("base: all", "base: none"))
    storage, farm = Storage(tmp_path / "artifacts"), load_farm(folder / "corpora.yaml")

    def train(executor, *styles):
        run_farm(farm, storage, styles=styles, until="train", make_executor=lambda: executor, listener=Silent())
        return executor.threads

    with pytest.raises(KeyboardInterrupt):
        train(Interrupted(1), "hill", "vale")
    assert storage.read_json("ledger/threads.json") == {"hill/tiny": 1, "vale/tiny": 1}
    (left,) = [style for style in farm.styles if not storage.exists(f"ledger/receipts/train/{style}/tiny.json")]
    assert train(Interrupted(9), "hill", "vale") == {left: 1}  # alone it would have had both processors
    assert storage.read_json("ledger/threads.json") == {}
    storage.delete(f"ledger/receipts/train/{left}/tiny.json")
    assert train(Interrupted(9), "hill", "vale") == {left: 2}


def _full(number):
    raise DiskError("x: No space left on device; the disk is full")


def _wrong(number):
    raise StyleError("hill: the loss is no number")


def test_a_full_disk_is_infrastructure_and_a_loss_that_is_no_number_is_not():
    kinds = [perform(Task("x", "hill", "train", call, (0,))).kind for call in (_full, _wrong)]
    assert kinds == ["infrastructure", "style"]


def _number(number):
    return {"number": number}


def test_a_worker_killed_while_idle_costs_no_task():
    executor = LocalExecutor(1)
    try:
        executor.submit(Task("one", "hill", "judge", _number, (1,)))
        outcomes = _wait(executor)
        (worker,) = executor._workers
        os.kill(worker.process.pid, signal.SIGKILL)
        worker.process.join()
        executor.submit(Task("two", "hill", "judge", _number, (2,)))
        outcomes += _wait(executor)
        assert [outcome.value for outcome in outcomes] == [{"number": 1}, {"number": 2}]
    finally:
        executor.close()


def _wait(executor):
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if outcomes := executor.wait(1):
            return outcomes
    return []
