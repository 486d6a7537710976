"""A small farm of invented music with a catalog, to be reported on; and the report's pages as a browser reads them."""

import hashlib
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from farm import layout
from farm.corpus import tables
from farm.storage import Storage

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u202egnp.\u0007\u200b</title>"


def compose(rng: np.random.Generator, n_notes: int, wander: float) -> list[list[float]]:
    """Return a melody over broken chords; the more `wander`, the less it keeps to its key."""
    scale = np.array([0, 2, 4, 5, 7, 9, 11])
    notes: list[list[float]] = []
    beat, degree = 0.0, 7
    while len(notes) < n_notes:
        if beat % 4 == 0:
            root = int(rng.choice([0, 3, 4, 5]))
            notes += [[beat, 3.5, int(48 + scale[(root + step) % 7]), int(rng.integers(40, 60))] for step in (0, 2, 4)]
        degree = int(np.clip(degree + rng.integers(-2, 3), 2, 14))
        pitch = 60 + 12 * (degree // 7) + scale[degree % 7] + (rng.integers(-6, 7) if rng.random() < wander else 0)
        length = float(rng.choice([0.5, 0.5, 1.0, 1.5]))
        notes.append([beat, length, int(pitch), int(rng.integers(60, 110))])
        beat = min(beat + length, (beat // 4 + 1) * 4)
    return sorted(notes[:n_notes])


def add_run(
    storage: Storage, style: str, run: str, n_epochs: int, sampled: list[int], breaks: int | None = None
) -> None:
    rng = np.random.default_rng(len(style) + n_epochs)
    for epoch in range(1, n_epochs + 1):
        bits = 4.1 + 5 * math.exp(-epoch / 7) + 0.02 * rng.normal()
        heldout = 4.6 + 4.6 * math.exp(-epoch / 6) + 0.03 * rng.normal() + max(0, epoch - 25) * 0.006
        if breaks and epoch >= breaks:
            bits, heldout = bits + 3 + (epoch - breaks), heldout + 4 + 2 * (epoch - breaks)
        accuracy = 0.52 - 0.4 * math.exp(-epoch / 7)
        line = {
            "epoch": epoch,
            "loss": bits * math.log(2),
            "accuracy": accuracy,
            "val_loss": heldout * math.log(2),
            "val_accuracy": accuracy - 0.04,
            "bits_per_note": bits,
            "val_bits_per_note": heldout,
        }
        storage.append_json(layout.metrics(style, run), line)
    for epoch in sampled:
        take = {
            "epoch": epoch,
            "seed": 7,
            "temperature": 1.0,
            "top_p": 0.95,
            "tempo_bpm": 96,
            "metre": "4/4",
            "samples": [
                {"notes": compose(np.random.default_rng(index), 200, 3 / (epoch + 2)), "stopped": index % 2 == 0}
                for index in range(4)
            ],
            "measures": {},
        }
        storage.write_json(layout.sample_notes(style, run, epoch), take)
    storage.write_json(layout.run_recipe(style, run), {"network": {"kind": "lstm", "layers": [256, 256]}, "seed": 2019})


def add_pieces(storage: Storage, style: str, states: dict[str, int], path: str = "tunes/number-{}.mid") -> None:
    rows: list[dict[str, Any]] = []
    for state, n_pieces in states.items():
        for index in range(n_pieces):
            row: dict[str, Any] = dict.fromkeys(tables.PIECES.names)
            row |= {"style": style, "source": f"folder: music/{style}", "state": state, "path": path.format(len(rows))}
            row["piece_id"] = f"{style}-{len(rows)}"
            if state == "read":
                row |= {
                    "notes": 250 + index,
                    "duration_seconds": 41.5,
                    "key": ["G major", "e minor", "D major"][index % 3],
                }
                row |= {"time_signature": "4/4", "split": "heldout" if index % 10 == 0 else "train"}
            else:
                row["reason"] = {"rejected": "no header: the file is HTML", "skipped": "fewer than 16 notes"}.get(state)
            rows.append(row)
    write_pieces(storage, style, rows)


def write_pieces(storage: Storage, style: str, rows: list[dict[str, Any]], schema: pa.Schema = tables.PIECES) -> None:
    storage.write_bytes(layout.pieces(style), tables.to_bytes(pa.Table.from_pylist(rows, schema)))


def model(storage: Storage, style: str, run: str, **changed: Any) -> dict[str, Any]:
    data = f"weights of {style}".encode() * 60_000
    sha256 = hashlib.sha256(data).hexdigest()
    key = layout.model_object(sha256, f"{style}-1.farm.safetensors")
    storage.write_bytes(key, data)
    return {
        "style": style,
        "title": style.capitalize(),
        "version": 1,
        "run": run,
        "status": "candidate",
        "files": [
            {
                "path": key,
                "role": "model",
                "precision": "float16",
                "bytes": len(data),
                "sha256": sha256,
                "weights_sha256": sha256,
            }
        ],
        "network": {"kind": "lstm", "units": [256, 256], "weights": 1_203_456},
        "verdict": {
            "epoch": 22,
            "verdict": "healthy",
            "provisional": False,
            "plateau": {"first": 14, "flat": 30},
            "blow_up": None,
            "repetition_ends": 8,
            "copying_begins": None,
            "confidence": 0.86,
            "reason": "Epoch 22: held-out music costs 4.71 bits a note and has levelled off since epoch 14. "
            "The samples stopped looping at epoch 8 and do not copy.",
            "flags": ["spike@4", "something-new"],
            "candidates": [
                {"epoch": epoch, "val_loss": 3.3, "distinct4": 0.7, "cov12": 0.001 * epoch, "looping": epoch < 8}
                | {"longest": {"notes": 5}, "safe": True, "passes": epoch >= 8}
                for epoch in (2, 8, 14, 22, 30, 40)
            ],
        },
        "quality": {
            "val_bits_per_note": 4.71,
            "ngram_bits_per_note": 5.15,
            "repetition": 0.06,
            "repetition_human": 0.08,
            "copied": 0.031,
            "copied_human": 0.042,
            "longest_copy": {"notes": 11, "piece": f"{style}-3", "bar": 12},
            "validity": 1.0,
        },
        "corpus": {
            "pieces": 30,
            "notes": 7900,
            "hours": 0.4,
            "rejected": 2,
            "sources": [
                {"licence": "CC-BY-4.0", "attribution": "A careful editor", "url": "https://example.org/tunes"}
            ],
        },
        "licence": "CC-BY-4.0",
        "lineage": {"recipe": "compact", "seed": 2019, "versions": {"numpy": "2.4"}},
        "cost": {"seconds": 251, "attempts": 1, "device": "cpu, 1 thread"},
        "samples": [],
        "decisions": [],
    } | changed


def publish(storage: Storage, number: int, models: list[dict[str, Any]], failures: list[dict[str, Any]]) -> None:
    catalog = {
        "schema": 1,
        "number": number,
        "generated_by": {"farm": "0.1.0", "numpy": "2.4"},
        "models": models,
        "failures": failures,
    }
    storage.write_json(layout.catalog_numbered(number), catalog)
    storage.write_text(layout.CURRENT, f"catalog-{number}.json 00ff\n")


def make_farm(root: Path) -> Storage:
    """Return a farm of four styles: one to listen to, one approved, one that blew up and one that failed."""
    storage = Storage(root)
    add_run(storage, "chorales", "1f2e", 40, [1, 2, 3, 5, 8, 14, 22, 30, 40])
    for number in (1, 2, 3, 4):
        storage.write_bytes(layout.sample_midi("chorales", "1f2e", number), b"MThd")
    add_pieces(storage, "chorales", {"read": 30, "duplicate": 4, "rejected": 2, "skipped": 1})
    add_run(storage, "reels", "2a2a", 40, [2, 22, 40])
    add_pieces(storage, "reels", {"read": 12})
    add_run(storage, "nocturnes", "3b3b", 40, [1, 5, 9, 30], breaks=12)
    add_pieces(storage, "nocturnes", {"read": 9, "rejected": 1})
    add_pieces(storage, "own", {"rejected": 3})
    decided = [{"time": "2026-11-02T10:00:00Z", "status": "approved", "epoch": 22, "why": "sounds like a session"}]
    broke: dict[str, Any] = {
        "epoch": None,
        "verdict": "blew-up",
        "blow_up": 12,
        "plateau": {"first": None, "flat": None},
        "confidence": 0.9,
        "reason": "Training broke at epoch 12, before the curve had levelled off, and did not recover. "
        "Lower training.learning_rate and run again.",
        "candidates": [],
    }
    models = [
        model(storage, "chorales", "1f2e", title="Bach chorales"),
        model(storage, "reels", "2a2a", status="approved", decisions=decided),
        model(storage, "nocturnes", "3b3b", verdict=broke, licence="unknown", quality={"ngram_bits_per_note": 8.1}),
    ]
    failures = [{"style": "own", "stage": "read", "message": "own: none of its 3 files could be read\n  no header: 3"}]
    publish(storage, 1, models, failures)
    return storage


def page(storage: Storage, name: str) -> str:
    return storage.read_bytes(f"{layout.SITE}/{name}").decode()


class Reader(HTMLParser):
    """Collects what a browser would see of a page: tags, links, loose handlers, text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "br", "input", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def values(self, attribute: str) -> list[str]:
        return [attrs[attribute] or "" for _, attrs in self.tags if attribute in attrs]


def words(html: str) -> str:
    """Return a page's text, that of its pictures with it."""
    return " ".join(" ".join(Reader(html).words).split())


def check_inert(html: str, name: str = "page") -> None:
    """Check that nothing of `HOSTILE` became a tag, and that nothing invisible of it is left."""
    for tag, attributes in Reader(html).tags:
        assert tag != "img" or (attributes.get("src") or "").startswith("../pictures/"), name
        assert not [attribute for attribute in attributes if attribute.startswith("on")], name
    assert not re.search("[\u202e\u0007\u200b]", html), name


def all_pages(storage: Storage) -> dict[str, str]:
    keys = [f"{layout.SITE}/index.html", *storage.list(f"{layout.SITE}/styles")]
    return {key: storage.read_bytes(key).decode() for key in keys}
