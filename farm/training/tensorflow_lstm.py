"""An LSTM layer over whole windows for TensorFlow on a processor, with its own gradient.

Only the recurrent product is inside the loop over time, which is machine code (`farm.training.recurrence`); the
products with the input and those for all weight gradients are TensorFlow's, once over the whole window.

Conventions
-----------
Sequences are (n_windows, n_steps, n_units) float32; weights as in `farm.training.lstm`.
"""

import functools
import os
from typing import Any

import tensorflow as tf

from farm.training.recurrence import MULTIPLE, backward, forward, weight_order


def window_lstm(product_type: str) -> Any:
    """Return the layer as a function of (sequences, kernel, recurrent, bias) with its own gradient.

    Units are filled up to what the loops take: a unit whose weights are all zero gives zero and gets no gradient.
    """

    @tf.custom_gradient
    def lstm(sequences: Any, kernel: Any, recurrent: Any, bias: Any) -> tuple[Any, Any]:
        steps, units = sequences.shape[1], recurrent.shape[0]
        filled = -(-units // MULTIPLE) * MULTIPLE
        kernel, recurrent = (_fill(tf.cast(one, product_type), filled) for one in (kernel, recurrent))
        recurrent = tf.pad(recurrent, ((0, filled - units), (0, 0))) if filled > units else recurrent
        inputs = tf.reshape(tf.cast(sequences, product_type), (-1, sequences.shape[2]))
        driven = tf.reshape(tf.matmul(inputs, kernel), (-1, steps, 4 * filled))
        outputs, *kept = _run(forward, driven, _blocks(recurrent, back=False), _fill(bias, filled))
        outputs = tf.ensure_shape(outputs, (None, steps, filled))[..., :units]

        def gradient(upstream: Any) -> tuple[Any, Any, Any, Any]:
            upstream = tf.pad(upstream, ((0, 0), (0, 0), (0, filled - units))) if filled > units else upstream
            pulls, to_bias = _run(backward, upstream, _blocks(recurrent, back=True), *kept)
            pulls = tf.reshape(pulls, (-1, 4 * filled))
            before = tf.reshape(tf.pad(outputs[:, :-1], ((0, 0), (1, 0), (0, 0))), (-1, units))
            to_sequences = tf.reshape(tf.matmul(pulls, kernel, transpose_b=True), tf.shape(sequences))
            to_weights = [tf.matmul(one, pulls, transpose_a=True) for one in (inputs, before)]
            to_weights = [
                _unfill(tf.cast(one, tf.float32), units) for one in (*to_weights, tf.reshape(to_bias, (1, 4 * filled)))
            ]
            return tf.cast(to_sequences, tf.float32), *to_weights[:2], to_weights[2][0]

        return tf.cast(outputs, tf.float32), gradient

    return lstm


def _fill(gates: Any, filled: int) -> Any:
    """Return gates that stand one after the other along the last axis with zeros after the units of each."""
    units = gates.shape[-1] // 4
    if units == filled:
        return gates
    apart = tf.reshape(gates, (*gates.shape[:-1], 4, units))
    apart = tf.pad(apart, [(0, 0)] * (apart.shape.rank - 1) + [(0, filled - units)])
    return tf.reshape(apart, (*gates.shape[:-1], 4 * filled))


def _unfill(gates: Any, units: int) -> Any:
    """Undo `_fill`."""
    if gates.shape[-1] == 4 * units:
        return gates
    rows, filled = gates.shape[0], gates.shape[-1] // 4
    return tf.reshape(tf.reshape(gates, (rows, 4, filled))[..., :units], (rows, 4 * units))


def _run(loop: Any, first: Any, weights: Any, *more: Any) -> list[Any]:
    """Run a pass of `farm.training.recurrence` as a part of the graph; numpy has no bfloat16, but its bits."""
    n_threads = tf.config.threading.get_intra_op_parallelism_threads() or len(os.sched_getaffinity(0))
    is_short = weights.dtype == tf.bfloat16
    given = [tf.bitcast(one, tf.uint16) if one.dtype == tf.bfloat16 else one for one in (first, weights, *more)]
    product_type = tf.uint16 if is_short else tf.float32
    gives = (product_type, tf.float32, tf.float32) if loop is forward else (product_type, tf.float32)
    products, *others = tf.numpy_function(functools.partial(loop, n_threads), given, gives, stateful=False)
    return [tf.bitcast(products, tf.bfloat16) if is_short else products, *others]


def _blocks(recurrent: Any, *, back: bool) -> Any:
    shape, order, after = weight_order(recurrent.shape[0], recurrent.dtype.size, back=back)
    return tf.reshape(tf.transpose(tf.reshape(recurrent, shape), order), after)
