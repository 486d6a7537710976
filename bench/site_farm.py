"""A whole farm that nobody trained, for the report to be made from: each file as the stages write it, by their code.

The music is invented and the networks are small and random; what a page shows of them is as much as of real ones.
"""

import hashlib
import math
import time
from typing import Any

import numpy as np
import pyarrow as pa

from farm import layout
from farm.catalog.model_file import model_files
from farm.catalog.publish import current, decide, publish
from farm.composing.player import architecture, weight_shapes
from farm.corpus import tables
from farm.music.encoding import Encoding
from farm.storage import Storage

N_PIECES, N_NOTES = 24, 200
N_SAMPLES = 4
SMALL = architecture(embedding=8, layers=[16], head=8)
COMPACT = architecture(embedding=128, layers=[256, 256], head=144)
KEYS = ("C major", "G major", "D major", "a minor", "e minor")
REASONS = ("not-music", "damaged", "drums-only", "too-short", "no-notes")


def make_farm(storage: Storage, styles: int, snapshots: int, epochs: int = 80, network: dict[str, Any] = SMALL) -> None:
    """Write the artifacts of so many styles, published and some decided upon; of one in ten the last run failed."""
    entries, failures = [], []
    for number in range(styles):
        style, random = f"style-{number:03d}", np.random.default_rng(number)
        piece = add_music(storage, style, random)
        run = f"{number:012x}"
        add_run(storage, style, run, random, epochs, snapshots)
        entries.append(entry(storage, style, run, random, epochs, snapshots, piece, network))
        add_attempts(storage, style)
        if number % 10 == 9:
            message = f"{style}: the loss broke at epoch 3 and again after a retry; lower training.learning_rate"
            failures.append({"style": style, "stage": "train", "message": message})
    publish(storage, entries, failures)
    for number in range(0, styles, 3):
        decide(storage, f"style-{number:03d}", "approved", "sounds right")


def melody(random: np.random.Generator, n_notes: int) -> np.ndarray:
    """Return a wandering melody over broken chords: rows of onset and duration in beats, pitch, velocity."""
    lengths = random.choice([0.5, 0.5, 1.0, 1.5], n_notes)
    onsets = np.concatenate([[0.0], np.cumsum(lengths)[:-1]])
    pitches = 60 + np.clip(np.cumsum(random.integers(-3, 4, n_notes)), -20, 24)
    pitches[::5] -= 24
    return np.column_stack([onsets, lengths, np.clip(pitches, 24, 100), random.integers(50, 110, n_notes)])


def add_music(storage: Storage, style: str, random: np.random.Generator) -> str:
    """Write the tables of a style's pieces and notes; return the name of a piece that was read."""
    pieces: list[dict[str, Any]] = []
    notes: list[dict[str, Any]] = []
    for number in range(N_PIECES + 8):
        row: dict[str, Any] = dict.fromkeys(tables.PIECES.names)
        row |= {"style": style, "source": f"folder: music/{style}", "path": f"tunes/number-{number}.mid"}
        row |= {"piece_id": f"{number:016x}", "file_sha256": f"{number:064x}", "format": "midi", "licence": "CC0-1.0"}
        if number >= N_PIECES:
            state = ("rejected", "skipped", "duplicate")[number % 3]
            row |= {"state": state, "reason": "same-notes" if state == "duplicate" else REASONS[number % len(REASONS)]}
            pieces.append(row)
            continue
        tune = melody(random, N_NOTES)
        beats = float(tune[:, :2].sum(axis=1).max())
        row |= {"state": "read", "family": row["piece_id"], "bytes": 2000, "notes_in_file": N_NOTES, "notes": N_NOTES}
        row |= {"notes_dropped": [], "tracks": 1, "duration_beats": beats, "duration_seconds": beats / 2}
        row |= {"tempo_bpm": 120.0, "key": KEYS[number % len(KEYS)], "time_signature": "4/4", "time_base": "beats"}
        row |= {"split": "heldout" if number % 8 == 0 else "train", "pitch_low": 40, "pitch_high": 90}
        pieces.append(row)
        for onset, length, pitch, velocity in tune.tolist():
            note = {"style": style, "piece_id": row["piece_id"], "track": 0, "program": 0, "is_drum": False}
            note |= {"onset_beat": onset, "duration_beat": length, "pitch": int(pitch), "velocity": int(velocity)}
            note |= {"onset_second": onset / 2, "duration_second": length / 2, "bar": int(onset // 4)}
            notes.append(note | {"beat_in_bar": onset % 4})
    storage.write_bytes(layout.pieces(style), tables.to_bytes(pa.Table.from_pylist(pieces, tables.PIECES)))
    part = tables.to_bytes(pa.Table.from_pylist(notes, tables.NOTES))
    storage.write_bytes(layout.notes_part(style, hashlib.sha256(part).hexdigest()[:16]), part)
    return str(pieces[1]["piece_id"])


def add_run(storage: Storage, style: str, run: str, random: np.random.Generator, epochs: int, snapshots: int) -> None:
    """Write a run: its metrics, its recipe, and what each snapshot composed."""
    lines = []
    for epoch in range(1, epochs + 1):
        bits = 3.9 + 5 * math.exp(-epoch / 9) + 0.02 * random.normal()
        heldout = 4.5 + 4.6 * math.exp(-epoch / 8) + 0.02 * random.normal() + max(0, epoch - 50) * 0.004
        right = 0.5 - 0.4 * math.exp(-epoch / 9)
        line = {"epoch": epoch, "loss": bits * math.log(2), "val_loss": heldout * math.log(2), "accuracy": right}
        line |= {"val_accuracy": right - 0.04, "bits_per_note": bits, "val_bits_per_note": heldout, "broke_at": None}
        lines.append(line | {"grad_norm": 0.5, "learning_rate": 0.001, "seconds": 4.2, "notes_per_second": 12000.0})
    for line in lines:
        storage.append_json(layout.metrics(style, run), line, is_synced=False)
    storage.write_json(layout.run_recipe(style, run), {"network": {"layers": [256, 256]}, "seed": 2019})
    storage.write_json(layout.baseline(style, run), {"bits_per_note": 5.1, "order": 2})
    for epoch in snapshot_epochs(epochs, snapshots):
        take = {"epoch": epoch, "seed": 2019, "temperature": 1.0, "top_p": 0.95, "tempo_bpm": 112.0, "metre": "4/4"}
        samples = [{**sample(random), "stopped": number % 2 == 0} for number in range(N_SAMPLES)]
        measures = {"cov12": 0.001 * epoch, "loop_share": 0.3 / epoch, "longest": {"notes": 8, "piece": f"{1:016x}"}}
        kept = {**take, "samples": samples, "greedy": sample(random), "measures": measures}
        storage.write_json(layout.sample_notes(style, run, epoch), {**kept, "settings": "", "measures_version": 1})


def sample(random: np.random.Generator) -> dict[str, Any]:
    rows = melody(random, N_NOTES)
    notes = [[onset, length, int(pitch), int(velocity)] for onset, length, pitch, velocity in rows.tolist()]
    return {"notes": notes, "beat_in_bar": [row[0] % 4 for row in notes]}


def snapshot_epochs(epochs: int, snapshots: int) -> list[int]:
    return sorted({round(1 + index * (epochs - 1) / max(snapshots - 1, 1)) for index in range(snapshots)})


def entry(
    storage: Storage,
    style: str,
    run: str,
    random: np.random.Generator,
    epochs: int,
    snapshots: int,
    piece: str,
    network: dict[str, Any],
) -> dict[str, Any]:
    """Return a style's entry of the catalog, as the publish stage makes it."""
    encoding = Encoding()
    shapes = weight_shapes(network, encoding)
    weights = {name: random.normal(size=shape).astype(np.float32) * 0.3 for name, shape in shapes.items()}
    sampled = snapshot_epochs(epochs, snapshots)
    pick = sampled[len(sampled) // 2]
    candidates = [
        {"epoch": epoch, "loss": 3.1, "val_loss": 3.3, "accuracy": 0.4, "distinct4": 0.7, "cov12": 0.001 * epoch}
        | {"loop_share": 0.3 / epoch, "looping": epoch < 6, "copying": False, "safe": True, "passes": epoch >= 6}
        for epoch in sampled
    ]
    human = {"cov12": [0.04, 0.1], "loop_share": [0.08, 0.2], "pieces": N_PIECES, "weak": False}
    verdict: dict[str, Any] = {"epoch": pick, "verdict": "healthy", "fit": True, "provisional": False, "flags": []}
    verdict |= {"plateau": {"first": pick - 4, "flat": pick + 8}, "blow_up": None, "repetition_ends": 6}
    verdict |= {"copying_begins": None, "confidence": 0.8, "overruled_by": None, "human": human}
    verdict |= {"reason": f"Epoch {pick} is the pick. The curve has levelled off.", "candidates": candidates}
    storage.write_json(layout.verdict(style, run), {"style": style, **verdict})
    quality = {"val_bits_per_note": 4.5 + 0.1 * random.normal(), "ngram_bits_per_note": 5.1, "repetition": 0.04}
    quality |= {"repetition_human": [0.08, 0.2], "copied": 0.03, "copied_human": [0.04, 0.1], "validity": 1.0}
    quality |= {"longest_copy": {"notes": 11, "piece": piece, "bar": 3, "sample": 1, "sample_start": 40, "view": "top"}}
    source = {"source": f"folder: music/{style}", "licence": "CC0-1.0", "attribution": "nobody", "url": ""}
    corpus = {"pieces": N_PIECES, "notes": N_PIECES * N_NOTES, "hours": 0.5, "rejected": 3, "sources": [source]}
    lineage = {
        "recipe": "compact",
        "seed": 2019,
        "epoch": pick,
        "code_version": "0",
        "library_versions": {},
        "run": run,
    }
    card = {"style": style, "title": style, "licence": "CC0-1.0"}
    keys = []
    for number in range(1, N_SAMPLES + 1):
        keys.append(layout.sample_midi(style, run, number))
        storage.write_bytes(keys[-1], b"MThd")
    return {
        "style": style,
        "title": f"Style number {style[-3:]}",
        "run": run,
        "files": model_files(weights, network, encoding, card),
        "network": {"kind": "lstm", "units": [16], "weights": int(sum(one.size for one in weights.values()))},
        "verdict": verdict,
        "quality": quality,
        "precision_loss": {"int8": {"bytes": 9000, "val_bits_per_note": 4.52, "delta": 0.01}},
        "corpus": {**corpus, "manifest_sha256": "0" * 64},
        "licence": "CC0-1.0",
        "lineage": {**lineage, "split_sha256": "0" * 64},
        "cost": {"seconds": 180.0, "attempts": 1, "device": "made"},
        "samples": keys,
        "compared": None,
    }


def add_heat(storage: Storage) -> None:
    """Write what every model makes of every style's music, as if it had been measured: the own model best."""
    random = np.random.default_rng(0)
    hashes = {model["style"]: model["files"][0]["sha256"] for model in (current(storage) or {})["models"]}
    for style, sha256 in hashes.items():
        pairs = [
            [sha256, f"corpus of {corpus}", round(4.2 if corpus == style else float(random.uniform(4.18, 9)), 4)]
            for corpus in hashes
        ]
        told = {"corpus": f"corpus of {style}", "pieces": 3, "notes": 384}
        storage.write_json(layout.heat(style), {**told, "bits": pairs})


def add_attempts(storage: Storage, style: str) -> None:
    for stage in ("read", "baseline", "train", "judge", "publish"):
        for outcome in ("started", "done"):
            line = {"style": style, "stage": stage, "recipe": "", "outcome": outcome, "message": "", "seconds": 20.0}
            storage.append_json(layout.ATTEMPTS, {**line, "time": round(time.time(), 3)}, is_synced=False)
