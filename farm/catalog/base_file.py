"""One self-contained file per base: weights, vocabulary, whose music it heard, and the figures of that music.

With it another farm's styles start from the base: its licences and its copy check come along. Checked as a model file
is: nothing in it is a program, and nothing is believed before its hash holds.

Conventions
-----------
The container is that of `farm.catalog.container`. Weights are float32. The figures of each view (`farm.selection`)
are eight bytes each, as an int8 matrix of shape (n_figures, 8). `about` names recipe, run, epoch, seed, pieces, notes
and the sources: style, source, licence, attribution, url of each.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from farm.catalog.container import MAX_FILE_BYTES, parse_object, read_container, write_container
from farm.catalog.model_file import weights_sha256
from farm.catalog.precision import restore, store
from farm.composing.player import Player
from farm.errors import IntegrityError, StorageError
from farm.farm_config import BASE_ENDING
from farm.music.encoding import Encoding

FORMAT = "base-1"
_METADATA = frozenset({"architecture", "about", "encoding", "format"})
_FIGURES = "figures."
_SOURCE = frozenset({"style", "source", "licence", "attribution", "url"})


@dataclass(frozen=True)
class BaseFile:
    """What a base file holds, checked.

    Attributes
    ----------
    figures
        By view the hashes of what it heard, uint64, ascending.
    digest
        Hash of the weights, as `weights_sha256` gives it.
    """

    architecture: dict[str, Any]
    encoding: Encoding
    weights: dict[str, np.ndarray]
    about: dict[str, Any]
    figures: dict[str, np.ndarray]
    digest: str
    sha256: str


def pack_base(
    weights: Mapping[str, np.ndarray],
    architecture: Mapping[str, Any],
    encoding: Encoding,
    about: Mapping[str, Any],
    figures: Mapping[str, np.ndarray],
) -> bytes:
    """Return the bytes of a base file; equal arguments give equal bytes."""
    parts = {"architecture": architecture, "about": about, "encoding": encoding.to_json()}
    told = {name: json.dumps(part, sort_keys=True, separators=(",", ":")) for name, part in parts.items()}
    tensors = store(weights, "float32")
    for name, hashes in figures.items():
        if len(hashes):  # the container holds no empty tensor
            tensors[_FIGURES + name] = np.ascontiguousarray(hashes, "<u8").view("i1").reshape(-1, 8)
    return write_container(tensors, {**told, "format": FORMAT})


def open_base(path: Path, views: tuple[str, ...] = ("merged", "top")) -> BaseFile:
    """Return what a base file holds.

    Raises
    ------
    StorageError
        When the file is missing or cannot be read.
    IntegrityError
        When anything in it is not as this version writes it.
    """
    data = _read(path)
    try:
        tensors, metadata = read_container(data, _METADATA, FORMAT)
        figures = {name: _hashes(tensors.pop(_FIGURES + name, None)) for name in views}
        weights, _ = restore(tensors)
        encoding = Encoding.from_json(parse_object(metadata["encoding"], "encoding"))
        architecture, about = (parse_object(metadata[key], key) for key in ("architecture", "about"))
        Player(architecture, encoding, weights)  # raises where they do not belong together
        _check_sources(about)
    except (IntegrityError, ValueError, RecursionError) as error:
        raise IntegrityError(f"{path}: no whole base file ({error or 'nested too deeply'}); get it again") from error
    digest = weights_sha256(weights)
    return BaseFile(architecture, encoding, weights, about, figures, digest, hashlib.sha256(data).hexdigest())


def _hashes(tensor: np.ndarray | None) -> np.ndarray:
    """Return the figures in a tensor, none without one; ValueError when it holds anything else."""
    if tensor is None:
        return np.zeros(0, np.uint64)
    if tensor.dtype != np.int8 or tensor.ndim != 2 or tensor.shape[1] != 8:
        raise ValueError(f"its figures have shape {tensor.shape}, expected eight bytes each")
    found = np.ascontiguousarray(tensor).view("<u8").reshape(-1).astype(np.uint64)
    if not (found[1:] > found[:-1]).all():
        raise ValueError("its figures are out of order")
    return found


def _check_sources(about: Mapping[str, Any]) -> None:
    sources = about.get("sources")
    if not isinstance(sources, list) or not sources:
        raise ValueError("it does not say whose music it heard")
    for source in sources:
        if not isinstance(source, dict) or source.keys() != _SOURCE or not all(map(_is_text, source.values())):
            raise ValueError("one of its sources is not described as one")


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _read(path: Path) -> bytes:
    try:
        if not path.is_file() or path.stat().st_size > MAX_FILE_BYTES:
            raise StorageError(f"{path}: is missing or no base file; give the path of a *{BASE_ENDING} file")
        return path.read_bytes()
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror or error}; check its permissions") from error
