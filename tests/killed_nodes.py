"""A small farm on a Ray cluster whose node is killed in the middle of a stage, and what became of every style."""

import hashlib
import json
from pathlib import Path

import yaml
from small_music import write_corpus

from farm.config_file import load_farm
from farm.scheduling.cluster import RayExecutor
from farm.scheduling.run import run_farm
from farm.storage import Storage

STYLES = {"hills": 24, "valley": 24}
RECIPE = {
    "recipe": 1,
    "name": "tiny",
    "network": {"embedding": 16, "layers": [48], "head": 24, "dropout": 0.1},
    "training": {"window_notes": 16, "batch_windows": 1, "learning_rate": 0.003, "max_epochs": 6},
    "samples": {"count": 2, "notes": 64},
    "devices": {"gpus": 0, "cpus": 1},
}


class Killing(RayExecutor):
    """Kills the node that a task of a stage is at work on, once the task has got so far."""

    def __init__(self, cluster, storage, stage, is_far_enough):
        super().__init__(0, cluster.address, storage)
        self._cluster, self._stage, self._is_far_enough = cluster, stage, is_far_enough
        self._victim = None
        self.killed = None  # the task that lost its node

    def submit(self, task):
        super().submit(task)
        if self._victim is None and task.stage == self._stage and task.place.node in self._cluster.nodes:
            self._victim = task

    def wait(self, timeout_seconds):
        if self.killed is None and self._victim is not None and self._is_far_enough(self._victim):
            self.killed = self._victim
            self._cluster.kill(self.killed.place.node)
        outcomes = super().wait(timeout_seconds)
        if self.killed is None and any(outcome.task.id == self._victim.id for outcome in outcomes if self._victim):
            self._victim = None  # it was done before: the next one then
        return outcomes


class Silent:
    def begin(self, state, job): ...
    def end(self, state, stage, recipe, result): ...
    def fail(self, state, stage, recipe, message): ...
    def tick(self, states): ...


def write_farm(folder):
    """Write music, recipe and corpora.yaml."""
    write_corpus(folder / "music", STYLES, bars=16)
    (folder / "tiny.yaml").write_text(yaml.safe_dump(RECIPE))
    styles = {name: {"sources": [{"folder": f"music/{name}", "licence": "CC0-1.0"}]} for name in STYLES}
    farm = {"farm": 1, "recipe": "tiny.yaml", "base": "none", "styles": styles}
    (folder / "corpora.yaml").write_text(yaml.safe_dump(farm))


def farm_once(artifacts, folder, make_executor, until="publish"):
    """Farm it into artifacts, a folder or an address, and return the states and the storage."""
    storage, farm = Storage(artifacts), load_farm(folder / "corpora.yaml")
    states, _ = run_farm(
        farm, storage, styles=list(STYLES), until=until, make_executor=make_executor, listener=Silent()
    )
    return states, storage


def farm_and_kill(folder, artifacts, cluster, stage, until="publish"):
    """Farm it while a node is killed during a stage; return facts about every style."""
    root = Path(folder, artifacts)

    def is_far_enough(task):
        return stage == "read" or len(_epochs(root, task.style)) >= 2

    made = []

    def make_executor():
        made.append(Killing(cluster, Storage(root), stage, is_far_enough))
        return made[0]

    states, _ = farm_once(root, folder, make_executor, until)
    repeated = {name: _repeated(root, name) for name in STYLES}
    return {
        "stage": stage,
        "killed": made[0].killed.id if made[0].killed else None,
        "failed": {state.style: state.error for state in states if state.error},
        "notes": {name: notes_of(root, name) for name in STYLES},
        "epochs": {name: len(set(_epochs(root, name))) for name in STYLES},
        "repeated": repeated,
    }


def notes_of(root, style):
    """Return the number of notes of a style and a hash of its tables."""
    import pyarrow.parquet

    parts = sorted(Path(root, "notes", style).glob("*.parquet"))
    rows = sum(pyarrow.parquet.read_metadata(part).num_rows for part in parts)
    return [rows, hashlib.sha256(b"".join(part.read_bytes() for part in parts)).hexdigest()]


def _epochs(root, style):
    lines = [
        line for file in Path(root, "runs", style).glob("*/metrics.jsonl") for line in file.read_text().splitlines()
    ]
    return [json.loads(line)["epoch"] for line in lines]


def _repeated(root, style):
    """Return how many epochs of a style were trained twice."""
    epochs = _epochs(root, style)
    return len(epochs) - len(set(epochs))
