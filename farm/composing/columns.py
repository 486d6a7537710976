"""An event's columns times a kernel, without the columns: the few rows of the kernel that a one stands for, added up.

A row of columns (`farm.music.features`) is nearly all zeros. A product with it would read the whole kernel for every
note; here only the rows that count are read.

Conventions
-----------
A *table* is a kernel laid out anew: one row for each class of each field in the order of `_FIELDS`, position and its
phase made one. The kernel may end with any block but `held`, as that of a network's later field does.
"""

import numpy as np

from farm.music.encoding import COLUMN, LONGEST_BAR_STEPS, METRE, POSITION
from farm.music.features import Features

_FIELDS = {"metre": METRE, "beats": COLUMN["beats"], "step": COLUMN["step"], "position": POSITION} | {
    name: COLUMN[name] for name in ("pitch", "duration", "velocity")
}


class ColumnsTimes:
    """The product of columns with one kernel.

    Parameters
    ----------
    kernel
        Shape (n_known, n_out): the first `n_known` columns are known.
    bias
        Added to every product, shape (n_out,); nothing when None.
    """

    def __init__(self, features: Features, kernel: np.ndarray, bias: np.ndarray | None = None) -> None:
        starts = {name: at for name, at in features.starts.items() if at < len(kernel)}
        ends = dict(zip(starts, [*list(starts.values())[1:], len(kernel)], strict=True))
        blocks = {name: kernel[at : ends[name]] for name, at in starts.items()}
        if bias is not None:
            blocks["metre"] = blocks["metre"] + bias  # every event has one
        if "phase" in blocks:
            places = np.arange(LONGEST_BAR_STEPS)
            per_place = len(blocks["phase"])
            blocks["position"] = blocks["position"][places // per_place] + blocks["phase"][places % per_place]
        self._held = np.ascontiguousarray(blocks["held"]) if "held" in blocks else None
        names = [name for name in (*_FIELDS, "ending") if name in blocks]
        self._table = np.concatenate([blocks[name] for name in names])
        self._starts = np.cumsum([0, *(len(blocks[name]) for name in names[:-1])])
        self._from = np.array([_FIELDS[name] for name in names if name in _FIELDS])

    def __call__(self, rows: np.ndarray, held: np.ndarray | None, ending: np.ndarray | None = None) -> np.ndarray:
        """Return the products, shape (n, n_out).

        Parameters
        ----------
        rows
            Events, shape (n, 7).
        held
            Shape (n, n_pitches), where the kernel knows of it; likewise `ending`, shape (n,).
        """
        places = rows.take(self._from, axis=1)
        if ending is not None:
            places = np.concatenate((places, ending[:, None]), axis=1)
        total = np.add.reduce(self._table.take(places + self._starts, axis=0), axis=1)
        if self._held is not None:
            total += held @ self._held
        return total
