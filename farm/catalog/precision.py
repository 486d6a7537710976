"""Weights in three precisions: float32, float16, and int8 with float32 scales.

Conventions
-----------
Weights are float32 arrays by name. As float16 all of them are halved; as int8 vectors stay float32: they are small
and matter most. An int8 matrix `w` is accompanied by `w.scale`, whose shape is that of `w` with all axes but one as 1,
so that the weight is their product.
"""

from collections.abc import Mapping

import numpy as np

from farm.catalog.container import MAX_DIMENSIONS, TENSOR_NAME
from farm.errors import FarmError

PRECISIONS = ("float32", "float16", "int8")
"""From the largest to the smallest."""

_SCALE = ".scale"


def restored(weights: Mapping[str, np.ndarray], precision: str) -> dict[str, np.ndarray]:
    """Return the float32 weights that a file of this precision gives back; for measuring what it costs."""
    return restore(store(weights, precision))[0]


def fits_float16(weights: Mapping[str, np.ndarray]) -> bool:
    """Return whether every weight's largest number is one that float16 has."""
    return all(float(np.abs(values).max()) < 65_504 for values in weights.values() if values.size)


def store(weights: Mapping[str, np.ndarray], precision: str) -> dict[str, np.ndarray]:
    """Return the tensors that a file of this precision holds.

    Raises
    ------
    FarmError
        For an unknown precision, and for weights that are missing, empty, not finite or too large for float16.
    """
    if precision not in PRECISIONS:
        raise FarmError(f"precision {precision!r} is unknown; give one of {', '.join(PRECISIONS)}")
    if not weights:
        raise FarmError("a model file needs weights, found none; train the style first")
    tensors = {}
    for name, values in weights.items():
        values = np.ascontiguousarray(values, "<f4")
        if not TENSOR_NAME.fullmatch(name) or name.endswith(_SCALE) or values.ndim > MAX_DIMENSIONS:
            raise FarmError(f"weight {name!r} of shape {values.shape} cannot be stored; rename or reshape it")
        if values.size == 0 or not np.isfinite(values).all():
            raise FarmError(f"weight {name!r} is empty or not finite; choose an epoch before the training broke")
        if precision == "float32" or (precision == "int8" and values.ndim < 2):
            tensors[name] = values
        elif precision == "float16":
            if not fits_float16({name: values}):
                raise FarmError(f"weight {name!r} is too large for float16; publish it as float32")
            tensors[name] = values.astype("<f2")
        else:
            tensors[name], tensors[name + _SCALE] = _quantised(values)
    return tensors


def _quantised(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return int8 values and their scales: per row or per column, whichever loses less; values ~ int8 * scale.

    A scale's shape is the weight's with all axes but one as 1, so that the product needs no further word.
    """

    def along(kept: int) -> tuple[float, np.ndarray, np.ndarray]:
        others = tuple(axis for axis in range(values.ndim) if axis != kept)
        scale = np.abs(values).max(axis=others, keepdims=True) / np.float32(127)
        scale = np.where(scale > np.finfo(np.float32).tiny, scale, np.float32(1)).astype("<f4")
        whole = np.clip(np.rint(values / scale), -127, 127).astype("i1")
        return float(np.square(whole * scale - values, dtype=np.float64).sum()), whole, scale

    _, whole, scale = min(along(0), along(values.ndim - 1), key=lambda candidate: candidate[0])
    return whole, scale


def restore(tensors: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], str]:
    """Return float32 weights and the precision they were stored in; ValueError where scales do not fit."""
    weights: dict[str, np.ndarray] = {}
    kinds = set()
    for name, values in tensors.items():
        if name.endswith(_SCALE):
            if tensors.get(name.removesuffix(_SCALE), values).dtype != np.int8:
                raise ValueError(f"{name} scales no int8 weight")
            continue
        scale = _scale_of(name, tensors) if values.dtype == np.int8 else np.ones((), np.float32)
        with np.errstate(over="ignore"):  # told below, with the name
            weights[name] = values.astype(np.float32) * scale
        if not np.isfinite(weights[name]).all():
            raise ValueError(f"{name} holds numbers that are not finite")
        if values.ndim > 1:
            kinds.add(values.dtype.name)
    if len(kinds) > 1:
        raise ValueError(f"weights are stored in several precisions: {', '.join(sorted(kinds))}")
    return weights, kinds.pop() if kinds else "float32"


def _scale_of(name: str, tensors: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the scale of an int8 weight; ValueError when it is missing or does not fit."""
    scale, shape = tensors.get(name + _SCALE), tensors[name].shape
    if scale is None or scale.dtype != np.float32:
        raise ValueError(f"{name} is int8 without a scale")
    if scale.ndim != len(shape) or any(own not in (1, size) for own, size in zip(scale.shape, shape, strict=True)):
        raise ValueError(f"{name} has a scale of shape {scale.shape}, the weight {shape}")
    return scale
