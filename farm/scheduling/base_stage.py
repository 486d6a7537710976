"""The base stage: one network trained on all styles together, from which every style's run starts.

When anything it depends on has changed the stage runs again, but the base that is there stays for as long as all that
it heard is still allowed (`farm.scheduling.hearing`): then nothing is trained, and no style's training is stale.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from farm import layout
from farm.catalog.base_file import pack_base
from farm.catalog.model_file import weights_sha256
from farm.composing.player import Player
from farm.composing.scoring import bits_per_note
from farm.config import BASE, digest
from farm.corpus.tables import HEARD, read_heard, to_bytes
from farm.errors import StyleError
from farm.music.batches import blocks, whole
from farm.music.families import families_of
from farm.music.features import Features
from farm.music.fingerprints import fingerprints, thinning
from farm.music.split import content_hashes
from farm.scheduling import ledger
from farm.scheduling.hearing import UNLICENSED, Heard, Now, Piece, base_is_stale, reasons_not_to_hear
from farm.scheduling.starts import heard_notes, write_base_index
from farm.scheduling.work import CODE_VERSIONS, BaseWork
from farm.selection.figures import Figures
from farm.storage import Storage
from farm.training import snapshots
from farm.training.loading import Music, encoding_of, load_music, map_events

_JUDGED_NOTES = 4000  # of each style: a base is judged after every epoch, and every style counts the same
_ORIGIN = ("licence", "attribution", "url")


def train_base(work: BaseWork, told: Mapping[str, Any]) -> dict[str, Any]:
    """Train the base of a recipe, or keep the one that is there; return which, and what it heard.

    Parameters
    ----------
    told
        `unread`: styles that could not be read, with the reason; `before`: the result of the last time or None.
    """
    storage = work.storage()
    names = [style for style in work.settings if style not in told["unread"]]
    musics = {style: load_music(storage, style) for style in names}
    pieces = _pieces(musics)
    encoding = encoding_of(musics.values())
    musics = {style: replace(one, encoding=replace(encoding, grid=one.encoding.grid)) for style, one in musics.items()}
    labels = work.labels()
    licences = {(style, source): one["licence"] for style, own in labels.items() for source, one in own.items()}
    identity: dict[str, Any] = {
        "recipe": work.recipe_digest,
        "seed": work.seed,
        "code": str(CODE_VERSIONS[BASE]),
        "wish": work.wish,
    }
    why = "there was none"
    if told["before"]:
        heard = _heard_before(storage, told["before"])
        now = Now(**identity, has_velocity=encoding.has_velocity, hears=work.hears, pieces=pieces, licences=licences)
        why = base_is_stale(heard, now) or ""
        if not why:
            kept = {**told["before"], "sources": _sources(heard.sources, labels), "unread": dict(told["unread"])}
            return {**kept, "trained": False, "why": "all that it heard is still allowed"}
    reasons = reasons_not_to_hear(pieces, work.hears, licences)
    chosen = [piece for piece, reason in zip(pieces, reasons, strict=True) if not reason]
    if not chosen:
        raise StyleError("base: nothing is left to hear; name other styles in 'base:', or 'base: none'")
    run = digest([*identity.values(), encoding.to_json(), sorted(piece.name + piece.content for piece in chosen)])[:12]
    storage.write_bytes(layout.heard(run), to_bytes(_table(pieces, reasons, musics, labels)))
    recipe = work.recipe.model_copy(update={"training": work.recipe.training_of_base})
    judged = _judged(musics, work.hears)

    def report(facts: Mapping[str, Any]) -> None:
        ledger.report_progress(storage, BASE, work.recipe.name, stage=BASE, **facts)

    from farm.training.loop import fit

    fitted = fit(
        storage,
        BASE,
        run,
        train=_told(storage, musics, chosen),
        heldout=Features(encoding).told(_balanced(judged)),
        encoding=encoding,
        recipe=recipe,
        seed=work.seed,
        n_threads=work.threads,
        report=report,
    )
    left_out = {
        "styles": sorted({one.style for one, reason in zip(pieces, reasons, strict=True) if reason == UNLICENSED}),
        **{reason: reasons.count(reason) for reason in sorted(set(reasons) - {""})},
    }
    facts = {
        "pieces": len(chosen),
        "notes": int(fitted["notes"]),
        "styles": sorted({piece.style for piece in chosen}),
        "left_out": left_out,
        "sources": _sources({(piece.style, piece.source): "" for piece in chosen}, labels),
        **identity,
        "has_velocity": encoding.has_velocity,
    }
    picked = _pick(storage, run, judged)
    result = {**fitted, **facts, **picked, "run": run, "unread": dict(told["unread"]), "trained": True, "why": why}
    return _kept(storage, result)


def _pieces(musics: Mapping[str, Music]) -> list[Piece]:
    """Return every piece of every style, with the families that they form together."""
    rows = [(style, piece) for style, music in musics.items() for piece in sorted(music.pieces.index)]
    notes = [musics[style].notes[piece] for style, piece in rows]
    bounds = np.concatenate(([0], np.cumsum([len(one) for one in notes]))).astype(np.int64)
    joined = np.concatenate(notes)
    families = families_of(fingerprints(joined, bounds, thinning(len(joined))))
    contents = content_hashes(joined, bounds)
    is_cut = {style: not (music.pieces["split"] == "heldout").any() for style, music in musics.items()}
    found = []
    for (style, piece), content, family in zip(rows, contents, families, strict=True):
        row = musics[style].pieces.loc[piece]
        is_heldout = row["split"] == "heldout"
        found.append(Piece(style, piece, row["source"], content, family, is_heldout, is_cut[style]))
    return found


def _told(storage: Storage, musics: Mapping[str, Music], chosen: Sequence[Piece]) -> list[np.ndarray]:
    """Return the told events that the base hears: where no whole piece of a style is held out, not the last bars."""
    styles = {piece.style for piece in chosen}
    mapped = {style: map_events(storage, style, musics[style].encoding) for style in styles}
    pieces = [(piece, mapped[piece.style].get(piece.piece_id)) for piece in chosen]
    parts = [(blocks([told])[0] if piece.is_cut else whole([told])) for piece, told in pieces if told is not None]
    return [part.told[: part.end] for found in parts for part in found]


def _heard_before(storage: Storage, before: Mapping[str, Any]) -> Heard:
    table = read_heard(storage, before["run"])
    heard = table[table["why_not"].isna()]
    names = heard["style"] + "/" + heard["piece_id"]
    told = heard[["style", "source", "licence"]].drop_duplicates().to_numpy()
    sources = {(str(style), str(source)): str(licence) for style, source, licence in told}
    identity = {name: before[name] for name in ("recipe", "seed", "code", "wish", "has_velocity")}
    cut = frozenset(names[heard["is_cut"]])
    return Heard(**identity, pieces=dict(zip(names, heard["content"], strict=True)), sources=sources, cut=cut)


def _sources(heard: Mapping[tuple[str, str], str], labels: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the sources that were heard as corpora.yaml describes them now."""
    return [{"style": style, "source": source, **labels[style][source]} for style, source in sorted(heard)]


def _table(
    pieces: Sequence[Piece], reasons: Sequence[str], musics: Mapping[str, Music], labels: Mapping[str, Any]
) -> pa.Table:
    rows = []
    for piece, reason in zip(pieces, reasons, strict=True):
        about = {name: labels[piece.style].get(piece.source, {}).get(name, "") for name in _ORIGIN}
        facts = {name: getattr(piece, name) for name in ("style", "source", "piece_id", "content", "family", "is_cut")}
        n_notes = len(musics[piece.style].notes[piece.piece_id])
        rows.append({**facts, "notes": n_notes, **about, "why_not": reason or None})
    return pa.Table.from_pandas(pd.DataFrame(rows), HEARD, preserve_index=False)


def _judged(musics: Mapping[str, Music], hears: Sequence[str]) -> dict[str, list[np.ndarray]]:
    """Return for each style the events that the base is judged on, of at most `_JUDGED_NOTES` notes in all."""
    judged = {}
    for style in hears:
        left, found = _JUDGED_NOTES, []
        for events in musics[style].events("heldout") if style in musics else []:
            if left > 0:
                found.append(events if len(events) - 2 <= left else events[: left + 1])
                left -= len(found[-1]) - 1
        if found:
            judged[style] = found
    return judged


def _balanced(judged: Mapping[str, list[np.ndarray]]) -> list[np.ndarray]:
    """Return the events of all styles, those of short ones repeated, so that a mean over notes is one over styles."""
    notes = {style: sum(len(events) - 1 for events in pieces) for style, pieces in judged.items()}
    most = max(notes.values(), default=0)
    return [events for style, pieces in judged.items() for events in pieces * max(1, round(most / notes[style]))]


def _pick(storage: Storage, run: str, judged: Mapping[str, list[np.ndarray]]) -> dict[str, Any]:
    """Pick the epoch with the fewest held-out bits, for a base is a start and not a product; write why."""
    bits = {line["epoch"]: line["val_bits_per_note"] for line in storage.read_lines(layout.metrics(BASE, run))}
    kept = [epoch for epoch in snapshots.epochs(storage, BASE, run) if bits.get(epoch) is not None]
    epoch = min(kept, key=lambda one: (bits[one], one))
    architecture, encoding, weights = snapshots.load(storage, BASE, run, epoch)
    player = Player(architecture, encoding, weights)
    by_style = {style: round(bits_per_note(player, encoding, pieces), 4) for style, pieces in judged.items()}
    mean = round(float(np.mean(list(by_style.values()))), 4) if by_style else bits[epoch]
    over = f"the held-out music of {len(by_style)} styles" if by_style else "the last bars of its own pieces"
    reason = (
        f"Epoch {epoch} of {max(bits)} predicts {over} best of those kept, with {mean:.2f} bits a note. "
        "It is a start, not a product: whether it composes well is not asked."
    )
    verdict = {"style": BASE, "epoch": epoch, "reason": reason, "val_bits_per_note": mean, "styles": by_style}
    storage.write_json(layout.verdict(BASE, run), verdict)
    return {"epoch": epoch, "val_bits_per_note": mean, "reason": reason, "digest": weights_sha256(weights)}


def _kept(storage: Storage, result: dict[str, Any]) -> dict[str, Any]:
    """Write what others need of a base: the search for copies in this farm, and the file for other farms."""
    run, file = result["run"], layout.base_file(result["digest"])
    architecture, encoding, weights = snapshots.load(storage, BASE, run, result["epoch"])
    told = ("run", "epoch", "seed", "val_bits_per_note", "pieces", "notes", "sources", "reason")
    notes = heard_notes(storage, run)
    write_base_index(storage, run, notes)
    figures = Figures.build(notes.values()).views
    data = pack_base(weights, architecture, encoding, {name: result[name] for name in told}, figures)
    storage.write_bytes(file, data)
    return {**result, "file": file, "outputs": [layout.verdict(BASE, run), layout.heard(run), file]}
