"""An LSTM's loop over time on a processor, compiled by numba: one pass over a window there, one back.

Each thread takes some of the windows through all their steps, so that none ever waits for another; what a step
needs stays in the thread's own cache.

Conventions
-----------
Arrays are (n_windows, n_steps, width), C-contiguous; gates stand in the order input, forget, candidate, output, and
`n_units` is a multiple of MULTIPLE. Arrays of products and of what enters them are float32, or uint16 that holds the
bits of bfloat16; all others are float32.
"""

import functools
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from farm.training.tiles import DEPTH, FEW_ROWS, ROWS, free_tiles, hold_tiles, multiply
from farm.training.vectors import LANES, step_backward, step_forward

MULTIPLE = 4 * LANES
_ALIGNED_BYTES = 64  # or TensorFlow copies the array


def weight_order(units: int, itemsize: int, *, back: bool) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Return how the recurrent weights, (n_units, 4 * n_units), become the blocks that `farm.training.tiles` reads.

    Returns
    -------
    A shape, an order of its axes, and the shape after that: (n_blocks, depth, width). `back` gives the blocks for
    products with the transposed weights.
    """
    rows, pair = DEPTH[itemsize]
    depth = rows * pair
    if back:
        blocks, steps = units // MULTIPLE, 4 * units // depth
        shape, order = (blocks, 4, LANES, steps, rows, pair), (0, 3, 1, 4, 2, 5)
    else:
        blocks, steps = units // LANES, units // depth
        shape, order = (steps, rows, pair, 4, blocks, LANES), (4, 0, 3, 1, 5, 2)
    return shape, order, (blocks, steps, 4 * LANES * depth)


def forward(n_threads: int, driven: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, ...]:
    """Run windows through all their steps, out of a zero state.

    Parameters
    ----------
    driven
        Products of the inputs with the kernel, width 4 * n_units.
    weights
        Recurrent ones, in blocks.

    Returns
    -------
    Outputs in the type of the products; opened gates and cells after every step, float32.
    """
    windows, steps, width = driven.shape
    outputs = _empty((windows, steps, width // 4), driven.dtype)
    gates, cells = _empty(driven.shape, np.float32), _empty(outputs.shape, np.float32)
    loop = _compiled(_forward)

    def run(part: slice, rows: int) -> None:
        loop(driven[part], weights, bias, outputs[part], gates[part], cells[part], rows)

    _divide(run, windows, n_threads, weights.itemsize)
    return outputs, gates, cells


def backward(
    n_threads: int, upstream: np.ndarray, weights: np.ndarray, gates: np.ndarray, cells: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradients of all gates in the type of the products, width 4 * n_units, and that of the bias.

    `upstream` is the gradient of the outputs; `weights` the recurrent ones in blocks for the way back.
    """
    pulls = _empty(gates.shape, weights.dtype)
    to_bias = np.zeros((len(gates), gates.shape[2]), np.float32)
    loop = _compiled(_backward)

    def run(part: slice, rows: int) -> None:
        loop(upstream[part], weights, gates[part], cells[part], pulls[part], to_bias[part], rows)

    _divide(run, len(gates), n_threads, weights.itemsize)
    return pulls, to_bias.sum(0)


def _forward(
    driven: np.ndarray,
    weights: np.ndarray,
    bias: np.ndarray,
    outputs: np.ndarray,
    gates: np.ndarray,
    cells: np.ndarray,
    rows: int,
) -> None:
    windows, steps, units = outputs.shape
    kind, item, blocks = outputs[0, 0, 0], outputs.itemsize, -(-windows // rows)
    # Side by side, not a window's length apart: such strides would fall on the same few lines of the cache.
    before, after = np.zeros((2, blocks * rows, units), outputs.dtype)
    begin = np.zeros(units, np.float32)
    sums = np.empty((4, 16, LANES), np.float32)
    per_gate = (16 if item == 2 else rows) * LANES * 4
    if item == 2:
        hold_tiles(rows)
    for t in range(steps):
        for unit in range(0, units, LANES):
            block = weights.ctypes.data + unit // LANES * weights.strides[0]
            for first in range(0, windows, rows):
                left = before.ctypes.data + first * units * item
                multiply(kind, rows, left, units * item, block, weights.shape[1], sums.ctypes.data)
                for window in range(first, min(first + rows, windows)):
                    at = (window * steps + t) * units + unit
                    gate_at = (window * steps + t) * 4 * units + unit
                    past = cells.ctypes.data + (at - units) * 4 if t else begin.ctypes.data + unit * 4
                    step_forward(
                        kind,
                        sums.ctypes.data + (window - first) * LANES * 4,
                        per_gate,
                        driven.ctypes.data + gate_at * item,
                        bias.ctypes.data + unit * 4,
                        units,
                        past,
                        cells.ctypes.data + at * 4,
                        gates.ctypes.data + gate_at * 4,
                        outputs.ctypes.data + at * item,
                        after.ctypes.data + (window * units + unit) * item,
                    )
        before, after = after, before
    if item == 2:
        free_tiles()


def _backward(
    upstream: np.ndarray,
    weights: np.ndarray,
    gates: np.ndarray,
    cells: np.ndarray,
    pulls: np.ndarray,
    to_bias: np.ndarray,
    rows: int,
) -> None:
    windows, steps, units = upstream.shape
    width, kind, item, blocks = 4 * units, pulls[0, 0, 0], pulls.itemsize, -(-windows // rows)
    before, after = np.zeros((2, blocks * rows, width), pulls.dtype)
    to_cell, begin = np.zeros((windows, units), np.float32), np.zeros(units, np.float32)
    sums = np.empty((4, 16, LANES), np.float32)
    per_block = (16 if item == 2 else rows) * LANES * 4
    if item == 2:
        hold_tiles(rows)
    for done in range(steps):
        t = steps - 1 - done
        for four in range(0, units, MULTIPLE):
            block = weights.ctypes.data + four // MULTIPLE * weights.strides[0]
            for first in range(0, windows, rows):
                left = before.ctypes.data + first * width * item
                multiply(kind, rows, left, width * item, block, weights.shape[1], sums.ctypes.data)
                for window in range(first, min(first + rows, windows)):
                    for unit in range(four, four + MULTIPLE, LANES):
                        at = (window * steps + t) * units + unit
                        gate_at = (window * steps + t) * width + unit
                        past = cells.ctypes.data + (at - units) * 4 if t else begin.ctypes.data + unit * 4
                        step_backward(
                            kind,
                            sums.ctypes.data + (unit - four) // LANES * per_block + (window - first) * LANES * 4,
                            upstream.ctypes.data + at * 4,
                            units,
                            past,
                            cells.ctypes.data + at * 4,
                            gates.ctypes.data + gate_at * 4,
                            to_cell.ctypes.data + (window * units + unit) * 4,
                            to_bias.ctypes.data + unit * 4,
                            pulls.ctypes.data + gate_at * item,
                            after.ctypes.data + (window * width + unit) * item,
                        )
        before, after = after, before
    if item == 2:
        free_tiles()


@functools.cache
def _compiled(loop: Callable[..., None]) -> Callable[..., None]:
    """Return a loop as machine code, compiled once per machine and type and kept beside the package.

    Where neither the package's folder nor the user's cache can be written, each process compiles anew.
    """
    import numba

    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        return numba.njit(loop, cache=True, **options)
    except RuntimeError:  # numba finds no place for its cache
        return numba.njit(loop, **options)


def _divide(run: Callable[[slice, int], None], windows: int, n_threads: int, itemsize: int) -> None:
    """Let each thread run its share of the windows, `rows` at a time."""
    share = -(-windows // n_threads)
    blocks = -(-share // ROWS[itemsize])
    rows = -(-share // blocks)
    if itemsize == 4:
        rows = FEW_ROWS if rows <= FEW_ROWS else ROWS[4]
    parts = [slice(begin, min(begin + share, windows)) for begin in range(0, windows, share)]
    list(_threads(n_threads).map(run, parts, [rows] * len(parts)))


@functools.cache
def _threads(n_threads: int) -> ThreadPoolExecutor:
    """Return threads of our own, even if it is one: TensorFlow's hold the tile unit in another layout."""
    return ThreadPoolExecutor(n_threads, thread_name_prefix="lstm")


def _empty(shape: tuple[int, ...], kind: Any) -> np.ndarray:
    n_bytes = math.prod(shape) * np.dtype(kind).itemsize
    room = np.empty(n_bytes + _ALIGNED_BYTES, np.uint8)
    begin = -room.ctypes.data % _ALIGNED_BYTES
    return room[begin : begin + n_bytes].view(kind).reshape(shape)
