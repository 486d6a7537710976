"""The small products in an LSTM's loop over time, as numba's intrinsics: on the tile unit in bfloat16, on vectors else.

Conventions
-----------
As in `farm.training.vectors`. A *block* of weights is what yields LANES results of each of four gates; it holds for
every step of depth a tile, or a vector, per gate: (depth, 4, 16, LANES, 2) bfloat16 or (depth, 4, LANES) float32.
One step of depth sums over DEPTH[itemsize] units.
Numba keeps the compiled loops by the date of `farm.training.recurrence`: who changes this file or `vectors` saves that
one again, as an installation does by itself.
"""

import ctypes
import functools
import sys
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from farm.training.vectors import LANES

ROWS = {2: 16, 4: 8}  # by itemsize of the products: windows that are multiplied at once, at most
FEW_ROWS = 4  # in float32, where there are no more
DEPTH = {2: (16, 2), 4: (1, 1)}  # rows of a tile of weights, and units in each

_GATES = 4
_AT_ONCE = {ROWS[4]: 2, FEW_ROWS: 4}  # gates of so many windows, whose sums fit into the registers together
_TILE_BYTES, _TILE_ROW_BYTES = 1024, 64
_SUMS, _LEFT, _RIGHT = range(4), 4, (5, 6, 7, 5)  # numbers of the tiles
_ARCH_PRCTL, _ASK_FOR_FEATURE, _TILE_DATA = 158, 0x1023, 18  # of Linux on x86-64

_I8, _I16, _I32, _I64, _F32 = ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.IntType(64), ir.FloatType()
_BYTE = _I8.as_pointer()
_FLOATS = ir.VectorType(_F32, LANES)
_NOTHING = ir.VoidType()


@functools.cache
def may_use_tiles() -> bool:
    """Ask the system for the tile unit, once per process; without, its instructions would end the process."""
    return sys.platform == "linux" and bool(ctypes.CDLL(None).syscall(_ARCH_PRCTL, _ASK_FOR_FEATURE, _TILE_DATA) == 0)


@intrinsic
def hold_tiles(typing: Any, rows: Any) -> Any:
    """Take this thread's tile unit for products of `rows` windows, at most 16."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        layout = cgutils.alloca_once(builder, ir.ArrayType(_I8, 64))
        builder.store(ir.Constant(ir.ArrayType(_I8, 64), None), layout)

        def put(at: int, value: Any) -> None:
            place = builder.gep(layout, [ir.Constant(_I64, 0), ir.Constant(_I64, at)])
            builder.store(value, builder.bitcast(place, value.type.as_pointer()))

        put(0, ir.Constant(_I8, 1))  # the only palette there is
        windows = builder.trunc(arguments[0], _I8)
        for tile in range(8):
            put(16 + 2 * tile, ir.Constant(_I16, _TILE_ROW_BYTES))
            put(48 + tile, windows if tile <= _LEFT else ir.Constant(_I8, 16))
        _call(builder, "llvm.x86.ldtilecfg", builder.bitcast(layout, _BYTE))
        return context.get_dummy_value()

    return types.void(types.int64), write


@intrinsic
def free_tiles(typing: Any) -> Any:
    """Give this thread's tile unit back."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _call(builder, "llvm.x86.tilerelease")
        return context.get_dummy_value()

    return types.void(), write


@intrinsic
def multiply(typing: Any, kind: Any, rows: Any, left: Any, stride: Any, block: Any, depth: Any, sums: Any) -> Any:
    """Multiply `rows` windows by a block of weights; in float32 they are ROWS or FEW_ROWS.

    `left` is the first window's row, `stride` the bytes from row to row. `sums` becomes (4, rows, LANES) float32; in
    bfloat16 16 rows have room there.
    """
    return types.void(kind, *[types.int64] * 6), _on_vectors if kind == types.float32 else _on_tiles


def _on_tiles(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    _, _, left, stride, block, depth, sums = arguments
    row = ir.Constant(_I64, _TILE_ROW_BYTES)

    def at(base: Any, n_bytes: Any) -> Any:
        return builder.inttoptr(builder.add(base, n_bytes), _BYTE)

    for gate in _SUMS:
        _call(builder, "llvm.x86.tilezero", ir.Constant(_I8, gate))
    with cgutils.for_range(builder, depth) as loop:
        _call(builder, "llvm.x86.tileloadd64", ir.Constant(_I8, _LEFT), at(left, builder.mul(loop.index, row)), stride)
        begin = builder.add(block, builder.mul(loop.index, ir.Constant(_I64, _GATES * _TILE_BYTES)))
        for gate, tile in zip(_SUMS, _RIGHT, strict=True):
            weights = at(begin, ir.Constant(_I64, gate * _TILE_BYTES))
            _call(builder, "llvm.x86.tileloadd64", ir.Constant(_I8, tile), weights, row)
            _call(builder, "llvm.x86.tdpbf16ps", *(ir.Constant(_I8, one) for one in (gate, _LEFT, tile)))
    for gate in _SUMS:
        place = at(sums, ir.Constant(_I64, gate * _TILE_BYTES))
        _call(builder, "llvm.x86.tilestored64", ir.Constant(_I8, gate), place, row)
    return context.get_dummy_value()


def _on_vectors(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    _, rows, left, stride, block, depth, sums = arguments
    with builder.if_else(builder.icmp_signed("==", rows, ir.Constant(_I64, FEW_ROWS))) as (few, many):
        for chosen, count in ((few, FEW_ROWS), (many, ROWS[4])):
            with chosen:
                for first in range(0, _GATES, _AT_ONCE[count]):
                    _sum_gates(builder, range(first, first + _AT_ONCE[count]), count, left, stride, block, depth, sums)
    return context.get_dummy_value()


def _sum_gates(
    builder: Any, gates: range, rows: int, left: Any, stride: Any, block: Any, depth: Any, sums: Any
) -> None:
    """Write a loop over the depth that keeps the sums of some gates of all rows in registers all the way."""
    before = builder.block
    loop, done = builder.append_basic_block("loop"), builder.append_basic_block("done")
    builder.branch(loop)
    builder.position_at_end(loop)
    step = builder.phi(_I64)
    step.add_incoming(ir.Constant(_I64, 0), before)
    kept = [[builder.phi(_FLOATS) for _ in gates] for _ in range(rows)]

    def load(address: Any, n_bytes: Any, kind: Any) -> Any:
        return builder.load(builder.inttoptr(builder.add(address, n_bytes), kind.as_pointer()), align=4)

    begin = builder.add(block, builder.mul(step, ir.Constant(_I64, 4 * _GATES * LANES)))
    weights = [load(begin, ir.Constant(_I64, 4 * LANES * gate), _FLOATS) for gate in gates]
    column = builder.add(left, builder.mul(step, ir.Constant(_I64, 4)))
    following = builder.add(step, ir.Constant(_I64, 1))
    step.add_incoming(following, loop)
    found = []
    for row in range(rows):
        value = load(column, builder.mul(stride, ir.Constant(_I64, row)), _F32)
        spread = _spread(builder, value)
        found.append(
            [_call(builder, f"llvm.fma.v{LANES}f32", spread, *pair) for pair in zip(weights, kept[row], strict=True)]
        )
        for phi, summed in zip(kept[row], found[row], strict=True):
            phi.add_incoming(ir.Constant(_FLOATS, None), before)
            phi.add_incoming(summed, loop)
    builder.cbranch(builder.icmp_signed("<", following, depth), loop, done)
    builder.position_at_end(done)
    for row in range(rows):
        for gate, summed in zip(gates, found[row], strict=True):
            at = builder.add(sums, ir.Constant(_I64, 4 * LANES * (gate * rows + row)))
            builder.store(summed, builder.inttoptr(at, _FLOATS.as_pointer()), align=4)


def _spread(builder: Any, value: Any) -> Any:
    """Return a vector that holds `value` in every place."""
    nothing, first = ir.Constant(_FLOATS, ir.Undefined), ir.Constant(_I32, 0)
    everywhere = ir.Constant(ir.VectorType(_I32, LANES), [0] * LANES)
    return builder.shuffle_vector(builder.insert_element(nothing, value, first), nothing, everywhere)


def _call(builder: Any, name: str, *arguments: Any) -> Any:
    """Call one of LLVM's own functions."""
    gives = _FLOATS if name.startswith("llvm.fma") else _NOTHING
    kind = ir.FunctionType(gives, [one.type for one in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)
