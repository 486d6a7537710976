"""One self-contained file per model: weights, vocabulary and card, as safetensors.

Nothing in the file is a program, and nothing of it is believed before it is checked: hash first, then the
header's bounds, then an allow-list of keys and types. What is wrong becomes an IntegrityError with the name.

Conventions
-----------
A model has three *precisions* that differ in size only: float32, float16, and int8 with one float32 scale per
row or column of each matrix (vectors stay float32). Opened, weights are float32 always. The metadata's `sha256`
is the hash of the whole file with that hash's 64 digits as zeros, so that one flipped bit shows even where no
catalog is at hand; a catalog's hash is the plain one over all bytes.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from farm.catalog.container import MAX_FILE_BYTES, parse_object, read_container, write_container
from farm.catalog.precision import PRECISIONS, fits_float16, restore, restored, store
from farm.errors import IntegrityError, StorageError
from farm.music.encoding import Encoding

ENDING = ".farm.safetensors"
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}-[1-9][0-9]{0,8}\.farm\.safetensors")
FORMAT = "1"

_METADATA = frozenset({"architecture", "card", "encoding", "format"})


@dataclass(frozen=True)
class Model:
    """What a model file holds, checked.

    Attributes
    ----------
    name
        The file's name, for messages.
    weights
        float32 arrays by name, whatever the precision of the file.
    """

    name: str
    architecture: dict[str, Any]
    encoding: Encoding
    weights: dict[str, np.ndarray]
    card: dict[str, Any]
    precision: str
    sha256: str


def model_name(style: str, version: int) -> str:
    """Return the name of a model file; it is the same in every precision."""
    return f"{style}-{version}{ENDING}"


def model_files(
    weights: Mapping[str, np.ndarray], architecture: Mapping[str, Any], encoding: Encoding, card: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return the model in every precision, as `farm.catalog.publish` takes the `files` of an entry.

    Where float16 cannot hold the weights (a few networks have a weight above 65,504) it is left out.
    """
    files = []
    for precision in PRECISIONS:
        if precision == "float16" and not fits_float16(weights):
            continue
        data = pack_model(weights, architecture, encoding, card, precision)
        digest = weights_sha256(restored(weights, precision))
        files.append({"role": "model", "precision": precision, "weights_sha256": digest, "data": data})
    return files


def pack_model(
    weights: Mapping[str, np.ndarray],
    architecture: Mapping[str, Any],
    encoding: Encoding,
    card: Mapping[str, Any],
    precision: str = "float32",
) -> bytes:
    """Return the bytes of a model file; equal arguments give equal bytes.

    Raises
    ------
    FarmError
        For an unknown precision, and for weights that are empty, not finite or too large for float16.
    """
    metadata = {
        "architecture": _json(architecture),
        "card": _json(card),
        "encoding": _json(encoding.to_json()),
        "format": FORMAT,
    }
    return write_container(store(weights, precision), metadata)


def open_model(source: Path | bytes, sha256: str | None = None, name: str | None = None) -> Model:
    """Return what a model file holds, its weights as float32.

    Parameters
    ----------
    source
        The file, or its bytes.
    sha256
        The hash that a catalog or pack gives for it; compared before anything is parsed.
    name
        How messages call it; the path when None.

    Raises
    ------
    StorageError
        When the file is missing or cannot be read.
    IntegrityError
        When anything in it is not as this version writes it.
    """
    label = name or (str(source) if isinstance(source, Path) else "model file")
    data = _read(source) if isinstance(source, Path) else source
    found = hashlib.sha256(data).hexdigest()
    if sha256 is not None and found != sha256:
        raise IntegrityError(f"{label}: its sha256 is {found}, published was {sha256}; get the file again")
    try:
        tensors, metadata = read_container(data, _METADATA, FORMAT)
        weights, precision = restore(tensors)
        encoding = Encoding.from_json(parse_object(metadata["encoding"], "encoding"))
        architecture, card = (parse_object(metadata[key], key) for key in ("architecture", "card"))
    except (IntegrityError, ValueError, RecursionError) as error:
        told = str(error) or "nested too deeply"
        raise IntegrityError(f"{label}: {told}{'' if '; use ' in told else '; get the file again'}") from error
    return Model(label, architecture, encoding, weights, card, precision, found)


def stored(data: bytes) -> dict[str, np.ndarray]:
    """Return the tensors of a model file that was opened, in its own precision, scales among them."""
    return read_container(data, _METADATA, FORMAT)[0]


def weights_sha256(weights: Mapping[str, np.ndarray]) -> str:
    """Return a hash over names, shapes and float32 values in the order of names, whatever file holds them."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        values = np.ascontiguousarray(weights[name], "<f4")
        digest.update(f"{name}\0{values.shape}\0".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _read(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise StorageError(f"{path} is missing or no file; give the path of a *{ENDING} file")
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise IntegrityError(f"{path}: {size} bytes are too long for a model file; get the file again")
        return path.read_bytes()
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror or error}; check its permissions") from error
