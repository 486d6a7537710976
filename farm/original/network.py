"""The original program's network in Keras, trained as it was: plain layers, one target per window.

Conventions
-----------
Inputs are codes over the size of the vocabulary, float32, (n_windows, length, 1): one number a token, as if their
alphabetical order meant something. Losses are nats per token. Weights are named by layer and variable, such as
`lstm1.kernel`. After the last LSTM layer comes batch normalisation where there is any, then a layer without a curve.
What happens in an epoch depends on (seed, epoch) and on the state before it, on nothing else.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from farm.config import PitchTokens
from farm.original.windows import Windows

_ASKED_AT_ONCE = 256


def architecture(network: PitchTokens, length: int, vocabulary: Sequence[str]) -> dict[str, Any]:
    """Return the description of a network that its snapshots carry; plain JSON."""
    return {**network.model_dump(mode="json"), "window_tokens": length, "vocabulary": list(vocabulary)}


class TokenNetwork:
    """A network, with the weights it has at the time.

    Parameters
    ----------
    weights
        By name; random ones from the seed when None.
    """

    def __init__(self, about: Mapping[str, Any], *, seed: int = 0, weights: Mapping[str, np.ndarray] | None = None):
        keras.utils.set_random_seed(seed)
        self.n_tokens = len(about["vocabulary"])
        self.length = int(about["window_tokens"])
        self.model = keras.Sequential([keras.Input((self.length, 1)), *_layers(about, self.n_tokens)])
        if weights is not None:
            self.assign(weights)

    def logits(self, windows: np.ndarray) -> np.ndarray:
        """Return the unnormalised log chances of the token after each window, float32, (n_windows, n_tokens)."""
        size = min(len(windows), _ASKED_AT_ONCE)
        found = []
        for begin in range(0, len(windows), size):
            asked = windows[begin : begin + size]
            filled = np.resize(asked, (size, self.length))  # one shape, so that it is compiled once
            found.append(np.asarray(self.model.predict_on_batch(self.scaled(filled)))[: len(asked)])
        return np.concatenate(found)

    def scaled(self, windows: np.ndarray) -> np.ndarray:
        return (windows[..., None] / self.n_tokens).astype(np.float32)

    def named(self) -> dict[str, np.ndarray]:
        """Return all weights by name, those of the normalisation's running means included."""
        return {name: _array(variable) for name, variable in self._variables().items()}

    def assign(self, weights: Mapping[str, np.ndarray]) -> None:
        for name, variable in self._variables().items():
            variable.assign(weights[name])

    def _variables(self) -> dict[str, Any]:
        return {f"{layer.name}.{one.name}": one for layer in self.model.layers for one in layer.weights}


class TokenTrainee:
    """A network with its windows, in training.

    Parameters
    ----------
    optimizer
        adam or rmsprop.
    """

    def __init__(
        self,
        about: Mapping[str, Any],
        windows: Windows,
        heldout: Windows,
        *,
        batch: int,
        learning_rate: float,
        seed: int,
    ) -> None:
        self._network = TokenNetwork(about, seed=seed)
        self._windows, self._heldout, self._batch, self._seed = windows, heldout, batch, seed
        kind = {"adam": MeasuredAdam, "rmsprop": MeasuredRMSprop}[about["optimizer"]]
        self._optimizer: Any = kind(learning_rate=learning_rate)
        model = self._network.model
        self._optimizer.build(model.trainable_variables)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer=self._optimizer, loss=loss, metrics=["accuracy"])

    def train_epoch(self, epoch: int) -> dict[str, float]:
        """Train one epoch; return loss (nats per token), accuracy, grad_norm, learning_rate, targets_per_second."""
        began = time.perf_counter()
        order = np.random.default_rng([self._seed, epoch]).permutation(len(self._windows))
        for number, layer in enumerate(self._network.model.layers):
            if isinstance(layer, keras.layers.Dropout):
                state = np.random.SeedSequence([self._seed, epoch, number]).generate_state(2)
                layer.seed_generator.state.assign(state)
        self._optimizer.norm_sum.assign(0.0)
        sums = {"loss": 0.0, "accuracy": 0.0}
        for begin in range(0, len(order), self._batch):
            inputs, targets = self._windows.take(order[begin : begin + self._batch])
            found = self._network.model.train_on_batch(self._network.scaled(inputs), targets, return_dict=True)
            sums = {name: value + float(found[name]) * len(targets) for name, value in sums.items()}
        return {
            **{name: value / len(order) for name, value in sums.items()},
            "grad_norm": float(_array(self._optimizer.norm_sum)) / -(-len(order) // self._batch),
            "learning_rate": float(ops.convert_to_numpy(self._optimizer.learning_rate)),
            "targets_per_second": len(order) / (time.perf_counter() - began),
        }

    def judge(self) -> dict[str, float]:
        """Return loss (nats per token) and accuracy on the held-out windows."""
        windows, targets = self._heldout.take(np.arange(len(self._heldout)))
        logits = self._network.logits(windows).astype(np.float64)
        highest = logits.max(axis=1, keepdims=True)
        total = np.log(np.exp(logits - highest).sum(axis=1)) + highest[:, 0]
        surprise = total - logits[np.arange(len(targets)), targets]
        return {"loss": float(surprise.mean()), "accuracy": float((logits.argmax(axis=1) == targets).mean())}

    def weights(self) -> dict[str, np.ndarray]:
        """Return the weights by name, float32."""
        return self._network.named()

    def state(self) -> dict[str, np.ndarray]:
        """Return everything that the next epoch depends on: weights and optimizer."""
        optimizer = {f"optimizer.{index}": _array(one) for index, one in enumerate(self._optimizer.variables)}
        return {**{f"raw.{name}": array for name, array in self.weights().items()}, **optimizer}

    def go_on(self, state: Mapping[str, np.ndarray]) -> None:
        """Continue from a state of before."""
        self._network.assign({name[4:]: array for name, array in state.items() if name.startswith("raw.")})
        for index, variable in enumerate(self._optimizer.variables):
            variable.assign(state[f"optimizer.{index}"])


class _Measured:
    """Adds to an optimizer the sum of its gradients' norms; it changes nothing else.

    What it calls is the optimizer's that stands beside it in a class, which mypy cannot know: hence the ignored types.
    """

    def build(self, variables: list[Any]) -> None:
        super().build(variables)  # type: ignore[misc]
        if not hasattr(self, "norm_sum"):
            self.norm_sum = self.add_variable(shape=(), initializer="zeros", name="norm_sum")  # type: ignore[attr-defined]

    def apply(self, grads: list[Any], trainable_variables: list[Any] | None = None) -> None:
        self.norm_sum.assign_add(ops.sqrt(sum(ops.sum(ops.square(grad)) for grad in grads)))
        super().apply(grads, trainable_variables)  # type: ignore[misc]


class MeasuredAdam(_Measured, keras.optimizers.Adam):
    """Keras's Adam, measured."""


class MeasuredRMSprop(_Measured, keras.optimizers.RMSprop):
    """Keras's RMSprop, measured."""


def _layers(about: Mapping[str, Any], n_tokens: int) -> list[keras.layers.Layer]:
    units, share = about["layers"], about["dropout"]
    layers: list[keras.layers.Layer] = []
    for number, size in enumerate(units, start=1):
        is_last = number == len(units)
        layers.append(keras.layers.LSTM(size, return_sequences=not is_last, name=f"lstm{number}"))
        if not is_last:
            layers.append(keras.layers.Dropout(share, seed=number))
    if about["batch_norm"]:
        layers.append(keras.layers.BatchNormalization(name="norm"))
    layers.append(keras.layers.Dense(about["dense"], name="dense"))
    layers.append(keras.layers.Dropout(share, seed=0))
    layers.append(keras.layers.Dense(n_tokens, name="out"))
    return layers


def _array(variable: Any) -> np.ndarray:
    return np.array(ops.convert_to_numpy(variable.value))
