"""The published models: their sizes and what each precision loses, and what they compose, a thousand pieces of each."""

import argparse
import copy
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from symusic import Score

from farm.catalog.composer import usual_time
from farm.catalog.model_file import Model, model_files, open_model
from farm.catalog.publish import current
from farm.composing.notation import Sheet
from farm.composing.player import Player
from farm.composing.render import render
from farm.composing.sampling import compose
from farm.composing.scoring import bits_per_note
from farm.corpus.scan import scan_midi
from farm.music.encoding import decode
from farm.storage import Storage
from farm.training.loading import load_music

NOTES = 200
FIRST_SEED = 2_000_000
AT_ONCE = 100


def models(options: argparse.Namespace) -> Iterator[tuple[str, Model, bytes]]:
    """Yield style, model and bytes of the most precise file of every model in the catalog."""
    storage = Storage(options.artifacts)
    catalog = current(storage)
    if catalog is None:
        raise SystemExit(f"{options.artifacts}: nothing is published there; give --artifacts of a farm that ran")
    wanted = [name for name in options.styles.split(",") if name]
    for entry in catalog["models"]:
        if not wanted or entry["style"] in wanted:
            file = entry["files"][0]
            data = storage.read_bytes(file["path"])
            yield entry["style"], open_model(data, file["sha256"], file["path"]), data


def measure_sizes(options: argparse.Namespace, scratch: Path) -> list[dict[str, Any]]:
    """Pack every model anew in each precision and ask it the held-out music."""
    rows = []
    for style, model, _ in models(options):
        card = copy.deepcopy(model.card)
        card.get("lineage", {}).get("base", {}).pop(
            "sources", None
        )  # cards of farms before this version name them twice
        music = load_music(Storage(options.artifacts), style, model.encoding)
        heldout = music.events("heldout") or music.events("train")
        full = 0.0
        for file in model_files(model.weights, model.architecture, model.encoding, card):
            opened = open_model(file["data"])
            player = Player(opened.architecture, opened.encoding, opened.weights)
            bits = bits_per_note(player, opened.encoding, heldout)
            full = bits if file["precision"] == "float32" else full
            row = {"style": style, "precision": file["precision"], "bytes": len(file["data"])}
            rows.append({**row, "bits": round(bits, 5), "lost": round(bits - full, 5)})
    return rows


def print_sizes(rows: list[dict[str, Any]]) -> None:
    print("sizes: bytes, held-out bits a note, and what the precision loses of them")
    print(f"  {'style':<14} {'precision':<9} {'bytes':>10} {'bits':>8} {'lost':>9}")
    for row in rows:
        told = f"{row['bytes']:>10,} {row['bits']:>8.4f} {row['lost']:>9.5f}"
        print(f"  {row['style']:<14} {row['precision']:<9} {told}")
    for precision, bytes_target, target in (("float16", 2_600_000, 0.002), ("int8", 1_500_000, 0.02)):
        of = [row for row in rows if row["precision"] == precision]
        most = f"{max(row['bytes'] for row in of):,} bytes and {max(row['lost'] for row in of):.5f} bits a note lost"
        print(f"  {precision}: at most {most}; targets {bytes_target:,} and {target}")


def measure_pieces(options: argparse.Namespace, scratch: Path) -> list[dict[str, Any]]:
    """Compose many pieces of every style and read each back from its MIDI file."""
    rows = []
    for style, model, _ in models(options):
        metre_name, tempo_bpm = usual_time(model)
        metre = model.encoding.metre_class(metre_name)
        sheet = Sheet(style, tempo_bpm, metre_name or "4/4")
        player = Player(model.architecture, model.encoding, model.weights)
        row = {"style": style, "pieces": 0, "valid": 0, "empty": 0, "one_note": 0, "one_pitch": 0, "stopped": 0}
        seen = set()
        for first in range(0, options.pieces, AT_ONCE):
            count = min(AT_ONCE, options.pieces - first)
            asked = {"notes": NOTES, "metre": metre, "seed": FIRST_SEED + first, "count": count}
            for piece in compose(player, model.encoding, **asked):
                notes = decode(piece.events, model.encoding)
                data = render(notes, "piece.mid", sheet)
                row["pieces"] += 1
                row["valid"] += is_valid(data, notes)
                row["empty"] += len(notes) == 0
                row["one_note"] += len(notes) == 1
                row["one_pitch"] += len(np.unique(notes["pitch"])) == 1
                row["stopped"] += piece.stopped
                seen.add(hashlib.sha256(data).hexdigest())
        rows.append({**row, "distinct": len(seen)})
    return rows


def is_valid(data: bytes, notes: np.ndarray) -> bool:
    """Tell whether another program reads the same notes from a MIDI file, and our own count of its bytes agrees."""
    score = Score.from_midi(data)
    found = sorted((note.time, note.pitch) for track in score.tracks for note in track.notes)
    wanted = sorted({(round(float(note["onset_beat"]) * 480), int(note["pitch"])) for note in notes})
    return found == wanted and sum(scan_midi(data).notes_by_channel) == len(found)


def print_pieces(rows: list[dict[str, Any]]) -> None:
    print(f"pieces: {NOTES} notes at most, each read back from its MIDI file")
    names = ("pieces", "valid", "distinct", "empty", "one_note", "one_pitch", "stopped")
    titles = ("pieces", "valid", "distinct", "empty", "one note", "one pitch", "ended by itself")
    print(f"  {'style':<14} " + " ".join(f"{title:>9}" for title in titles))
    for row in rows:
        print(f"  {row['style']:<14} " + " ".join(f"{row[name]:>9,}" for name in names))
