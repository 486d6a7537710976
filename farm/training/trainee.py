"""One network in training: its data, its optimizer, one epoch at a time. Keras ends here.

Conventions
-----------
What happens in an epoch depends on (seed, epoch) and on the state before it, on nothing else. A pass through the
corpus is one epoch or, by the recipe, several (`farm.training.passes`). The *average* is the running mean of the
weights (`farm.training.network.Adam`): it is judged and kept, the raw weights learn.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from farm.config import Recipe
from farm.music.batches import Batch, Part, Window, batch, class_shares, heldout_windows, training_windows
from farm.music.encoding import PITCH, Encoding
from farm.music.features import Features
from farm.training.lstm import kernel_name, may_be_compiled, products
from farm.training.network import Adam, Network
from farm.training.passes import HELDOUT_LENGTH, HELDOUT_WINDOWS, batch_size, epochs_per_pass, pass_of, stretch


class Trainee:
    """A network with its music.

    Parameters
    ----------
    parts, heldout
        See `farm.music.batches`; both hold at least one note.
    weights
        What to start from, by name; None for random weights, but for the heads' biases.
    """

    def __init__(
        self,
        architecture: Mapping[str, Any],
        encoding: Encoding,
        recipe: Recipe,
        parts: Sequence[Part],
        heldout: Sequence[Part],
        *,
        seed: int,
        weights: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        self._encoding, self._training, self._seed = encoding, recipe.training, seed
        self._parts, self._heldout = parts, heldout
        self._features = Features(encoding)
        self.n_notes = sum(part.n_notes for part in parts)
        product_type = products()
        self.kernel = kernel_name(product_type)
        self._network = _built(architecture, encoding, recipe.network.dropout, seed, product_type)
        self._assign(self._opening() if weights is None else weights)

    def _opening(self) -> dict[str, np.ndarray]:
        """Return random weights whose heads begin with how often each class occurs: that much need not be learnt."""
        reach = {"down": self._training.transpose_down_semitones, "up": self._training.transpose_up_semitones}
        shares = class_shares(self._parts, self._encoding, **reach)
        biases = {f"{field}.out.bias": np.log(share).astype(np.float32) for field, share in shares.items()}
        return {**self._raw(), **biases}

    def begin(self, learning_rate: float, state: Mapping[str, np.ndarray] | None) -> None:
        """Make ready to train at a learning rate, from a state of before or from the weights as they are.

        A state of weights alone (`raw.` and their names) gives a fresh optimizer.
        """
        if state is not None:
            self._assign({name[4:]: array for name, array in state.items() if name.startswith("raw.")})
        self._optimizer = Adam(learning_rate, self._training.clip_norm, self._training.average_momentum)
        self._optimizer.build(self._network.trainable_variables)
        self._network.compile(optimizer=self._optimizer, jit_compile="auto" if may_be_compiled() else False)
        if state is not None and "optimizer.0" in state:
            for index, variable in enumerate(self._optimizer.variables):
                variable.assign(state[f"optimizer.{index}"])

    def train_epoch(self, epoch: int) -> dict[str, float]:
        """Train one epoch; return loss (nats per note), accuracy, grad_norm, learning_rate and notes_per_second.

        It ends at the first batch whose loss is no number; the loss of the epoch is none then either.
        """
        began = time.perf_counter()
        training = self._training
        n_epochs = epochs_per_pass(self.n_notes, training.epoch_notes, training.window_notes)
        windows = training_windows(
            self._parts,
            self._encoding,
            training.window_notes,
            down=training.transpose_down_semitones,
            up=training.transpose_up_semitones,
            seed=self._seed,
            epoch=pass_of(epoch, n_epochs),
        )
        size = batch_size(max(len(windows) // n_epochs, 1), training.batch_windows)
        windows = stretch(windows, epoch, n_epochs)
        for number, dropout in enumerate(self._network.dropouts):
            if dropout.rate == 0:
                continue  # it has no chance to seed
            state = np.random.SeedSequence([self._seed, epoch, number]).generate_state(2)
            dropout.seed_generator.state.assign(state)
        self._optimizer.norm_sum.assign(0.0)
        batches = self._batches(self._parts, windows, size, training.window_notes)
        found, n_notes = _per_note(self._network.train_on_batch, batches)
        return {
            **found,
            "grad_norm": float(_array(self._optimizer.norm_sum)) / math.ceil(len(windows) / size),
            "learning_rate": float(keras.ops.convert_to_numpy(self._optimizer.learning_rate)),
            "notes_per_second": n_notes / (time.perf_counter() - began),
        }

    def judge(self) -> dict[str, float]:
        """Return loss (nats per note) and accuracy of the average on the held-out parts."""
        raw = self._raw()
        self._assign(self.average())
        length = HELDOUT_LENGTH * self._training.window_notes
        windows = heldout_windows(self._heldout, length)
        size = min(len(windows), HELDOUT_WINDOWS)
        found, _ = _per_note(self._network.test_on_batch, self._batches(self._heldout, windows, size, length))
        self._assign(raw)
        return found

    def average(self) -> dict[str, np.ndarray]:
        """Return the running mean of the weights by name, float32."""
        variables = self._network.trainable_variables
        place = {id(variable): index for index, variable in enumerate(variables)}
        named = self._network.weights_by_name().items()
        return {name: _array(self._optimizer.averages[place[id(variable)]]) for name, variable in named}

    def state(self) -> dict[str, np.ndarray]:
        """Return everything that the next epoch depends on: raw weights and optimizer."""
        optimizer = {f"optimizer.{index}": _array(one) for index, one in enumerate(self._optimizer.variables)}
        return {**{f"raw.{name}": array for name, array in self._raw().items()}, **optimizer}

    def _raw(self) -> dict[str, np.ndarray]:
        return {name: _array(variable) for name, variable in self._network.weights_by_name().items()}

    def _assign(self, weights: Mapping[str, np.ndarray]) -> None:
        for name, variable in self._network.weights_by_name().items():
            variable.assign(weights[name])

    def _batches(self, parts: Sequence[Part], windows: Sequence[Window], size: int, length: int) -> Iterator[Batch]:
        for begin in range(0, len(windows), size):
            chosen = windows[begin : begin + size]
            yield batch(parts, chosen, self._encoding, self._features, size=size, length=length)


def _per_note(step: Callable[..., dict[str, Any]], batches: Iterator[Batch]) -> tuple[dict[str, float], float]:
    """Do a step with every batch; return loss and accuracy per note over all of them, and the number of notes.

    After a batch without a finite loss there is nothing to be gained: the weights are no numbers any more.
    """
    sums, notes = {"loss": 0.0, "accuracy": 0.0}, 0.0
    for made in batches:
        in_batch = float(made.weights[..., PITCH].sum())
        found = step(*made, return_dict=True)  # of this batch alone: Keras resets its metrics before each
        # A batch may hold a STOP and no note; the network then gives the plain sum.
        sums = {name: value + float(found[name]) * max(in_batch, 1.0) for name, value in sums.items()}
        notes += in_batch
        if not math.isfinite(sums["loss"]):
            break
    return {name: value / max(notes, 1.0) for name, value in sums.items()}, notes


def _built(
    architecture: Mapping[str, Any], encoding: Encoding, dropout: float, seed: int, product_type: str
) -> Network:
    keras.utils.set_random_seed(seed)
    network = Network(architecture, encoding, dropout, product_type)
    network(np.zeros((1, 2, network.n_columns), np.uint8))
    return network


def _array(variable: Any) -> np.ndarray:
    return np.array(keras.ops.convert_to_numpy(variable.value))
