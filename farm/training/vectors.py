"""What one step of an LSTM layer is to the processor: numba's intrinsics for opening its gates, there and back.

A loop in numba becomes machine code on the user's machine, without a compiler there. But its automatic vectors fail
on loops over so many arrays, and it knows no matrix tiles; so the two inner parts of a step are written as vector
code, here and in `farm.training.tiles`, and the loops around them in `farm.training.recurrence` stay plain.

Conventions
-----------
All work on LANES units at once; what they take and give are addresses in bytes. `kind` is a value of the type of the
products: a float32, or a uint16 that holds the bits of a bfloat16. Sums, gates and cells are float32 always.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

LANES = 16

_LIMIT = 7.9  # tanh is 1 to the last bit but two from here on
# tanh(x) = x P(x²) / Q(x²), least squares of the relative error, reweighted until no error stood out: 2e-7.
_P = (0.9999998067157239, 0.12720928181425287, 0.0027052110879035004, 7.22912417114603e-06, -6.263326320214894e-09)
_Q = (1.0, 0.46054105675101437, 0.022887680415330694, 0.00019787977621400362)

_I16, _I32, _I64, _F32 = ir.IntType(16), ir.IntType(32), ir.IntType(64), ir.FloatType()
_FLOATS, _SHORTS, _INTS = (ir.VectorType(kind, LANES) for kind in (_F32, _I16, _I32))


class _Vector:
    """LANES floats in the code that is being written; a formula over them writes its instructions."""

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder, self.value = builder, value

    def __add__(self, other: Any) -> "_Vector":
        return self._write("fadd", self, other)

    def __mul__(self, other: Any) -> "_Vector":
        return self._write("fmul", self, other)

    def __truediv__(self, other: Any) -> "_Vector":
        return self._write("fdiv", self, other)

    def __rsub__(self, other: Any) -> "_Vector":
        return self._write("fsub", other, self)

    def clipped(self, limit: float) -> "_Vector":
        """Return the vector between -`limit` and `limit`; what is not a number stays one, so that a loss tells."""
        found = self.value
        for sign, end in (("<", -limit), (">", limit)):
            bound = _constant(end)
            found = self.builder.select(self.builder.fcmp_ordered(sign, found, bound), bound, found)
        return _Vector(self.builder, found)

    def _write(self, instruction: str, *operands: Any) -> "_Vector":
        values = [one.value if isinstance(one, _Vector) else _constant(one) for one in operands]
        return _Vector(self.builder, getattr(self.builder, instruction)(*values, flags=("contract", "arcp")))


def _constant(value: float) -> ir.Constant:
    return ir.Constant(_FLOATS, [float(np.float32(value))] * LANES)


def _tanh(x: _Vector) -> _Vector:
    x = x.clipped(_LIMIT)
    square = x * x
    return x * _polynomial(square, _P) / _polynomial(square, _Q)


def _sigmoid(x: _Vector) -> _Vector:
    return _tanh(x * 0.5) * 0.5 + 0.5


def _polynomial(x: _Vector, coefficients: Sequence[float]) -> _Vector:
    found = x * coefficients[-1] + coefficients[-2]
    for coefficient in coefficients[-3::-1]:
        found = found * x + coefficient
    return found


def _integer(value: int) -> ir.Constant:
    return ir.Constant(_I64, value)


def _moved(builder: Any, address: Any, count: Any, item: int = 1) -> Any:
    """Return the address `count` items further on."""
    count = _integer(count) if isinstance(count, int) else count
    return builder.add(address, builder.mul(count, _integer(item)))


def _load(builder: Any, address: Any, item: int = 4) -> _Vector:
    if item == 4:
        return _Vector(builder, builder.load(builder.inttoptr(address, _FLOATS.as_pointer()), align=4))
    bits = builder.load(builder.inttoptr(address, _SHORTS.as_pointer()), align=2)
    bits = builder.shl(builder.zext(bits, _INTS), ir.Constant(_INTS, [16] * LANES))
    return _Vector(builder, builder.bitcast(bits, _FLOATS))


def _store(builder: Any, vector: _Vector, address: Any) -> None:
    builder.store(vector.value, builder.inttoptr(address, _FLOATS.as_pointer()), align=4)


def _store_twice(builder: Any, vector: _Vector, addresses: Sequence[Any], item: int) -> None:
    """Store in the type of the products; a bfloat16 is rounded to the nearest, ties to even."""
    value, kind = vector.value, _FLOATS
    if item == 2:
        splat = {n: ir.Constant(_INTS, [n] * LANES) for n in (1, 16, 0x7FFF)}
        bits, kind = builder.bitcast(value, _INTS), _SHORTS
        odd = builder.and_(builder.lshr(bits, splat[16]), splat[1])
        bits = builder.add(bits, builder.add(odd, splat[0x7FFF]))
        value = builder.trunc(builder.lshr(bits, splat[16]), _SHORTS)
    for address in addresses:
        builder.store(value, builder.inttoptr(address, kind.as_pointer()), align=item)


def _item(kind: Any) -> int:
    return 4 if kind == types.float32 else 2


@intrinsic
def step_forward(
    typing: Any,
    kind: Any,
    sums: Any,
    per_gate: Any,
    driven: Any,
    bias: Any,
    units: Any,
    past: Any,
    cells: Any,
    gates: Any,
    outputs: Any,
    again: Any,
) -> Any:
    """Open the gates of LANES units of one window, and move cell and output on.

    `sums` are the recurrent products, `per_gate` bytes from gate to gate; everything else lies `units` apart. The
    output is stored twice.
    """
    item = _item(kind)

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, sums, per_gate, driven, bias, units, past, cells, gates, outputs, again = arguments
        raw = []
        for gate in range(4):
            there = builder.mul(units, _integer(gate))
            drive = _load(builder, _moved(builder, driven, there, item), item)
            lift = _load(builder, _moved(builder, bias, there, 4))
            raw.append(_load(builder, _moved(builder, sums, per_gate, gate)) + drive + lift)
        let_in, keep, new, let_out = _sigmoid(raw[0]), _sigmoid(raw[1]), _tanh(raw[2]), _sigmoid(raw[3])
        cell = keep * _load(builder, past) + let_in * new
        _store(builder, cell, cells)
        for gate, opened in enumerate((let_in, keep, new, let_out)):
            _store(builder, opened, _moved(builder, gates, builder.mul(units, _integer(gate)), 4))
        _store_twice(builder, let_out * _tanh(cell), (outputs, again), item)
        return context.get_dummy_value()

    return types.void(kind, *[types.int64] * 10), write


@intrinsic
def step_backward(
    typing: Any,
    kind: Any,
    sums: Any,
    upstream: Any,
    units: Any,
    past: Any,
    cells: Any,
    gates: Any,
    to_cell: Any,
    to_bias: Any,
    pulls: Any,
    again: Any,
) -> Any:
    """Take the gradient of LANES units of one window back through a step.

    `sums` are what later steps ask of the output, `upstream` what the layer above does. The gradients of the gates
    are stored twice and added to `to_bias`.
    """
    item = _item(kind)

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, sums, upstream, units, past, cells, gates, to_cell, to_bias, pulls, again = arguments
        apart = [builder.mul(units, _integer(gate)) for gate in range(4)]
        let_in, keep, new, let_out = (_load(builder, _moved(builder, gates, there, 4)) for there in apart)
        to_output = _load(builder, sums) + _load(builder, upstream)
        squashed = _tanh(_load(builder, cells))
        pull = _load(builder, to_cell) + to_output * let_out * (1.0 - squashed * squashed)
        _store(builder, pull * keep, to_cell)
        to_gates = (
            pull * new * let_in * (1.0 - let_in),
            pull * _load(builder, past) * keep * (1.0 - keep),
            pull * let_in * (1.0 - new * new),
            to_output * squashed * let_out * (1.0 - let_out),
        )
        for there, found in zip(apart, to_gates, strict=True):
            sum_at = _moved(builder, to_bias, there, 4)
            _store(builder, _load(builder, sum_at) + found, sum_at)
            places = [_moved(builder, base, there, item) for base in (pulls, again)]
            _store_twice(builder, found, places, item)
        return context.get_dummy_value()

    return types.void(kind, *[types.int64] * 10), write
