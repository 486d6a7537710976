"""A whole farm in a second or two: every stage in this process, on small music, with a stand-in for the training."""

import contextlib
import functools
import os
import shutil
import tempfile
from pathlib import Path

import pytest
import yaml

from farm.config_file import load_farm
from farm.scheduling import publishing
from farm.scheduling.local import node_here
from farm.scheduling.run import run_farm
from farm.scheduling.workers import perform
from farm.storage import Storage
from tests.small_music import write_corpus
from tests.small_runs import FakeTrainee

RECIPE = {
    "recipe": 1,
    "name": "tiny",
    "network": {"embedding": 8, "layers": [8], "head": 8},
    "training": {"window_notes": 16, "batch_windows": 8, "max_epochs": 4},
    "samples": {"count": 2, "notes": 48},
}
STYLES = {"hill": 12, "valley": 10}


class HereAndNow:
    """An executor that makes each call when it is asked for what has ended."""

    name, home = "here", ""

    def __init__(self):
        self.nodes = (node_here(1, []),)
        self._tasks = []

    def submit(self, task):
        self._tasks.append(task)

    def wait(self, timeout_seconds):
        done, self._tasks = [perform(task) for task in self._tasks], []
        return done

    def close(self):
        pass


class Silent:
    def begin(self, state, job): ...
    def end(self, state, stage, recipe, result): ...
    def fail(self, state, stage, recipe, message): ...
    def tick(self, states): ...


def write_farm(folder, styles=STYLES):
    """Write corpora.yaml with music under a known licence; return its path."""
    write_corpus(folder / "music", styles)
    (folder / "tiny.yaml").write_text(yaml.safe_dump(RECIPE))
    sources = {name: [{"folder": f"music/{name}", "licence": "CC0-1.0"}] for name in styles}
    described = {name: {"title": f"Songs of the {name}", "sources": sources[name]} for name in styles}
    farm = {"farm": 1, "artifacts": "artifacts", "recipe": "tiny.yaml", "base": "none", "styles": described}
    (folder / "corpora.yaml").write_text(yaml.safe_dump(farm, sort_keys=False))
    return folder / "corpora.yaml"


def run_small(config):
    """Run a farm with the stand-in; return its storage and how the styles ended."""
    farm = load_farm(config)
    storage = Storage(config.parent / "artifacts")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("farm.training.trainee.Trainee", FakeTrainee)
        about = {"styles": list(farm.styles), "until": "publish", "listener": Silent()}
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
            states, _ = run_farm(farm, storage, make_executor=HereAndNow, **about)
    return storage, states


@functools.cache
def _farmed():
    """Return a folder with a farm of which one style is overruled and published, and the other has no model."""
    folder = tempfile.TemporaryDirectory()
    storage, _ = run_small(write_farm(Path(folder.name)))
    publishing.decide(storage, "hill", "rejected", "to begin with", epoch=3)
    return folder


def copied_farm(to):
    """Return the storage of a copy: style `hill` has a rejected model of epoch 3, `valley` has nothing fit."""
    shutil.copytree(_farmed().name, to, dirs_exist_ok=True)
    return Storage(Path(to) / "artifacts")
