"""The Keras network that is trained: the same as `farm.composing.player` plays, over whole windows.

It takes the columns of a window (`farm.music.features`) and gives for every step the logits of each field of the
next event, each head seeing those fields that are decided before it. Written in `keras.ops` alone, so that it
trains on every Keras backend; only the LSTM layer differs by device.

Conventions
-----------
Windows are (n_windows, n_steps, ...). Losses are nats per note, summed over the fields, STOP's time included.
"""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from farm.composing.player import weight_shapes
from farm.music.encoding import PITCH, PREDICTED, Encoding
from farm.music.features import Features
from farm.training.lstm import lstm_layer


class Network(keras.Model):
    """One style's network.

    Parameters
    ----------
    architecture
        See `farm.composing.player.architecture`.
    dropout
        Share of each layer's outputs that is silenced in training.
    product_type
        Type in which matrices are multiplied, see `farm.training.lstm.products`.
    """

    def __init__(
        self, architecture: Mapping[str, Any], encoding: Encoding, dropout: float, product_type: str = "float32"
    ) -> None:
        super().__init__(name="network")
        mixed = "mixed_bfloat16" if product_type == "bfloat16" else "float32"
        features = Features(encoding)
        head, sizes = architecture["head"], encoding.n_classes
        self.fields = encoding.fields
        self.known = {field: features.known(field) for field in self.fields[1:]}
        self.n_columns = features.n_columns
        self.shapes = weight_shapes(architecture, encoding)
        self.inward = keras.layers.Dense(architecture["embedding"], dtype=mixed, name="input")
        self.layers_of_time = [
            lstm_layer(units, f"lstm{number}", product_type)
            for number, units in enumerate(architecture["layers"], start=1)
        ]
        self.dropouts = [keras.layers.Dropout(dropout, seed=number) for number, _ in enumerate(self.layers_of_time)]
        later = self.fields[1:]
        self.recall = {field: keras.layers.Dense(head, dtype=mixed, name=f"{field}_memory") for field in later}
        self.lookup = {
            field: keras.layers.Dense(head, use_bias=False, dtype=mixed, name=f"{field}_known") for field in later
        }
        self.choose = {field: keras.layers.Dense(sizes[field], name=f"{field}_out") for field in self.fields}
        self.per_note = {name: PerNote(name=name) for name in ("loss", "accuracy")}

    def call(self, columns: Any, training: bool = False) -> dict[str, Any]:
        """Return the logits of every field, (n_windows, n_steps, n_classes) each, from one step more of columns."""
        shown, coming = columns[:, :-1], columns[:, 1:]
        flow = ops.cast(self.inward(ops.cast(shown, self.inward.compute_dtype)), "float32")
        for layer, dropout in zip(self.layers_of_time, self.dropouts, strict=True):
            output = dropout(layer(flow), training=training)
            flow = output + flow if output.shape[-1] == flow.shape[-1] else output
        logits = {PREDICTED[0]: self.choose[PREDICTED[0]](flow)}
        for field, columns_known in self.known.items():
            known = ops.cast(coming[:, :, :columns_known], self.lookup[field].compute_dtype)
            hidden = ops.relu(self.recall[field](flow) + self.lookup[field](known))
            logits[field] = self.choose[field](ops.cast(hidden, "float32"))
        return logits

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Return the mean loss of a batch in nats per note, and add to the epoch's sums."""
        y, sample_weight = ops.convert_to_tensor(y), ops.convert_to_tensor(sample_weight)
        nats = 0.0
        for index, field in enumerate(self.fields):
            surprise = keras.losses.sparse_categorical_crossentropy(y[..., index], y_pred[field], from_logits=True)
            nats += ops.sum(surprise * sample_weight[..., index])
        notes = ops.sum(sample_weight[..., PITCH])
        heard = ops.cast(ops.equal(ops.argmax(y_pred["pitch"], axis=-1), ops.cast(y[..., PITCH], "int32")), "float32")
        self.per_note["loss"].update_state(nats, notes)
        self.per_note["accuracy"].update_state(ops.sum(heard * sample_weight[..., PITCH]), notes)
        return nats / ops.maximum(notes, 1.0)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return list(self.per_note.values())

    def weights_by_name(self) -> dict[str, keras.Variable]:
        """Return the trained variables by the names of `weight_shapes`, in that order."""
        found = {}
        heads = [*self.recall.values(), *self.lookup.values(), *self.choose.values()]
        for layer in [self.inward, *self.layers_of_time, *heads]:
            for variable in layer.trainable_variables:
                part = "recurrent" if variable.name == "recurrent_kernel" else variable.name
                found[f"{layer.name.replace('_', '.')}.{part}"] = variable  # torch allows no dot in a layer's name
        return {name: found[name] for name in self.shapes}


class PerNote(keras.metrics.Metric):
    """A sum over an epoch, divided by the number of its notes."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name)
        self.total = self.add_variable(shape=(), initializer="zeros", name="total")
        self.notes = self.add_variable(shape=(), initializer="zeros", name="notes")

    def update_state(self, total: Any, notes: Any) -> None:
        self.total.assign_add(total)
        self.notes.assign_add(notes)

    def result(self) -> Any:
        return self.total / ops.maximum(self.notes, 1.0)


class Adam(keras.optimizers.Adam):
    """Adam that warms up, clips by the norm of all gradients, and keeps a running mean of the weights.

    The mean is what is judged and shipped: it takes the noise of the last steps out, so no learning-rate schedule
    needs to know when training will end. Early on it follows faster (momentum (1 + t) / (10 + t) after t steps).

    Parameters
    ----------
    warmup_steps
        The learning rate rises evenly over so many steps.
    """

    def __init__(self, learning_rate: float, clip_norm: float, average_momentum: float, warmup_steps: int = 50) -> None:
        super().__init__(learning_rate=WarmUp(learning_rate, warmup_steps))
        self.limit = clip_norm
        self.average_momentum = average_momentum

    def build(self, variables: list[keras.Variable]) -> None:
        """Make the state: besides Adam's own the means, the sum of gradient norms and the number of steps."""
        super().build(variables)
        if hasattr(self, "averages"):
            return
        self.averages = [self.add_variable_from_reference(one, name="average") for one in variables]
        for average, one in zip(self.averages, variables, strict=True):
            average.assign(ops.copy(one.value))  # JAX would let both share one memory, and lose it
        self.norm_sum = self.add_variable(shape=(), initializer="zeros", name="norm_sum")

    def apply(self, grads: list[Any], trainable_variables: list[keras.Variable] | None = None) -> None:
        """Clip the gradients together and apply them."""
        norm = ops.sqrt(sum(ops.sum(ops.square(grad)) for grad in grads))
        scale = ops.minimum(1.0, self.limit / ops.maximum(norm, 1e-12))
        super().apply([grad * scale for grad in grads], trainable_variables)
        self.norm_sum.assign_add(norm)

    def update_step(self, gradient: Any, variable: keras.Variable, learning_rate: Any) -> None:
        super().update_step(gradient, variable, learning_rate)
        average = self.averages[self._get_variable_index(variable)]
        step = ops.cast(self.iterations, "float32")
        momentum = ops.minimum(self.average_momentum, (1 + step) / (10 + step))
        average.assign(average + (1 - momentum) * (variable - average))


class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises evenly over its first steps and then stays."""

    def __init__(self, peak: float, steps: int) -> None:
        self.peak = peak
        self.steps = steps

    def __call__(self, step: Any) -> Any:
        return self.peak * ops.minimum(1.0, (ops.cast(step, "float32") + 1) / self.steps)

    def get_config(self) -> dict[str, Any]:
        return {"peak": self.peak, "steps": self.steps}
