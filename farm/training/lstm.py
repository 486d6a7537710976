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

from pathlib import Path
from typing import Any

import keras

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
        windows, steps, width = tf.shape(sequences)[0], sequences.shape[1], sequences.shape[2]
        inputs = tf.transpose(tf.cast(sequences, product_type), (1, 0, 2))
        inputs = tf.reshape(inputs, (steps * windows, width))
        kernel, recurrent = (_sigmoids_first(tf.cast(weight, product_type)) for weight in (kernel, recurrent))
        driven = tf.reshape(tf.matmul(inputs, kernel), (steps, windows, kernel.shape[1]))
        outputs, kept = _forward(driven, recurrent, _sigmoids_first(bias))

        def gradient(upstream: Any) -> tuple[Any, Any, Any, Any]:
            pulls, bias_pull = _backward(tf.transpose(upstream, (1, 0, 2)), recurrent, *kept)
            pulls = tf.reshape(pulls, (steps * windows, kernel.shape[1]))
            before = tf.concat([tf.zeros_like(outputs[:1]), outputs[:-1]], 0)
            before = tf.reshape(before, (steps * windows, recurrent.shape[0]))
            to_inputs = tf.cast(tf.matmul(pulls, kernel, transpose_b=True), tf.float32)
            to_weights = (tf.cast(tf.matmul(x, pulls, transpose_a=True), tf.float32) for x in (inputs, before))
            to_sequences = tf.transpose(tf.reshape(to_inputs, (steps, windows, width)), (1, 0, 2))
            return to_sequences, *map(_sigmoids_first, to_weights), _sigmoids_first(bias_pull)

        return tf.cast(tf.transpose(outputs, (1, 0, 2)), tf.float32), gradient

    return lstm


def _sigmoids_first(gates: Any) -> Any:
    """Swap the last two of four gates, so that the three sigmoid gates lie together; its own inverse."""
    import tensorflow as tf

    first, second, third, fourth = tf.split(gates, 4, -1)
    return tf.concat([first, second, fourth, third], -1)


def _forward(driven: Any, recurrent: Any, bias: Any) -> tuple[Any, tuple[Any, ...]]:
    """Run the loop over time.

    Parameters
    ----------
    driven
        Products of the inputs with the kernel, (n_steps, n_windows, 4 * n_units).

    Returns
    -------
    Outputs, (n_steps, n_windows, n_units), in the type of the products; and per step, for the way back: the cell
    before, the squashed cell, the sigmoid gates and the candidate.
    """
    import tensorflow as tf

    steps, units = driven.shape[0], recurrent.shape[0]
    empty = tf.zeros((tf.shape(driven)[1], units))

    def step(t: Any, output: Any, cell: Any, outputs: Any, cells: Any, squashed: Any, opened: Any, new: Any) -> Any:
        gates = tf.cast(driven[t], tf.float32) + tf.cast(tf.matmul(output, recurrent), tf.float32) + bias
        opening, candidate = tf.sigmoid(gates[:, : 3 * units]), tf.tanh(gates[:, 3 * units :])
        let_in, keep, let_out = tf.split(opening, 3, 1)
        cells = cells.write(t, cell)
        cell = keep * cell + let_in * candidate
        squash = tf.tanh(cell)
        output = tf.cast(let_out * squash, recurrent.dtype)
        kept = cells, squashed.write(t, squash), opened.write(t, opening), new.write(t, candidate)
        return t + 1, output, cell, outputs.write(t, output), *kept

    outputs = _per_step(steps, units, recurrent.dtype)
    kept = [_per_step(steps, width) for width in (units, units, 3 * units, units)]
    begin = (0, tf.cast(empty, recurrent.dtype), empty, outputs, *kept)
    _, _, _, outputs, *kept = tf.while_loop(lambda t, *_: t < steps, step, begin, maximum_iterations=steps)
    return outputs.stack(), tuple(kept)


def _backward(upstream: Any, recurrent: Any, cells: Any, squashed: Any, opened: Any, new: Any) -> tuple[Any, Any]:
    """Run the loop backwards; return the gradients of all gates, (n_steps, n_windows, 4 * n_units), and of the bias."""
    import tensorflow as tf

    steps, units = upstream.shape[0], upstream.shape[2]
    empty = tf.zeros_like(upstream[0])
    no_pull = tf.zeros((tf.shape(upstream)[1], 4 * units))

    def step(done: Any, to_output: Any, to_cell: Any, pulls: Any, bias_pull: Any) -> Any:
        t = steps - 1 - done
        opening, candidate, squash = opened.read(t), new.read(t), squashed.read(t)
        let_in, keep, let_out = tf.split(opening, 3, 1)
        to_output = to_output + upstream[t]
        to_cell = to_cell + tf.raw_ops.TanhGrad(y=squash, dy=to_output * let_out)
        to_opening = tf.concat([to_cell * candidate, to_cell * cells.read(t), to_output * squash], 1)
        to_gates = tf.concat(
            [
                tf.raw_ops.SigmoidGrad(y=opening, dy=to_opening),
                tf.raw_ops.TanhGrad(y=candidate, dy=to_cell * let_in),
            ],
            1,
        )
        pull = tf.cast(to_gates, recurrent.dtype)
        to_output = tf.cast(tf.matmul(pull, recurrent, transpose_b=True), tf.float32)
        return done + 1, to_output, to_cell * keep, pulls.write(t, pull), bias_pull + to_gates

    begin = (0, empty, empty, _per_step(steps, 4 * units, recurrent.dtype), no_pull)
    *_, pulls, bias_pull = tf.while_loop(lambda t, *_: t < steps, step, begin, maximum_iterations=steps)
    return pulls.stack(), tf.reduce_sum(bias_pull, 0)


def _per_step(steps: int, width: int, dtype: Any = "float32") -> Any:
    """Return a list of tensors, one per step, that the way back can read again."""
    import tensorflow as tf

    return tf.TensorArray(dtype, size=steps, element_shape=(None, width), clear_after_read=False)
