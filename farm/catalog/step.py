"""One step of the network as a graph, written once for every format that it is exported to.

What `farm.composing.player` computes from event rows is said here in a few operations that every runtime has, the
columns of an event included: who drives the graph hands over classes and gets logits.

Conventions
-----------
Every array has one row: one piece. An *event* is its classes in the order `columns_of`: the predicted fields, then the
metre; position and what sounds are the graph's own. Inputs are `event`, the event before; `next`, the one to be chosen,
as far as it is; and the state, all zeros in the beginning, when `event` is START: one past the last class of each
field. Outputs are the logits of every field, by its name, given the fields of `next` before it, and the state after
`event`, by its name and `_out`. So an event is chosen with one call a field and the same `event` and state; those
move on together, when all of it is chosen. That runs the layers once a field, four times a note, in a tenth of a
millisecond each: one graph and one kind of call are worth more than that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from farm.music.encoding import FREE, LONGEST_BAR_STEPS, PREDICTED, Encoding
from farm.music.features import LONGEST_ENDING, Features

_NEVER = 1 << 24  # steps; longer than anything sounds


class Stored(NamedTuple):
    """A weight as a file holds it: float32 or float16, or int8 with the float32 scale that it is multiplied by."""

    values: np.ndarray
    scale: np.ndarray | None

    def rows(self, start: int, stop: int) -> "Stored":
        """Return some of the rows."""
        scale = self.scale
        return Stored(self.values[start:stop], scale[start:stop] if scale is not None and len(scale) > 1 else scale)

    def above(self, other: "Stored") -> "Stored":
        """Return these rows and those of another part of the same weight."""
        scale = self.scale
        if scale is not None and other.scale is not None and len(scale) == len(self.values):
            scale = np.concatenate([scale, other.scale])
        return Stored(np.concatenate([self.values, other.values]), scale)


class Ops(Protocol):
    """What a format must be able to say beside + - * @ // % < and the slicing of columns; arrays have two axes."""

    def constant(self, values: np.ndarray) -> Any: ...

    def weight(self, stored: Stored) -> Any:
        """Return a weight as float32."""

    def equal(self, one: Any, other: Any) -> Any: ...

    def where(self, condition: Any, one: Any, other: Any) -> Any: ...

    def minimum(self, one: Any, other: Any) -> Any: ...

    def maximum(self, one: Any, other: Any) -> Any: ...

    def smallest(self, array: Any) -> Any:
        """Return the least of a row, shape (1, 1)."""

    def concat(self, arrays: Sequence[Any]) -> Any:
        """Return arrays side by side."""

    def sum_of_rows(self, table: Any, places: Any) -> Any:
        """Return the sum of the rows of a table at int32 places, shape (1, n_places)."""

    def as_float(self, array: Any) -> Any: ...

    def tanh(self, array: Any) -> Any: ...

    def sigmoid(self, array: Any) -> Any: ...

    def relu(self, array: Any) -> Any: ...


def columns_of(encoding: Encoding) -> tuple[str, ...]:
    """Return the columns of an event."""
    return (*encoding.fields, "metre")


def state_shapes(architecture: Mapping[str, Any], encoding: Encoding) -> dict[str, tuple[str, int]]:
    """Return dtype and width of every part of the state, in order."""
    shapes = {"left": ("int32", encoding.n_pitches), "place": ("int32", 1)}
    for number, units in enumerate(architecture["layers"], start=1):
        shapes |= {f"output{number}": ("float32", units), f"cell{number}": ("float32", units)}
    return shapes


@dataclass(frozen=True)
class Step:
    """The graph of one network, to be told in any `Ops`.

    Attributes
    ----------
    tensors
        As a model file holds them.
    """

    architecture: Mapping[str, Any]
    encoding: Encoding
    tensors: Mapping[str, np.ndarray]

    def outputs(self, ops: Ops, event: Any, following: Any, state: Mapping[str, Any]) -> dict[str, Any]:
        """Return logits and new state, by their names as outputs."""
        encoding, features = self.encoding, Features(self.encoding)
        left, held, ending = self._sounding(ops, event, state["left"])
        place = self._position(ops, event, state["place"])
        flow = self._columns_times(ops, "input.kernel", features, event, place, held, ending)
        flow = flow + self._weight(ops, "input.bias")
        told: dict[str, Any] = {}
        for number in range(1, len(self.architecture["layers"]) + 1):
            output, cell = self._layer(ops, number, flow, state[f"output{number}"], state[f"cell{number}"])
            is_as_wide = self._stored(f"lstm{number}.kernel").values.shape[0] * 4 == self._width(number)
            flow = output + flow if is_as_wide else output
            told |= {f"output{number}": output, f"cell{number}": cell}
        later_place = self._position(ops, following, place)
        later_held = ops.as_float(self._gap(ops, following) < left)
        logits = {}
        for field in encoding.fields:
            out = flow
            if field != PREDICTED[0]:
                out = flow @ self._weight(ops, f"{field}.memory.kernel") + self._weight(ops, f"{field}.memory.bias")
                known = f"{field}.known.kernel"
                out = out + self._columns_times(ops, known, features, following, later_place, later_held, None)
                out = ops.relu(out)
            logits[field] = out @ self._weight(ops, f"{field}.out.kernel") + self._weight(ops, f"{field}.out.bias")
        return {**logits, **{f"{name}_out": value for name, value in {"left": left, "place": place, **told}.items()}}

    def _layer(self, ops: Ops, number: int, flow: Any, output: Any, cell: Any) -> tuple[Any, Any]:
        units = self._width(number) // 4
        gates = flow @ self._weight(ops, f"lstm{number}.kernel") + output @ self._weight(ops, f"lstm{number}.recurrent")
        gates = gates + self._weight(ops, f"lstm{number}.bias")
        opening, forgetting = ops.sigmoid(gates[:, :units]), ops.sigmoid(gates[:, units : 2 * units])
        candidate, showing = ops.tanh(gates[:, 2 * units : 3 * units]), ops.sigmoid(gates[:, 3 * units :])
        cell = forgetting * cell + opening * candidate
        return showing * ops.tanh(cell), cell

    def _gap(self, ops: Ops, event: Any) -> Any:
        """Return the steps since the onset before; START and STOP have none."""
        steps = event[:, 0:1] * self.encoding.steps_per_beat + event[:, 1:2]
        return ops.where(self._sounds(ops, event), steps, ops.constant(np.zeros((1, 1), np.int32)))

    def _sounds(self, ops: Ops, event: Any) -> Any:
        return event[:, 0:1] < ops.constant(np.full((1, 1), self.encoding.stop, np.int32))

    def _position(self, ops: Ops, event: Any, before: Any) -> Any:
        """Return where in its bar an event lies, in steps; 0 in free metre."""
        metres = range(len(self.encoding.metres))
        bars = np.array([[self.encoding.bar_steps(metre)] for metre in metres], np.int32)
        bars[[name == FREE for name in self.encoding.metres]] = 1  # anything modulo 1 is 0
        bar = ops.sum_of_rows(ops.constant(bars), event[:, len(self.encoding.fields) :])
        return (before + self._gap(ops, event)) % bar

    def _sounding(self, ops: Ops, event: Any, left: Any) -> tuple[Any, Any, Any]:
        """Return what is left to sound, what is held, and when something ends; see `farm.music.features`."""
        at = {name: place for place, name in enumerate(self.encoding.fields)}
        nothing = ops.constant(np.zeros((1, 1), np.int32))
        left = ops.maximum(left - self._gap(ops, event), nothing)
        held = ops.as_float(nothing < left)
        durations = np.array([*self.encoding.duration_steps, 0], np.int32)[:, None]
        length = ops.sum_of_rows(ops.constant(durations), event[:, at["duration"] : at["duration"] + 1])
        length = ops.where(self._sounds(ops, event), length, nothing)
        pitches = ops.constant(np.arange(self.encoding.n_pitches, dtype=np.int32)[None])
        own = ops.where(ops.equal(pitches, event[:, at["pitch"] : at["pitch"] + 1]), length, nothing)
        left = ops.maximum(left, own)
        soonest = ops.smallest(ops.where(nothing < left, left, ops.constant(np.full((1, 1), _NEVER, np.int32))))
        per_place = self.encoding.steps_per_beat // 12
        ending = ops.minimum(
            (soonest + (per_place - 1)) // per_place, ops.constant(np.full((1, 1), LONGEST_ENDING, np.int32))
        )
        return left, held, ops.where(soonest < ops.constant(np.full((1, 1), _NEVER, np.int32)), ending, nothing)

    def _columns_times(
        self, ops: Ops, name: str, features: Features, event: Any, place: Any, held: Any, ending: Any
    ) -> Any:
        """Return the product of an event's columns with a kernel, which knows the first of them."""
        kernel, n_pitches = self._stored(name), self.encoding.n_pitches
        n_known, first = len(kernel.values), features.starts["held"]
        fields = ("metre", "beats", "step", "position", "phase", "pitch", "duration", "velocity", "ending")
        names = [field for field in fields if features.starts.get(field, n_known) < n_known]
        place = ops.minimum(place, ops.constant(np.full((1, 1), LONGEST_BAR_STEPS - 1, np.int32)))
        per_place = self.encoding.steps_per_beat // 12
        values = {"position": place // per_place, "phase": place % per_place, "ending": ending}
        at = {column: number for number, column in enumerate(columns_of(self.encoding))}
        classes = [values[one] if one in values else event[:, at[one] : at[one] + 1] for one in names]
        starts = np.array([[features.starts[one] for one in names]], np.int32)
        if n_known <= first:
            return ops.sum_of_rows(ops.weight(kernel), ops.concat(classes) + ops.constant(starts))
        starts = np.where(starts > first, starts - n_pitches, starts).astype(np.int32)  # the rest, held cut out
        rest = [kernel.rows(0, first), kernel.rows(first + n_pitches, n_known)]
        total = ops.sum_of_rows(ops.weight(rest[0].above(rest[1])), ops.concat(classes) + ops.constant(starts))
        return total + held @ ops.weight(kernel.rows(first, first + n_pitches))

    def _width(self, number: int) -> int:
        return int(self.tensors[f"lstm{number}.bias"].shape[0])

    def _stored(self, name: str) -> Stored:
        return Stored(self.tensors[name], self.tensors.get(f"{name}.scale"))

    def _weight(self, ops: Ops, name: str) -> Any:
        stored = self._stored(name)
        return ops.weight(Stored(stored.values[None], None) if stored.values.ndim == 1 else stored)
