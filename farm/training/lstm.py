"""The LSTM layer that is fast where the network is trained; its weights are the same everywhere.

With a GPU, Keras's layer is the fastest on TensorFlow and on JAX (cuDNN). On a processor, and on torch, its loop over
time does too much; there `FastLSTM` takes its place. Where the processor multiplies bfloat16 in hardware, TensorFlow
and torch do products in it: sums, gates and cells stay float32.

Conventions
-----------
Sequences are (n_windows, n_steps, n_units). Weights are those of `keras.layers.LSTM`: kernel, recurrent kernel, bias,
gates in the order input, forget, candidate, output.
"""

from pathlib import Path
from typing import Any

import keras

BFLOAT16_FLAG = "amx_bf16"  # without the tile unit bfloat16 products are no faster than float32


def is_own_layer_faster() -> bool:
    """Tell whether this is the place for `FastLSTM`: torch, or a processor."""
    return keras.backend.backend() == "torch" or not _has_gpu()


def may_be_compiled() -> bool:
    """Tell whether Keras may compile the whole network: XLA takes no loop of our own, and gives bfloat16 up."""
    return keras.backend.backend() == "jax" or not is_own_layer_faster()


def products(cpu_info: Path = Path("/proc/cpuinfo")) -> str:
    """Return the type in which matrices are multiplied fastest here, 'bfloat16' or 'float32'."""
    try:
        flags = cpu_info.read_text().split()
    except OSError:
        return "float32"
    backend = keras.backend.backend()
    if BFLOAT16_FLAG not in flags or backend == "jax" or _has_gpu():  # XLA does such products in float32
        return "float32"
    if backend == "tensorflow":
        from farm.training.tiles import may_use_tiles

        return "bfloat16" if may_use_tiles() else "float32"
    return "bfloat16"


def lstm_layer(units: int, name: str, product_type: str) -> keras.layers.Layer:
    """Return the fastest LSTM layer for this backend and device; it returns its output at every step."""
    if is_own_layer_faster():
        return FastLSTM(units, product_type, name=name)
    return keras.layers.LSTM(units, return_sequences=True, name=name)


def kernel_name(product_type: str) -> str:
    """Return which LSTM kernel trains here, for a run's report."""
    backend = keras.backend.backend()
    device = "GPU" if _has_gpu() else "processor"
    whose = "own LSTM" if is_own_layer_faster() else "Keras's LSTM"
    return f"{whose} on {backend}, {device}, {product_type} products"


def _has_gpu() -> bool:
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return bool(tf.config.list_physical_devices("GPU"))
    if backend == "torch":
        import torch

        return bool(torch.cuda.is_available())
    import jax

    return bool(jax.default_backend() == "gpu")


class FastLSTM(keras.layers.Layer):
    """An LSTM layer for processors, and for torch everywhere; out of a zero state, without mask."""

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
        lstm = _window_lstm(self.product_type)
        return lstm(sequences, self.kernel.value, self.recurrent_kernel.value, self.bias.value)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*input_shape[:-1], self.units)


def _window_lstm(product_type: str) -> Any:
    """Return the layer as a function of (sequences, kernel, recurrent, bias)."""
    backend = keras.backend.backend()
    if backend == "torch":
        from farm.training import torch_lstm

        return torch_lstm.window_lstm(product_type)
    if backend == "jax":
        from farm.training import jax_lstm

        return jax_lstm.window_lstm
    from farm.training import tensorflow_lstm

    return tensorflow_lstm.window_lstm(product_type)
