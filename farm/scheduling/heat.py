"""Who knows whose music: the bits a note that each published model gives to each style's held-out music.

A style that is published asks its own model about every style's excerpt, and every other model about its own; so each
pair is measured once, by the later of the two, on a worker. What is missing all the same is measured at the end of a
run.

Conventions
-----------
An *excerpt* is the beginning of some held-out pieces, told on its own style's grid: every model hears the same events,
so that their bits can be compared. Velocities are heard by a model that knows them, and counted for none. A model whose
classes are others than this version's cannot be asked: its bits are null. What was measured is known by the hash of
the model file and the digest of the excerpt, and never measured again.
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from farm import layout
from farm.catalog.model_file import Model, open_model
from farm.composing.player import Player
from farm.composing.scoring import bits_per_note
from farm.config import digest
from farm.errors import FarmError
from farm.music.encoding import BEATS, GRIDS, PREDICTED, VELOCITY, Encoding
from farm.storage import Storage
from farm.training.loading import load_music

PIECES, NOTES = 8, 1000
"""An excerpt has at most so many pieces and notes, of each piece as many."""

_VERSION = 1  # raised by hand when the same music gives other excerpts
_COUNTED = PREDICTED[:-1]

Bits = dict[tuple[str, str], float | None]
"""Bits a note by the hash of a model file and the digest of an excerpt."""


@dataclass(frozen=True)
class Excerpt:
    """Held-out music of a style: event arrays from START on, and how many notes there are in all."""

    digest: str
    events: Sequence[np.ndarray]
    notes: int


def measure_style(storage: Storage, models: Sequence[Mapping[str, Any]], style: str, most_seconds: float) -> None:
    """Measure a style's model on every excerpt and every model on its excerpt, as far as that was not done before.

    Parameters
    ----------
    models
        Those of the catalog, the style's own among them.
    most_seconds
        After so long the rest is left for another time.
    """
    until = time.monotonic() + most_seconds
    hashes = {model["style"]: model["files"][0]["sha256"] for model in models}
    keys = {model["style"]: model["files"][0]["path"] for model in models}
    excerpts = {name: excerpt_of(storage, name) for name in hashes}
    known, own = read_bits(storage, list(hashes)), excerpts[style]
    pairs = [(style, style), *((style, name) for name in hashes), *((name, style) for name in hashes)]
    wanted = [
        (model, corpus)
        for model, corpus in dict.fromkeys(pairs)
        if (hashes[model], excerpts[corpus].digest) not in known and excerpts[corpus].notes
    ]
    found: Bits = {}
    opened, asked = "", None  # one network at a time: a hundred of them are a gigabyte
    with threadpool_limits(1):  # products of a few rows gain nothing from threads that wait for each other
        for model, corpus in wanted:
            if time.monotonic() > until:
                break
            if model != opened:
                opened, asked = model, _player(storage, keys[model], hashes[model])
            if asked is not None:
                found[hashes[model], excerpts[corpus].digest] = _bits(*asked, excerpts[corpus])
    _write(storage, style, own, {**_kept(storage, style, hashes, excerpts), **found})


def measure_missing(storage: Storage, models: Sequence[Mapping[str, Any]], most_seconds: float) -> bool:
    """Measure what no publishing measured, and return whether there was any."""
    until, did = time.monotonic() + most_seconds, False
    for style in _incomplete(storage, models):
        if (left := until - time.monotonic()) > 0:
            measure_style(storage, models, style, left)
            did = True
    return did


def read_bits(storage: Storage, styles: Sequence[str]) -> Bits:
    """Return all that was measured when these styles were published."""
    return {
        (model, excerpt): bits
        for style in styles
        if storage.exists(layout.heat(style))
        for model, excerpt, bits in storage.read_json(layout.heat(style))["bits"]
    }


def excerpt_of(storage: Storage, style: str) -> Excerpt:
    """Return the excerpt of a style, from the cache where it is there; of no held-out music an empty one."""
    parts = storage.list(layout.notes_folder(style), ".parquet")  # their names hold the hash of what is in them
    about = storage.read_bytes(layout.pieces(style)) if storage.exists(layout.pieces(style)) else b""
    name = digest([parts, hashlib.sha256(about).hexdigest(), _VERSION])[:16]
    if not about:
        return Excerpt(name, (), 0)
    key = layout.excerpt(style, name)
    if not storage.exists(key):
        events = _excerpt(storage, style)
        storage.write_json(key, [piece.tolist() for piece in events])
    events = [np.array(piece, np.int16) for piece in storage.read_json(key)]
    return Excerpt(name, events, sum(_n_notes(piece) for piece in events))


def _excerpt(storage: Storage, style: str) -> list[np.ndarray]:
    music = load_music(storage, style, Encoding(has_velocity=True))
    names = music.ids("heldout")
    chosen = [music.events_of(name) for name in names[:: max(1, -(-len(names) // PIECES))]]
    if not names:
        chosen = music.learnt_and_asked()[1][:PIECES]  # too few pieces to hold any out: the last bars of each
    most = NOTES // max(len(chosen), 1)
    return [piece if _n_notes(piece) <= most else piece[: most + 1] for piece in chosen if _n_notes(piece) > 0]


def _n_notes(events: np.ndarray) -> int:
    return int((events[1:, BEATS] < Encoding().stop).sum())


def _player(storage: Storage, key: str, sha256: str) -> tuple[Player, Encoding] | None:
    """Return a published network; None where its file is gone or spoilt, which `farm verify` tells."""
    try:
        model: Model = open_model(storage.read_bytes(key), sha256, key)
        return Player(model.architecture, model.encoding, model.weights), model.encoding
    except (FarmError, OSError):
        return None


def _bits(player: Player, encoding: Encoding, excerpt: Excerpt) -> float | None:
    """Return the bits a note of a model for an excerpt; None where its classes are not those of the events."""
    if replace(encoding, grid=GRIDS[0], has_velocity=False) != Encoding():
        return None
    events = list(excerpt.events) if encoding.has_velocity else [_without_velocity(one) for one in excerpt.events]
    return round(bits_per_note(player, encoding, events, _COUNTED), 4)


def _without_velocity(events: np.ndarray) -> np.ndarray:
    silent = events.copy()
    silent[1:, VELOCITY] = 0  # as `encode` leaves it for a model without velocities
    return silent


def _incomplete(storage: Storage, models: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the styles whose model was not asked about every excerpt, as those were when last asked about."""
    hashes = {model["style"]: model["files"][0]["sha256"] for model in models}
    told = {style: storage.read_json(layout.heat(style)) for style in hashes if storage.exists(layout.heat(style))}
    known = read_bits(storage, list(told))
    corpora = [one["corpus"] for one in told.values() if one["notes"]]
    return [
        style
        for style, sha256 in hashes.items()
        if style not in told or any((sha256, corpus) not in known for corpus in corpora)
    ]


def _kept(storage: Storage, style: str, hashes: Mapping[str, str], excerpts: Mapping[str, Excerpt]) -> Bits:
    """Return what was measured for a style before and still concerns a model and an excerpt that there are."""
    there = {one.digest for one in excerpts.values()}
    before = read_bits(storage, [style])
    return {pair: bits for pair, bits in before.items() if pair[0] in hashes.values() and pair[1] in there}


def _write(storage: Storage, style: str, own: Excerpt, bits: Bits) -> None:
    told = {"corpus": own.digest, "pieces": len(own.events), "notes": own.notes}
    rows = [[model, excerpt, value] for (model, excerpt), value in sorted(bits.items())]
    storage.write_json(layout.heat(style), {**told, "bits": rows})
