"""The safetensors container: a JSON header and raw tensors, written the same way each time and read with suspicion.

Conventions
-----------
A header length (8 bytes, little-endian), a JSON header padded with spaces, then the tensors without gaps in the
header's order. Beside what the caller gives, `__metadata__` holds `sha256`: the hash of the whole file with that
hash's 64 digits as zeros, so that one flipped bit shows even where no catalog is at hand. Reading takes views on
the bytes it is given; a header can claim what it likes, nothing is allocated for it. What is wrong is a
ValueError; the caller knows the file's name.
"""

import hashlib
import json
import math
import re
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from farm.errors import FarmError

MAX_FILE_BYTES = 1 << 30
MAX_HEADER_BYTES = 1 << 20
MAX_TENSORS = 4096
MAX_DIMENSIONS = 4
TENSOR_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,199}")

_MAX_DIGITS = 18  # of a whole number, its sign included
_NO_HASH = "0" * 64
_DTYPES: dict[str, np.dtype] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "I8": np.dtype("i1")}
_CODES = {dtype: code for code, dtype in _DTYPES.items()}


def write_container(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """Return the bytes of a file; equal arguments give equal bytes.

    Parameters
    ----------
    tensors
        float32, float16 or int8 arrays by name.

    Raises
    ------
    FarmError
        When the metadata is longer than a header may be.
    """
    order = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))
    header: dict[str, Any] = {"__metadata__": {**dict(sorted(metadata.items())), "sha256": _NO_HASH}}
    end = 0
    for name in order:
        start, end = end, end + tensors[name].nbytes
        shape = list(tensors[name].shape)
        header[name] = {"dtype": _CODES[tensors[name].dtype], "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > MAX_HEADER_BYTES:
        raise FarmError(f"model card: {len(text)} bytes are too long; shorten it to less than {MAX_HEADER_BYTES}")
    data = struct.pack("<Q", len(text)) + text + b"".join(tensors[name].tobytes() for name in order)
    own = hashlib.sha256(data).hexdigest()
    return data.replace(_own_hash(_NO_HASH), _own_hash(own), 1)


def read_container(data: bytes, known: frozenset[str], version: str) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return tensors (read-only views on `data`) and metadata; ValueError when anything is not as written above.

    Parameters
    ----------
    known
        The keys that the metadata has, no more and no fewer, beside `sha256`.
    version
        What the metadata's `format` must say; told before anything else, for another format may differ in all of it.
    """
    header, body = _split(data)
    metadata = header.pop("__metadata__", None)
    if isinstance(metadata, dict) and metadata.get("format", version) != version:
        raise ValueError(
            f"its format is {str(metadata['format'])[:20]!r}, this version reads {version!r}; use a newer farm"
        )
    _check_metadata(metadata, known, data)
    return _tensors(header, body), metadata


def _split(data: bytes) -> tuple[dict[str, Any], memoryview]:
    """Return the parsed header and the bytes after it; ValueError when the lengths do not add up."""
    if len(data) < 8:
        raise ValueError(f"{len(data)} bytes are too short for a model file")
    (length,) = struct.unpack_from("<Q", data)
    if length > min(MAX_HEADER_BYTES, len(data) - 8):
        raise ValueError(f"the header claims {length} bytes of a file of {len(data)}")
    header = parse_object(data[8 : 8 + length].decode("utf-8"), "header")
    return header, memoryview(data)[8 + length :]


def _check_metadata(metadata: Any, known: frozenset[str], data: bytes) -> None:
    """Raise ValueError unless the metadata has just the known keys and the file's own hash holds."""
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("it has no metadata of a model file")
    if metadata.keys() != known | {"sha256"}:
        raise ValueError(f"its metadata names {', '.join(sorted(metadata))[:200]}; expected {', '.join(sorted(known))}")
    own = _own_hash(metadata["sha256"])
    head = 8 + struct.unpack_from("<Q", data)[0]
    if data.count(own, 0, head) != 1:
        raise ValueError("its own hash is not where a model file has it")
    at = data.index(own)
    digest = hashlib.sha256(data[:at] + _own_hash(_NO_HASH))
    digest.update(memoryview(data)[at + len(own) :])
    if digest.hexdigest() != metadata["sha256"]:
        raise ValueError("its bytes do not have the hash that it names")


def _tensors(header: dict[str, Any], body: memoryview) -> dict[str, np.ndarray]:
    """Return views on the tensors; ValueError unless they fill the body exactly, in order, without overlap."""
    if not 0 < len(header) <= MAX_TENSORS:
        raise ValueError(f"it holds {len(header)} weights, expected 1 to {MAX_TENSORS}")
    tensors: dict[str, np.ndarray] = {}
    reached = 0
    for name, entry in header.items():
        if not TENSOR_NAME.fullmatch(name) or not isinstance(entry, dict):
            raise ValueError(f"weight {name[:60]!r} is not described as one")
        if entry.keys() != {"dtype", "shape", "data_offsets"} or entry["dtype"] not in list(_DTYPES):
            raise ValueError(f"weight {name!r} has another type or other keys than a model file's")
        shape, offsets, dtype = entry["shape"], entry["data_offsets"], _DTYPES[entry["dtype"]]
        if not _are_counts(shape) or not _are_counts(offsets) or len(offsets) != 2 or len(shape) > MAX_DIMENSIONS:
            raise ValueError(f"weight {name!r} has a shape or place that is none")
        size = dtype.itemsize
        for length in shape:
            size *= length
        start, end = offsets
        if size == 0 or start != reached or end - start != size or end > len(body):
            raise ValueError(f"weight {name!r} lies at {start} to {end}, expected {size} bytes from {reached}")
        tensors[name] = np.frombuffer(body[start:end], dtype).reshape(shape)
        reached = end
    if reached != len(body):
        raise ValueError(f"{len(body) - reached} bytes follow the last weight")
    return tensors


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value <= MAX_FILE_BYTES for value in values)


def _own_hash(digest: str) -> bytes:
    return f'"sha256":"{digest}"'.encode()


def parse_object(text: str, what: str) -> dict[str, Any]:
    """Return a JSON object; ValueError for repeated keys, half characters, and numbers that 64 bits cannot hold."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) != len(pairs):
            raise ValueError(f"its {what} names a key twice")
        return dict(pairs)

    def refuse(constant: str) -> Any:
        raise ValueError(f"its {what} holds {constant}")

    def whole(digits: str) -> int:
        if len(digits) > _MAX_DIGITS:
            raise ValueError(f"its {what} holds a number of {len(digits)} digits")
        return int(digits)

    def finite(digits: str) -> float:
        number = float(digits)
        return number if math.isfinite(number) else refuse(digits[:20])

    value = json.loads(text, object_pairs_hook=unique, parse_constant=refuse, parse_int=whole, parse_float=finite)
    if not isinstance(value, dict):
        raise ValueError(f"its {what} is no JSON object")
    json.dumps(value, ensure_ascii=False).encode()  # an escape that is half a character fails here, a ValueError too
    return value
