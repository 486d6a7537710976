"""The scanner's loop as machine code. The one door to numba; it takes a third of a second to load, a file by itself
is read sooner without it.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from farm.corpus.scan import Counter, count_tracks


@functools.cache
def compiled_counter() -> Counter:
    """Return `scan.count_tracks` compiled for bytes; compiled once per machine and kept beside the package.

    Where neither the package's folder nor the user's cache can be written, each process compiles anew.
    """
    import numba

    signature = numba.void(
        numba.types.Array(numba.uint8, 1, "C", readonly=True),
        numba.int64[:, ::1],
        numba.int64[::1],
        numba.int64[:, ::1],
    )
    loop: Callable[..., None]
    try:
        loop = numba.njit(signature, cache=True)(count_tracks)
    except RuntimeError:  # numba finds no place for its cache
        loop = numba.njit(signature)(count_tracks)

    def count(data: bytes, spans: Any, notes: Any, found: Any) -> None:
        loop(np.frombuffer(data, np.uint8), spans, notes, found)

    return count
