"""A model's step (`farm.catalog.step`) as a TFLite file, for phones and every program that has LiteRT.

Conventions
-----------
One signature, `step`, with the inputs and outputs of `farm.catalog.step` by name. Weights that float16 holds exactly,
as those of a float16 model file, are stored so; all others as float32, so that logits stay the player's.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from farm.catalog.model_file import Model
from farm.catalog.step import Step, Stored, columns_of, state_shapes
from farm.errors import FarmError
from farm.quiet import silent_stderr


def tflite_model(model: Model, tensors: dict[str, np.ndarray]) -> bytes:
    """Return the bytes of a TFLite file.

    Parameters
    ----------
    tensors
        What the model file holds, see `farm.catalog.model_file.stored`.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with silent_stderr():
            import tensorflow as tf
    except ImportError as error:
        raise FarmError("tensorflow is not installed, and only it writes .tflite files; install the farm") from error
    shapes = state_shapes(model.architecture, model.encoding)
    width = len(columns_of(model.encoding))
    told = {"event": ("int32", width), "next": ("int32", width), **shapes}
    signature = {name: tf.TensorSpec([1, size], getattr(tf, kind), name) for name, (kind, size) in told.items()}
    plan = Step(model.architecture, model.encoding, tensors)

    @tf.function(input_signature=[signature])
    def step(inputs: dict[str, Any]) -> dict[str, Any]:
        state = {name: inputs[name] for name in shapes}
        return plan.outputs(_TensorFlowOps(tf), inputs["event"], inputs["next"], state)

    module = tf.Module()
    module.step = step
    with silent_stderr():
        concrete = step.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], module)
    if all((values.astype(np.float16) == values).all() for values in model.weights.values()):
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    with silent_stderr():
        return bytes(converter.convert())


@dataclass(frozen=True)
class _TensorFlowOps:
    """`farm.catalog.step.Ops` in TensorFlow; its tensors know the operators."""

    tf: Any

    def constant(self, values: np.ndarray) -> Any:
        return self.tf.constant(values)

    def weight(self, stored: Stored) -> Any:
        values = stored.values.astype(np.float32)
        return self.tf.constant(values if stored.scale is None else values * stored.scale)

    def equal(self, one: Any, other: Any) -> Any:
        return self.tf.equal(one, other)

    def where(self, condition: Any, one: Any, other: Any) -> Any:
        return self.tf.where(condition, one, other)

    def minimum(self, one: Any, other: Any) -> Any:
        return self.tf.minimum(one, other)

    def maximum(self, one: Any, other: Any) -> Any:
        return self.tf.maximum(one, other)

    def smallest(self, array: Any) -> Any:
        return self.tf.reduce_min(array, axis=1, keepdims=True)

    def concat(self, arrays: Sequence[Any]) -> Any:
        return self.tf.concat(arrays, axis=1)

    def sum_of_rows(self, table: Any, places: Any) -> Any:
        return self.tf.reduce_sum(self.tf.gather(table, places), axis=1)

    def as_float(self, array: Any) -> Any:
        return self.tf.cast(array, self.tf.float32)

    def tanh(self, array: Any) -> Any:
        return self.tf.tanh(array)

    def sigmoid(self, array: Any) -> Any:
        return self.tf.sigmoid(array)

    def relu(self, array: Any) -> Any:
        return self.tf.nn.relu(array)
