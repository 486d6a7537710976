"""A model's step (`farm.catalog.step`) as an ONNX file, for every program that has ONNX Runtime.

Conventions
-----------
Weights stay as the model file holds them: float16 is cast, int8 multiplied by its scale, inside the graph. Equal models
are equal bytes. The graph's metadata holds card and encoding, as the model file does.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from farm.catalog.model_file import Model
from farm.catalog.step import Step, Stored, columns_of, state_shapes
from farm.errors import FarmError

OPSET = 17
IR_VERSION = 8


def onnx_model(model: Model, tensors: dict[str, np.ndarray]) -> bytes:
    """Return the bytes of an ONNX file.

    Parameters
    ----------
    tensors
        What the model file holds, see `farm.catalog.model_file.stored`.
    """
    try:
        from onnx import TensorProto, checker, helper
    except ImportError as error:
        raise FarmError("onnx is not installed; run: pip install 'music-model-farm[export]'") from error
    graph = _Graph()
    shapes = state_shapes(model.architecture, model.encoding)
    width = len(columns_of(model.encoding))
    types = {"int32": TensorProto.INT32, "float32": TensorProto.FLOAT}
    told = {"event": ("int32", width), "next": ("int32", width), **shapes}
    inputs = [helper.make_tensor_value_info(name, types[kind], [1, size]) for name, (kind, size) in told.items()]
    state = {name: _Value(graph, name) for name in shapes}
    step = Step(model.architecture, model.encoding, tensors)
    results = step.outputs(_OnnxOps(graph), _Value(graph, "event"), _Value(graph, "next"), state)
    sizes = {name: ("float32", model.encoding.n_classes[name]) for name in model.encoding.fields}
    sizes |= {f"{name}_out": shape for name, shape in shapes.items()}
    outputs = []
    for name, value in results.items():
        graph.nodes.append(helper.make_node("Identity", [value.name], [name]))
        kind, size = sizes[name]
        outputs.append(helper.make_tensor_value_info(name, types[kind], [1, size]))
    made = helper.make_model(
        helper.make_graph(graph.nodes, "step", inputs, outputs, graph.constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="music-model-farm",
    )
    helper.set_model_props(
        made,
        {
            "card": json.dumps(model.card, sort_keys=True, ensure_ascii=False),
            "encoding": json.dumps(model.encoding.to_json(), sort_keys=True),
        },
    )
    checker.check_model(made)
    return bytes(made.SerializeToString(deterministic=True))


@dataclass
class _Graph:
    """Nodes and constants as they come; names are numbers."""

    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)
    _known: dict[tuple[str, tuple[int, ...], bytes], str] = field(default_factory=dict)

    def add(self, kind: str, *inputs: "_Value | np.ndarray", **attributes: Any) -> "_Value":
        """Add a node with one output and return that."""
        from onnx import helper

        names = [one.name if isinstance(one, _Value) else self.constant(one).name for one in inputs]
        output = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, names, [output], **attributes))
        return _Value(self, output)

    def constant(self, values: np.ndarray) -> "_Value":
        """Return a constant; equal ones are one."""
        from onnx import numpy_helper

        key = (values.dtype.str, values.shape, values.tobytes())
        if key not in self._known:
            self._known[key] = f"c{len(self.constants)}"
            self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), self._known[key]))
        return _Value(self, self._known[key])


@dataclass(frozen=True, eq=False)
class _Value:
    """A value of the graph; what is done with it becomes a node. Whole numbers beside it are int32."""

    graph: _Graph
    name: str

    def __add__(self, other: "_Value | int") -> "_Value":
        return self.graph.add("Add", self, _operand(other))

    def __sub__(self, other: "_Value | int") -> "_Value":
        return self.graph.add("Sub", self, _operand(other))

    def __mul__(self, other: "_Value | int") -> "_Value":
        return self.graph.add("Mul", self, _operand(other))

    def __matmul__(self, other: "_Value") -> "_Value":
        return self.graph.add("MatMul", self, other)

    def __floordiv__(self, other: "_Value | int") -> "_Value":
        return self.graph.add("Div", self, _operand(other))

    def __mod__(self, other: "_Value | int") -> "_Value":
        return self.graph.add("Mod", self, _operand(other))

    def __lt__(self, other: "_Value") -> "_Value":
        return self.graph.add("Less", self, other)

    def __getitem__(self, key: tuple[slice, slice]) -> "_Value":
        columns = key[1]
        stop = columns.stop if columns.stop is not None else np.iinfo(np.int64).max
        ends = (np.array([columns.start or 0]), np.array([stop]), np.array([1]))
        return self.graph.add("Slice", self, *ends)


def _operand(other: "_Value | int") -> "_Value | np.ndarray":
    return np.full((1, 1), other, np.int32) if isinstance(other, int) else other


@dataclass(frozen=True)
class _OnnxOps:
    """`farm.catalog.step.Ops` as nodes."""

    graph: _Graph

    def constant(self, values: np.ndarray) -> _Value:
        return self.graph.constant(values)

    def weight(self, stored: Stored) -> _Value:
        value = self.graph.constant(stored.values)
        if stored.values.dtype == np.float32:
            return value
        value = self.as_float(value)
        return value if stored.scale is None else self.graph.add("Mul", value, stored.scale)

    def equal(self, one: _Value, other: _Value) -> _Value:
        return self.graph.add("Equal", one, other)

    def where(self, condition: _Value, one: _Value, other: _Value) -> _Value:
        return self.graph.add("Where", condition, one, other)

    def minimum(self, one: _Value, other: _Value) -> _Value:
        return self.graph.add("Min", one, other)

    def maximum(self, one: _Value, other: _Value) -> _Value:
        return self.graph.add("Max", one, other)

    def smallest(self, array: _Value) -> _Value:
        return self.graph.add("ReduceMin", array, axes=[1], keepdims=1)

    def concat(self, arrays: Sequence[_Value]) -> _Value:
        return self.graph.add("Concat", *arrays, axis=1)

    def sum_of_rows(self, table: _Value, places: _Value) -> _Value:
        rows = self.graph.add("Gather", table, places, axis=0)
        return self.graph.add("ReduceSum", rows, np.array([1]), keepdims=0)

    def as_float(self, array: _Value) -> _Value:
        return self.graph.add("Cast", array, to=1)  # TensorProto.FLOAT

    def tanh(self, array: _Value) -> _Value:
        return self.graph.add("Tanh", array)

    def sigmoid(self, array: _Value) -> _Value:
        return self.graph.add("Sigmoid", array)

    def relu(self, array: _Value) -> _Value:
        return self.graph.add("Relu", array)
