"""The LSTM layer that is fast where the network is trained; its weights are the same everywhere.

On a processor under TensorFlow a layer spends its time in many small products and in moving memory. `FastLSTM`
keeps only the recurrent product inside the loop over time; the products with the input and those for all weight
gradients are done once over the whole window. Where the processor multiplies bfloat16 in hardware, products are
done in it: sums, gates and cells stay float32. With a GPU, or on another backend, Keras's own layer is used.

Conventions
-----------
Sequences are (n_windows, n_steps, n_units) outside and time-major inside. Weights are those of
`keras.layers.LSTM`: kernel, recurrent kernel, bias, gates in the order input, forget, candidate, output.
"""

import functools
import os
from pathlib import Path
from typing import Any

import keras

from farm.training.recurrence import MULTIPLE, backward, forward, weight_order

BFLOAT16_FLAG = "amx_bf16"  # without the tile unit bfloat16 products are no faster than float32


def is_own_layer_faster() -> bool:
    """Tell whether this is the place for `FastLSTM`: TensorFlow on a processor."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return not tf.config.list_physical_devices("GPU")


def products(cpu_info: Path = Path("/proc/cpuinfo")) -> str:
    """Return the type in which matrices are multiplied fastest here, 'bfloat16' or 'float32'."""
    try:
        flags = cpu_info.read_text().split()
    except OSError:
        return "float32"
    return "bfloat16" if BFLOAT16_FLAG in flags and is_own_layer_faster() else "float32"


def lstm_layer(units: int, name: str, product_type: str) -> keras.layers.Layer:
    """Return the fastest LSTM layer for this backend and device; it returns its output at every step."""
    if is_own_layer_faster():
        return FastLSTM(units, product_type, name=name)
    return keras.layers.LSTM(units, return_sequences=True, name=name)


def kernel_name(product_type: str) -> str:
    """Return which LSTM kernel trains here, for a run's report."""
    backend = keras.backend.backend()
    if is_own_layer_faster():
        return f"own LSTM on {backend}, processor, {product_type} products"
    return f"Keras's LSTM on {backend}{', GPU' if backend == 'tensorflow' else ''}"


class FastLSTM(keras.layers.Layer):
    """An LSTM layer for TensorFlow on a processor; out of a zero state, without mask."""

    def __init__(self, units: int, product_type: str = "float32", name: str | None = None) -> None:
        super().__init__(name=name)
        self.units = units
        self.product_type = product_type

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weights, as Keras's layer begins with them: forget gates open."""
        gates = 4 * self.units
        self.kernel = self.add_weight(shape=(input_shape[-1], gates), initializer="glorot_uniform", name="kernel")
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, gates), initializer="orthogonal", name="recurrent_kernel"
        )
        self.bias = self.add_weight(shape=(gates,), initializer=self._open_forget_gates, name="bias")

    def _open_forget_gates(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        at = keras.ops.arange(shape[0]) // self.units
        return keras.ops.cast(keras.ops.equal(at, 1), dtype or "float32")

    def call(self, sequences: Any) -> Any:
        return _lstm(self.product_type)(sequences, self.kernel.value, self.recurrent_kernel.value, self.bias.value)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*input_shape[:-1], self.units)


def _lstm(product_type: str) -> Any:
    """Return the layer as a function of (sequences, kernel, recurrent, bias) with its own gradient."""
    import tensorflow as tf

    @tf.custom_gradient
    def lstm(sequences: Any, kernel: Any, recurrent: Any, bias: Any) -> tuple[Any, Any]:
        steps, width = sequences.shape[1:]
        kernel, recurrent = tf.cast(kernel, product_type), tf.cast(recurrent, product_type)
        inputs = tf.reshape(tf.cast(sequences, product_type), (-1, width))
        driven = tf.reshape(tf.matmul(inputs, kernel), (-1, steps, kernel.shape[1]))
        outputs, *kept = _run(forward, driven, _blocks(recurrent, back=False), bias)
        outputs = tf.ensure_shape(outputs, (None, steps, recurrent.shape[0]))

        def gradient(upstream: Any) -> tuple[Any, Any, Any, Any]:
            pulls, to_bias = _run(backward, upstream, _blocks(recurrent, back=True), *kept)
            pulls = tf.reshape(pulls, (-1, kernel.shape[1]))
            before = tf.reshape(tf.pad(outputs[:, :-1], ((0, 0), (1, 0), (0, 0))), (-1, recurrent.shape[0]))
            to_sequences = tf.reshape(tf.matmul(pulls, kernel, transpose_b=True), tf.shape(sequences))
            to_weights = (tf.matmul(one, pulls, transpose_a=True) for one in (inputs, before))
            return *(tf.cast(one, tf.float32) for one in (to_sequences, *to_weights)), to_bias

        return tf.cast(outputs, tf.float32), gradient

    return lstm


def _run(loop: Any, first: Any, weights: Any, *more: Any) -> list[Any]:
    """Run a pass of `farm.training.recurrence` as a part of the graph; numpy has no bfloat16, but its bits."""
    import tensorflow as tf

    n_threads = tf.config.threading.get_intra_op_parallelism_threads() or len(os.sched_getaffinity(0))
    is_short = weights.dtype == tf.bfloat16
    given = [tf.bitcast(one, tf.uint16) if one.dtype == tf.bfloat16 else one for one in (first, weights, *more)]
    product_type = tf.uint16 if is_short else tf.float32
    gives = (product_type, tf.float32, tf.float32) if loop is forward else (product_type, tf.float32)
    products, *others = tf.numpy_function(functools.partial(loop, n_threads), given, gives, stateful=False)
    return [tf.bitcast(products, tf.bfloat16) if is_short else products, *others]


def _blocks(recurrent: Any, *, back: bool) -> Any:
    import tensorflow as tf

    shape, order, after = weight_order(recurrent.shape[0], recurrent.dtype.size, back=back)
    return tf.reshape(tf.transpose(tf.reshape(recurrent, shape), order), after)
