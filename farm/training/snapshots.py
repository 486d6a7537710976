"""The weights after each epoch, with what they belong to, and the state that training goes on from.

Conventions
-----------
A snapshot is a safetensors file of float32 weights by the names of `farm.composing.player.weight_shapes`; its
metadata's `about` holds architecture, encoding and epoch, so that it can be played without its run. Which epochs are
kept: `farm.training.shelf`.
"""

import json
import re
from collections.abc import Container, Mapping
from typing import Any

import numpy as np
import safetensors
from safetensors.numpy import load as unpack
from safetensors.numpy import save as pack

from farm import layout
from farm.composing.player import Player
from farm.errors import StorageError
from farm.music.encoding import Encoding
from farm.storage import Storage

_NAME = re.compile(r".*/epoch-(\d+)\.safetensors")


def save(
    storage: Storage,
    style: str,
    run: str,
    epoch: int,
    *,
    weights: Mapping[str, np.ndarray],
    architecture: Mapping[str, Any],
    encoding: Encoding,
) -> None:
    """Write the snapshot of an epoch."""
    about = {"architecture": dict(architecture), "encoding": encoding.to_json(), "epoch": epoch}
    storage.write_bytes(layout.snapshot(style, run, epoch), _packed(weights, about))


def keep(storage: Storage, style: str, run: str, wanted: Container[int]) -> None:
    """Delete the snapshots of all epochs but those wanted."""
    for epoch in epochs(storage, style, run):
        if epoch not in wanted:
            storage.delete(layout.snapshot(style, run, epoch))


def epochs(storage: Storage, style: str, run: str) -> list[int]:
    """Return the epochs of a run that have a snapshot, ascending."""
    found = map(_NAME.fullmatch, storage.list(layout.snapshots(style, run), ".safetensors"))
    return sorted(int(match[1]) for match in found if match)


def load(storage: Storage, style: str, run: str, epoch: int) -> tuple[dict[str, Any], Encoding, dict[str, np.ndarray]]:
    """Return architecture, encoding and weights of an epoch.

    Raises
    ------
    StorageError
        When there is no such snapshot or it is not whole.
    """
    weights, about = _unpacked(storage, layout.snapshot(style, run, epoch))
    return about["architecture"], Encoding.from_json(about["encoding"]), weights


def player(storage: Storage, style: str, run: str, epoch: int) -> Player:
    """Return the network of an epoch, ready to compose."""
    return Player(*load(storage, style, run, epoch))


def save_state(
    storage: Storage, style: str, run: str, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]
) -> None:
    """Write what training goes on from; `facts` is plain JSON."""
    storage.write_bytes(layout.resume_state(style, run), _packed(arrays, facts))


def load_state(storage: Storage, style: str, run: str) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    """Return arrays and facts as saved, or None when training has to begin at the beginning."""
    key = layout.resume_state(style, run)
    if not storage.exists(key):
        return None
    return _unpacked(storage, key)


def _packed(arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> bytes:
    """Return a safetensors file; its metadata is one entry, because the library orders several by chance."""
    metadata = {"about": json.dumps(about, sort_keys=True)}
    return pack({name: np.asarray(array, order="C") for name, array in arrays.items()}, metadata)


def _unpacked(storage: Storage, key: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    data = storage.read_bytes(key)
    try:
        arrays = unpack(data)
        length = int.from_bytes(data[:8], "little")
        return arrays, json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["about"])
    except (safetensors.SafetensorError, KeyError, ValueError) as error:
        raise StorageError(
            f"{storage.address(key)}: not a whole snapshot ({error}); delete it and run again"
        ) from error
