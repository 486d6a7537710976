"""One model's entry in the catalog: everything it says is read from the files of the stages before."""

from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

import numpy as np

from farm import layout
from farm.catalog.entry import strictest
from farm.catalog.model_file import model_files, open_model
from farm.composing.player import Player
from farm.composing.render import Sheet, render
from farm.composing.scoring import bits_per_note
from farm.config import BASE, digest
from farm.music.encoding import Encoding
from farm.music.grid import GridLoss
from farm.scheduling import ledger
from farm.scheduling.samples import notes_of
from farm.scheduling.standing import standing
from farm.scheduling.starts import Start, load_start
from farm.scheduling.work import Work
from farm.selection.rows import without_seen
from farm.storage import Storage
from farm.training import snapshots
from farm.training.loading import Music, load_music

_LEAST_NOTES = 16
_LEAST_PITCHES = 4


def make_entry(
    storage: Storage,
    work: Work,
    receipts: Mapping[str, Any],
    run: str,
    verdict: Mapping[str, Any],
    recipes: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the catalog entry of one model, its files' bytes included.

    Parameters
    ----------
    receipts
        By stage, those of the recipe that is published.
    recipes
        A row for each recipe of the style, this one among them.
    """
    entry = draft_entry(storage, work, receipts, run, verdict)
    architecture, encoding, weights = snapshots.load(storage, work.style, run, entry["lineage"]["epoch"])
    music = load_music(storage, work.style, encoding)
    entry["recipes"] = [dict(row) for row in recipes]
    entry["samples"] = _render_samples(storage, work, run, entry["lineage"]["epoch"])
    entry["files"], entry["precision_loss"] = _files(weights, architecture, encoding, card_of(entry, music), music)
    entry["compared"] = standing(storage, entry, encoding, music)
    return entry


def draft_entry(
    storage: Storage, work: Work, receipts: Mapping[str, Any], run: str, verdict: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the entry without its files and samples: all that its card needs."""
    style, overruled = work.style, verdict["overruled_by"]
    epoch = overruled["epoch"] if overruled else verdict["epoch"]
    architecture, encoding, weights = snapshots.load(storage, style, run, epoch)
    music = load_music(storage, style, encoding)
    start = load_start(storage, work, receipts)
    sources = _sources(work, start)
    read = receipts["read"]["result"]
    entry = {
        "style": style,
        "title": work.settings.title or style,
        "run": run,
        "priority": work.settings.priority,
        "network": {
            "kind": architecture["kind"],
            "units": list(work.recipe.network.layers),
            "weights": int(sum(values.size for values in weights.values())),
        },
        "verdict": without_seen(verdict),
        "quality": _quality(storage, style, run, epoch, verdict, receipts),
        "corpus": {
            "pieces": len(music.pieces),
            "notes": int(music.pieces["notes"].sum()),
            "hours": round(float(music.pieces["duration_seconds"].sum()) / 3600, 3),
            "rejected": read["states"].get("rejected", 0),
            "manifest_sha256": digest(sorted(music.pieces["file_sha256"])),
            "time_grid": time_grid(encoding.grid, music.losses),
            "sources": sources,
        },
        "licence": strictest([one["licence"] for one in sources]),
        "lineage": {
            "recipe": work.recipe.name,
            "recipe_sha256": digest(work.recipe),
            "seed": work.training_seed,
            "run": run,
            "epoch": epoch,
            "code_version": metadata.version("music-model-farm"),
            "library_versions": {name: metadata.version(name) for name in ("tensorflow", "keras", "numpy")},
            "split_sha256": read["digest"],
            **({"base": {**start.lineage, "sources": start.sources}} if start else {}),
        },
        "cost": {
            "seconds": round(sum(receipts[stage]["seconds"] for stage in ("read", "baseline", "train", "judge")), 1),
            "attempts": ledger.attempts(storage).get((style, "train", work.recipe.name), 1),
            "device": receipts["train"]["result"]["device"],
        },
    }
    if work.settings.max_bytes is not None:
        entry["max_bytes"] = work.settings.max_bytes
    return entry


def time_grid(places_per_beat: int, losses: Mapping[int, GridLoss]) -> dict[str, Any]:
    """Return what the grid of a model's onsets loses of its corpus, and what the coarser ones would lose."""
    coarser = {str(grid): loss._asdict() for grid, loss in losses.items() if grid < places_per_beat}
    return {"places_per_beat": places_per_beat, **losses[places_per_beat]._asdict(), "coarser": coarser}


def _sources(work: Work, start: Start | None) -> list[dict[str, str]]:
    """Return whose music the model knows: the style's own sources, then those only the base heard, marked `from`."""
    own = [
        {"source": one.name, "licence": one.licence, "attribution": one.attribution, "url": one.url}
        for one in work.settings.sources
    ]
    if start is None:
        return own
    is_ours = work.start == BASE
    names = {one["source"] for one in own}
    heard = [one for one in start.sources if not (is_ours and one["style"] == work.style and one["source"] in names)]
    return [*own, *({**one, "from": "base"} for one in heard)]


def _quality(
    storage: Storage, style: str, run: str, epoch: int, verdict: Mapping[str, Any], receipts: Mapping[str, Any]
) -> dict[str, Any]:
    lines = {line["epoch"]: line for line in storage.read_lines(layout.metrics(style, run))}
    sample = storage.read_json(layout.sample_notes(style, run, epoch))
    measures, human = sample["measures"], verdict["human"]
    copy = _longest_copy(measures.get("longest"), epoch, verdict)
    if copy and copy["bar"] is not None:
        copy["bar"] += 1
    valid = [_is_valid(notes_of(one)) for one in sample["samples"]]
    return {
        "val_bits_per_note": lines[epoch]["val_bits_per_note"],
        "ngram_bits_per_note": receipts["baseline"]["result"]["bits_per_note"],
        "repetition": measures.get("loop_share", 0.0),
        "repetition_human": human.get("loop_share"),
        "copied": measures.get("cov12", 0.0),
        "copied_human": human.get("cov12"),
        "longest_copy": copy,
        "validity": sum(valid) / len(valid),
    }


def _longest_copy(exact: Mapping[str, Any] | None, epoch: int, verdict: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the longest exact copy, or the quote that goes furthest beyond people's where that is longer."""
    rows = (row.get("quote") for row in verdict["candidates"] if row["epoch"] == epoch)
    quote = next((quote for quote in rows if quote is not None), None)
    found = [one for one in (exact, quote) if one and one["piece"] is not None]
    return dict(max(found, key=lambda one: one["notes"])) if found else None


def _is_valid(notes: np.ndarray) -> bool:
    """Tell whether a sample is a piece at all: enough notes, more than a few pitches, nothing out of range."""
    if len(notes) < _LEAST_NOTES or len(np.unique(notes["pitch"])) < _LEAST_PITCHES:
        return False
    in_range = (notes["pitch"] >= 0) & (notes["pitch"] < 128) & (notes["velocity"] > 0) & (notes["velocity"] < 128)
    return bool((in_range & (notes["duration_beat"] > 0) & (notes["onset_beat"] >= 0)).all())


def _render_samples(storage: Storage, work: Work, run: str, epoch: int) -> list[str]:
    """Write the samples of the published epoch as MIDI and return their keys."""
    sample = storage.read_json(layout.sample_notes(work.style, run, epoch))
    keys = []
    for number, one in enumerate(sample["samples"], start=1):
        sheet = Sheet(
            title=f"{work.settings.title or work.style}, sample {number}",
            tempo_bpm=sample["tempo_bpm"],
            time_signature=sample["metre"],
        )
        key = layout.sample_midi(work.style, run, number)
        storage.write_bytes(key, render(notes_of(one), key, sheet))
        keys.append(key)
    return keys


def card_of(entry: Mapping[str, Any], music: Music) -> dict[str, Any]:
    """Return what the model file says of itself, and the usual tempo and metre that composing starts from.

    The base's sources stand once and briefly: every model file carries them, and they are most of a long card.
    """
    kept = ("style", "title", "licence", "quality", "lineage", "network", "corpus")
    card: dict[str, Any] = {name: entry[name] for name in kept}
    if base := entry["lineage"].get("base"):
        card["lineage"] = {
            **entry["lineage"],
            "base": {name: value for name, value in base.items() if name != "sources"},
        }
    card["corpus"] = {**entry["corpus"], "sources": brief(entry["corpus"]["sources"])}
    card["attribution"] = "; ".join(
        dict.fromkeys(one["attribution"] for one in entry["corpus"]["sources"] if one["attribution"])
    )
    card["composing"] = {
        "tempo_bpm": round(music.usual_tempo_bpm, 1),
        "metre": music.encoding.metres[music.usual_metre],
    }
    return card


def brief(sources: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Return sources with those that only the base heard made one for each licence, names and addresses in their order.

    Examples
    --------
    >>> one = {"source": "folder: a", "style": "a", "licence": "CC0-1.0", "attribution": "A", "url": "", "from": "base"}
    >>> brief([one, {**one, "source": "folder: b", "style": "b", "attribution": "B"}])
    [{'licence': 'CC0-1.0', 'from': 'base', 'attribution': 'A; B', 'url': ''}]
    """
    told = [dict(one) for one in sources if one.get("from") != "base"]
    heard = [one for one in sources if one.get("from") == "base"]
    for licence in dict.fromkeys(one["licence"] for one in heard):
        under = [one for one in heard if one["licence"] == licence]
        joined = {
            key: "; ".join(dict.fromkeys(one[key] for one in under if one[key])) for key in ("attribution", "url")
        }
        told.append({"licence": licence, "from": "base", **joined})
    return told


def _files(
    weights: Mapping[str, np.ndarray],
    architecture: Mapping[str, Any],
    encoding: Encoding,
    card: Mapping[str, Any],
    music: Music,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the model file in every precision, and what each loses on the held-out pieces."""
    heldout = music.events("heldout") or music.events("train")
    files, losses, full = model_files(weights, architecture, encoding, card), {}, 0.0
    for file in files:
        model = open_model(file["data"])
        bits = bits_per_note(Player(model.architecture, model.encoding, model.weights), model.encoding, heldout)
        full = bits if file["precision"] == "float32" else full
        losses[file["precision"]] = {
            "bytes": len(file["data"]),
            "val_bits_per_note": round(bits, 5),
            "delta": round(bits - full, 5),
        }
    return files, losses
