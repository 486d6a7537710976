"""What a style's runs start from, as training, judging and publishing need it: the farm's common base or a base file.

Whatever a base heard, its models carry: the weights know it, the licences bind it, and copies of it are copies.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from farm import layout
from farm.catalog.base_file import BaseFile, open_base
from farm.config import BASE, NONE
from farm.corpus.tables import read_heard
from farm.errors import StyleError
from farm.music.encoding import Encoding
from farm.scheduling.work import Work
from farm.selection.figures import Figures
from farm.selection.originality import Index
from farm.storage import Storage
from farm.training import snapshots
from farm.training.loading import load_music


@dataclass(frozen=True)
class Start:
    """Weights to start from, and where they come from.

    Attributes
    ----------
    lineage
        What an entry of the catalog says of them: run, epoch, sha256 of the weights, ...
    sources
        style, source, licence, attribution and url of everything they heard.
    """

    encoding: Encoding
    weights: dict[str, np.ndarray]
    lineage: dict[str, Any]
    sources: list[dict[str, str]]


def load_start(storage: Storage, work: Work, receipts: Mapping[str, Any]) -> Start | None:
    """Return what the runs of the work's recipe start from; None where that is nothing."""
    if work.starts_from == NONE:
        return None
    if work.starts_from == BASE:
        base = receipts[BASE]["result"]
        _, encoding, weights = snapshots.load(storage, BASE, base["run"], base["epoch"])
        told = {"run": base["run"], "epoch": base["epoch"], "sha256": base["digest"]}
        facts = {"val_bits_per_note": base["val_bits_per_note"], "pieces": base["pieces"], "notes": base["notes"]}
        return Start(encoding, weights, {**told, **facts}, base["sources"])
    file = opened(work)
    told = {name: file.about.get(name) for name in ("run", "epoch", "val_bits_per_note", "pieces", "notes")}
    return Start(file.encoding, file.weights, {**told, "sha256": file.digest}, file.about["sources"])


def opened(work: Work) -> BaseFile:
    """Return the base file that runs start from; StyleError when it is another one than when the farm began."""
    file = open_base(Path(work.start))
    if work.file_digest not in (NONE, file.digest):
        raise StyleError(f"{work.style}: {work.start} changed during the run; run the same command again")
    return file


def copy_index(storage: Storage, work: Work, receipts: Mapping[str, Any], own: Mapping[str, np.ndarray]) -> Index:
    """Return what copies are looked for in: a style's training pieces, and what its runs' start heard.

    Parameters
    ----------
    own
        Note arrays by piece id; pieces that the common base heard are named `style/piece_id`.
    """
    index = Index.build(own)
    if work.starts_from == NONE:
        return index
    if work.starts_from != BASE:
        return replace(index, figures=Figures(opened(work).figures))
    return replace(index, beside=(_base_index(storage, receipts[BASE]["result"]["run"]),))


def kin_in_base(storage: Storage, work: Work, receipts: Mapping[str, Any]) -> dict[str, set[str]]:
    """Return for each piece of a style the pieces that the common base heard and that are akin to it, by name."""
    if work.starts_from != BASE:
        return {}
    table = read_heard(storage, receipts[BASE]["result"]["run"])
    named = table["style"] + "/" + table["piece_id"]
    heard = named[table["why_not"].isna()].groupby(table["family"]).agg(set)
    own = table[table["style"] == work.style]
    return {piece: heard.get(family, set()) for piece, family in zip(own["piece_id"], own["family"], strict=True)}


def heard_notes(storage: Storage, run: str) -> dict[str, np.ndarray]:
    """Return the note arrays of what a base heard, as far as it is still there, by `style/piece_id`."""
    table = read_heard(storage, run)
    heard = table[table["why_not"].isna()]
    found: dict[str, np.ndarray] = {}
    for style, rows in heard.groupby("style"):
        if not storage.exists(layout.pieces(str(style))):
            continue
        notes = load_music(storage, str(style)).notes
        found |= {f"{style}/{piece}": notes[piece] for piece in rows["piece_id"] if piece in notes}
    return found


def write_base_index(storage: Storage, run: str, heard: Mapping[str, np.ndarray]) -> Index:
    """Keep what a base heard as it is searched for copies: every style's judging needs it, and it takes seconds."""
    index, out = Index.build(heard), io.BytesIO()
    arrays: dict[str, Any] = index.to_arrays()
    np.savez(out, **arrays)
    storage.write_bytes(layout.base_index(run), out.getvalue())
    return index


def _base_index(storage: Storage, run: str) -> Index:
    key = layout.base_index(run)
    if storage.exists(key):
        with np.load(io.BytesIO(storage.read_bytes(key)), allow_pickle=False) as arrays:
            try:
                return Index.from_arrays(arrays)
            except KeyError:  # kept by a version of the farm that looked for less
                pass
    return write_base_index(storage, run, heard_notes(storage, run))
