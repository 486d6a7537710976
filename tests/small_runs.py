"""Runs small enough for a test: of a tiny network, or of a stand-in that follows a script."""

import numpy as np

from farm import layout
from farm.composing.player import weight_shapes
from farm.config import Network, Recipe, Training
from farm.music.encoding import Encoding, encode
from farm.music.features import Features
from farm.storage import Storage
from farm.training.loop import fit
from tests.small_music import tune

PLAIN = Encoding()
RATE = 0.03


def piece(seed: int, bars: int = 12, tonic: int = 60, encoding: Encoding = PLAIN) -> np.ndarray:
    """Return the told events of a tune."""
    notes = tune(seed, bars, tonic, velocity=encoding.has_velocity)
    return Features(encoding).told([encode(notes, encoding, "4/4")])[0]


HELDOUT = [piece(100 + number, 4 + number % 5) for number in range(18)]  # more than one batch


def recipe_of(**training) -> Recipe:
    asked = {"window_notes": 16, "batch_windows": 2, "max_epochs": 4, "learning_rate": RATE, **training}
    return Recipe(network=Network(embedding=8, layers=[8, 8], head=8), training=Training(**asked))


def train_small(root, recipe, run="one", report=None, heldout=HELDOUT, **more):
    storage = root if isinstance(root, Storage) else Storage(root)
    result = fit(
        storage,
        "tunes",
        run,
        train=[piece(number, 8, 60 + number % 5) for number in range(6)],
        heldout=heldout,
        encoding=PLAIN,
        recipe=recipe,
        seed=3,
        report=report,
        **more,
    )
    return storage, result


def lines_of(storage, run="one"):
    """Return the last line of every epoch without what the clock says."""
    lines = {line["epoch"]: line for line in storage.read_lines(layout.metrics("tunes", run))}
    return [{k: v for k, v in lines[e].items() if k not in ("seconds", "notes_per_second")} for e in sorted(lines)]


class FakeTrainee:
    """Stands for a network: its weights hold how many epochs they have learnt and at which rates.

    `losses` may script an epoch's training loss: at the full rate, and at a lower one. Else it is 3 / epoch, and
    the held-out loss falls until epoch 6.
    """

    losses: dict[int, tuple[float, float]] = {}  # noqa: RUF012
    kernel = "fake"
    n_notes = 100

    def __init__(self, shape, encoding, recipe, parts, heldout, *, seed, weights):
        self._shapes = weight_shapes(shape, encoding)
        self._learnt, self._steps = np.zeros(1, np.float32), np.zeros(1, np.float32)

    def begin(self, learning_rate, state):
        self._rate = learning_rate
        if state is not None:
            self._learnt = state["raw.input.bias"][:1].copy()
            self._steps = state.get("optimizer.0", np.zeros(1, np.float32)).copy()

    def train_epoch(self, epoch):
        assert epoch == int(self._learnt[0]) + 1, "the weights are not those of the epoch before"
        self._learnt = self._learnt + np.float32(1) + np.float32(self._rate) * self._steps / 1000
        self._steps += 1
        loss = self.losses.get(epoch, (3.0 / epoch,))[0 if self._rate > RATE / 2 else -1]
        return {"loss": loss, "accuracy": 0.5, "grad_norm": 1.0, "learning_rate": self._rate, "notes_per_second": 9.0}

    def judge(self):
        steps = int(self._learnt[0])
        return {"loss": 1 + 1 / steps if steps < 6 else 1.2, "accuracy": 0.4}

    def average(self):
        return {name: np.full(shape, self._learnt[0], np.float32) for name, shape in self._shapes.items()}

    def state(self):
        return {**{f"raw.{name}": array for name, array in self.average().items()}, "optimizer.0": self._steps.copy()}


class Killed(BaseException):
    pass


class MortalStorage(Storage):
    """Dies at the n-th durable write: before it, or after it."""

    def __init__(self, root, lives, *, after=False):
        super().__init__(root)
        self.lives, self._after = lives, after

    def _write(self, write, *arguments):
        self.lives -= 1
        if self.lives < 0 and not (self._after and self.lives == -1):
            raise Killed
        done = write(*arguments)
        if self.lives < 0:
            raise Killed
        return done

    def write_bytes(self, key, data):
        return self._write(super().write_bytes, key, data)

    def append_json(self, key, record):
        return self._write(super().append_json, key, record)

    def delete(self, key):
        return self._write(super().delete, key)
