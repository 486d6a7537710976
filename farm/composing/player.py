"""The network as it runs at the end user's: one event at a time, in numpy alone, for several pieces at once.

What the network is, is written once, here (`weight_shapes`); `farm.training.network` trains the same.

Conventions
-----------
An event's columns (`farm.music.features`) times `input` enter a stack of LSTM layers; where a layer is as wide as
what it reads, that is added to its output. What the last layer gives is the *memory*. The whole beats of the next
event's time are chosen from the memory alone; each later field from a hidden layer over the memory and those columns of
the next event that are known by then. Gates stand in the order input, forget, candidate, output. Matrices are
float32, (n_in, n_out), applied from the right.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

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
    memory
        What the last layer gave, shape (n_pieces, n_units).
    """

    left: np.ndarray
    cells: tuple[tuple[np.ndarray, np.ndarray], ...]
    memory: np.ndarray


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
        By the names of `weight_shapes`; any float type, computed in float32.

    Raises
    ------
    IntegrityError
        When the description or a weight is not one of this version, with its name.
    """

    def __init__(self, architecture: Mapping[str, Any], encoding: Encoding, weights: Mapping[str, np.ndarray]) -> None:
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
        self._features = Features(encoding)
        self._layers: list[int] = list(architecture["layers"])
        self._weights = {name: np.ascontiguousarray(weights[name], np.float32) for name in shapes}

    def start(self, n: int) -> State:
        """Return the state of `n` pieces of which nothing was fed yet; feed START first."""
        silent = [np.zeros((n, units), np.float32) for units in self._layers]
        return State(self._features.silence(n), tuple((zeros, zeros) for zeros in silent), silent[-1])

    def feed(self, state: State, rows: np.ndarray) -> State:
        """Return the state after one more event of every piece; `rows` has shape (n_pieces, 7)."""
        columns, left = self._features.show(state.left, rows)
        flow = columns.astype(np.float32) @ self._weights["input.kernel"] + self._weights["input.bias"]
        cells = []
        for number, (output, cell) in enumerate(state.cells, start=1):
            gates = flow @ self._weights[f"lstm{number}.kernel"] + output @ self._weights[f"lstm{number}.recurrent"]
            cells.append(_step(gates + self._weights[f"lstm{number}.bias"], cell))
            flow = cells[-1][0] + flow if flow.shape == output.shape else cells[-1][0]
        return State(left, tuple(cells), flow)

    def logits(self, state: State, field: str, rows: np.ndarray) -> np.ndarray:
        """Return the unnormalised log chances of a field of the next event, float32, (n_pieces, n_classes).

        Parameters
        ----------
        rows
            The next event of every piece: the fields before `field` are decided, and the metre, and from the
            pitch on the position; the others may hold anything that is a class.
        """
        flow = state.memory
        if field != PREDICTED[0]:
            known = self._features.show(state.left, rows)[0][:, : self._features.known(field)]
            flow = flow @ self._weights[f"{field}.memory.kernel"] + self._weights[f"{field}.memory.bias"]
            flow = np.maximum(flow + known.astype(np.float32) @ self._weights[f"{field}.known.kernel"], 0)
        return flow @ self._weights[f"{field}.out.kernel"] + self._weights[f"{field}.out.bias"]


def _step(gates: np.ndarray, cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return output and cell of an LSTM layer after one step; `gates` has shape (n_pieces, 4 * n_units)."""
    units = cell.shape[1]
    candidate = np.tanh(gates[:, 2 * units : 3 * units])
    # The logistic function by way of tanh, which does not overflow.
    opening = 0.5 * np.tanh(0.5 * gates) + 0.5
    cell = opening[:, units : 2 * units] * cell + opening[:, :units] * candidate
    return opening[:, 3 * units :] * np.tanh(cell), cell


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
