"""The network as it runs at the end user's: one event at a time, in numpy alone, for several pieces at once.

What the network is, is written once, here (`weight_shapes`); `farm.training.network` trains the same.

Conventions
-----------
An event's columns (`farm.music.features`) times `input` enter a stack of LSTM layers; where a layer is as wide as
what it reads, that is added to its output. What the last layer gives is the *memory*. The whole beats of the next
event's time are chosen from the memory alone; each later field from a hidden layer over the memory and those columns of
the next event that are known by then. Gates stand in the order input, forget, candidate, output. Matrices are
(n_in, n_out), applied from the right.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from farm.composing.columns import ColumnsTimes
from farm.errors import IntegrityError
from farm.music.encoding import PREDICTED, Encoding
from farm.music.features import Features

_LIMIT = 4096  # units of a layer; more is no model file of ours
_MAX_LAYERS = 8


@dataclass(frozen=True)
class State:
    """Where the pieces stand after an event; never changed, so that it can be gone back to.

    Attributes
    ----------
    left
        What is left to sound, see `farm.music.features`.
    cells
        Output and cell of each layer, shape (n_pieces, n_units) each.
    heads
        What the memory alone says to each field's first layer, side by side, shape (n_pieces, n_classes + 3 * n_head)
        or one head more where the encoding has velocities.
    """

    left: np.ndarray
    cells: tuple[tuple[np.ndarray, np.ndarray], ...]
    heads: np.ndarray


def architecture(*, embedding: int, layers: Sequence[int], head: int) -> dict[str, Any]:
    """Return the description of a network that a model file carries; plain JSON."""
    return {"kind": "lstm", "embedding": embedding, "layers": list(layers), "head": head}


def weight_shapes(description: Mapping[str, Any], encoding: Encoding) -> dict[str, tuple[int, ...]]:
    """Return the name and shape of every weight of a network.

    Raises
    ------
    IntegrityError
        When the description is not one that `architecture` gives.
    """
    embedding, layers, head = _checked(description)
    features = Features(encoding)
    shapes: dict[str, tuple[int, ...]] = {
        "input.kernel": (features.n_columns, embedding),
        "input.bias": (embedding,),
    }
    width = embedding
    for number, units in enumerate(layers, start=1):
        shapes[f"lstm{number}.kernel"] = (width, 4 * units)
        shapes[f"lstm{number}.recurrent"] = (units, 4 * units)
        shapes[f"lstm{number}.bias"] = (4 * units,)
        width = units
    for field in encoding.fields:
        before = layers[-1]
        if field != PREDICTED[0]:
            shapes[f"{field}.memory.kernel"] = (before, head)
            shapes[f"{field}.memory.bias"] = (head,)
            shapes[f"{field}.known.kernel"] = (features.known(field), head)
            before = head
        shapes[f"{field}.out.kernel"] = (before, encoding.n_classes[field])
        shapes[f"{field}.out.bias"] = (encoding.n_classes[field],)
    return shapes


class Player:
    """A trained network, played event by event.

    Parameters
    ----------
    architecture
        As a model file holds it, see `architecture`.
    weights
        By the names of `weight_shapes`; any float type.
    numbers
        What is computed in: np.float32, or np.float64 for answers that are the same on every machine.

    Raises
    ------
    IntegrityError
        When the description or a weight is not one of this version, with its name.
    """

    def __init__(
        self,
        architecture: Mapping[str, Any],
        encoding: Encoding,
        weights: Mapping[str, np.ndarray],
        numbers: type[np.floating[Any]] = np.float32,
    ) -> None:
        shapes = weight_shapes(architecture, encoding)
        if set(weights) != set(shapes):
            odd = sorted(set(weights) ^ set(shapes))[0]
            fault = "is missing" if odd in shapes else "is not one of this network's"
            raise IntegrityError(f"weights: {odd!r} {fault}; get the model file again")
        for name, shape in shapes.items():
            if weights[name].shape != shape:
                raise IntegrityError(
                    f"weights: {name!r} has shape {weights[name].shape}, expected {shape}; get the model file again"
                )
        self.encoding = encoding
        features = self._features = Features(encoding)
        own = {name: np.asarray(weights[name], np.float32).astype(numbers, copy=False) for name in shapes}
        self._numbers, self._made_of = numbers, (architecture, encoding, weights)
        self._input = ColumnsTimes(features, own["input.kernel"], own["input.bias"])
        self._layers = [_Layer(own, number) for number in range(1, len(architecture["layers"]) + 1)]
        later = [field for field in encoding.fields if field != PREDICTED[0]]
        firsts = [f"{PREDICTED[0]}.out", *(f"{field}.memory" for field in later)]
        self._heads = np.concatenate([own[f"{name}.kernel"] for name in firsts], axis=1)
        self._heads_bias = np.concatenate([own[f"{name}.bias"] for name in firsts])
        ends = np.cumsum([len(own[f"{name}.bias"]) for name in firsts]).tolist()
        self._places = {name: slice(*pair) for name, pair in zip(encoding.fields, pairwise([0, *ends]), strict=True)}
        self._known = {field: ColumnsTimes(features, own[f"{field}.known.kernel"]) for field in later}
        self._knows_held = {field: features.known(field) > features.starts["held"] for field in later}
        self._out = {
            field: (np.ascontiguousarray(own[f"{field}.out.kernel"]), own[f"{field}.out.bias"]) for field in later
        }

    @cached_property
    def exact(self) -> "Player":
        """The same network in double precision; made when it is first asked for."""
        return self if self._numbers is np.float64 else Player(*self._made_of, np.float64)

    def start(self, n: int) -> State:
        """Return the state of `n` pieces of which nothing was fed yet; feed START first."""
        silent = [np.zeros((n, layer.units), self._numbers) for layer in self._layers]
        cells = tuple((zeros, zeros) for zeros in silent)
        return State(self._features.silence(n), cells, np.tile(self._heads_bias, (n, 1)))

    def feed(self, state: State, rows: np.ndarray) -> State:
        """Return the state after one more event of every piece; `rows` has shape (n_pieces, 7)."""
        held, ending, left = self._features.follow(state.left, rows)
        flow = self._input(rows, held.astype(self._numbers), ending)
        cells = []
        for layer, (output, cell) in zip(self._layers, state.cells, strict=True):
            cells.append(layer.step(flow, output, cell))
            flow = cells[-1][0] + flow if flow.shape == output.shape else cells[-1][0]
        heads = flow @ self._heads
        heads += self._heads_bias
        return State(left, tuple(cells), heads)

    def logits(self, state: State, field: str, rows: np.ndarray) -> np.ndarray:
        """Return the unnormalised log chances of a field of the next event, (n_pieces, n_classes).

        Parameters
        ----------
        rows
            The next event of every piece: the fields before `field` are decided, and the metre, and from the
            pitch on the position; the others may hold anything that is a class.
        """
        flow = state.heads[:, self._places[field]]
        if field == PREDICTED[0]:
            return flow
        held = self._features.held(state.left, rows).astype(self._numbers) if self._knows_held[field] else None
        flow = flow + self._known[field](rows, held)
        np.maximum(flow, 0, out=flow)
        kernel, bias = self._out[field]
        logits = flow @ kernel
        logits += bias
        return logits


class _Layer:
    """One LSTM layer: both products as one, and all gates opened by one tanh.

    The logistic function is 0.5 * tanh(0.5 * x) + 0.5, which does not overflow; the inner half is taken into the
    weights, which changes no bit of the sum. Here the gates stand in the order input, forget, output, candidate.
    """

    def __init__(self, weights: Mapping[str, np.ndarray], number: int) -> None:
        own = [weights[f"lstm{number}.{part}"] for part in ("kernel", "recurrent")]
        both = np.concatenate([*own, weights[f"lstm{number}.bias"][None]])
        self.units = both.shape[1] // 4
        opening, forgetting, candidate, showing = np.split(both, 4, axis=1)
        both = np.concatenate([opening * 0.5, forgetting * 0.5, showing * 0.5, candidate], axis=1)
        self._kernel, self._bias = np.ascontiguousarray(both[:-1]), both[-1]

    def step(self, flow: np.ndarray, output: np.ndarray, cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return output and cell after one step; `flow` has shape (n_pieces, n_in)."""
        units = self.units
        gates = np.concatenate((flow, output), axis=1) @ self._kernel
        gates += self._bias
        np.tanh(gates, out=gates)
        opening = gates[:, : 3 * units]
        opening *= 0.5
        opening += 0.5
        cell = opening[:, units : 2 * units] * cell
        cell += opening[:, :units] * gates[:, 3 * units :]
        output = np.tanh(cell)
        output *= opening[:, 2 * units :]
        return output, cell


def _checked(description: Mapping[str, Any]) -> tuple[int, list[int], int]:
    """Return embedding, layers and head of a description, or raise IntegrityError with what is wrong."""
    if set(description) != {"kind", "embedding", "layers", "head"} or description["kind"] != "lstm":
        found = str(dict(description))[:200]
        raise IntegrityError(f"architecture: {found} is not one this version knows; use a newer farm")
    layers = description["layers"]
    if not isinstance(layers, list) or not 1 <= len(layers) <= _MAX_LAYERS:
        raise IntegrityError(f"architecture: layers is {str(layers)[:80]}; expected 1 to {_MAX_LAYERS} sizes")
    for size in (description["embedding"], description["head"], *layers):
        if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= _LIMIT:
            raise IntegrityError(f"architecture: size {str(size)[:20]} is not from 1 to {_LIMIT}; get the file again")
    return description["embedding"], layers, description["head"]
