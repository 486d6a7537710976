"""How far a farm at work is, in words: from the small files by which its workers tell it.

Conventions
-----------
What is told is worth a second at most. A page that says it says when: at the last style that was finished.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from farm import layout
from farm.config import BASE
from farm.errors import StorageError
from farm.storage import Storage
from farm.website.text import duration

WAITS = "was read"

_STAGES = {
    "read": "reading",
    "baseline": "counting n-grams",
    "judge": "judging",
    "publish": "publishing",
    BASE: "choosing what to hear",
}


@dataclass(frozen=True)
class AtWork:
    """What a farm was doing when it was looked at.

    Attributes
    ----------
    styles
        By style, how far it is; the recipe stands before where it is named.
    read
        Styles that were read and are not at work now: they wait, or are finished.
    base
        How far the common bases are.
    """

    styles: Mapping[str, str]
    read: tuple[str, ...] = ()
    base: tuple[str, ...] = ()


def describe(facts: Mapping[str, Any]) -> str:
    """Return the state of a stage in words, from what its worker told."""
    stage = facts.get("stage", "")
    if stage in ("train", BASE) and "epoch" in facts:
        left = f", {duration(facts['seconds_left'])} left at most" if facts.get("seconds_left") else ""
        loss, bits = facts.get("loss"), facts.get("val_bits_per_note")
        loss_text = f"loss {loss:.3f}" if loss is not None else "loss not finite"
        bits_text = f", held-out {bits:.2f} bits a note" if bits is not None else ""
        return f"epoch {facts['epoch']} of {facts['max_epochs']}, {loss_text}{bits_text}{left}"
    if stage == "read" and "done" in facts:
        rate = f", {facts['pieces_per_second']:.1f} pieces/s" if facts.get("pieces_per_second") else ""
        return f"reading batch {facts['done']} of {facts['total']} ({facts['files']} files){rate}"
    if stage == "judge" and "done" in facts:
        return f"listening to snapshot {facts['done']} of {facts['total']}"
    return _STAGES.get(stage, stage)


def read_at_work(storage: Storage) -> AtWork:
    """Return what the workers of a farm last told, and which styles were read beside."""
    told: dict[str, list[str]] = {}
    for key in storage.walk(layout.PROGRESS):
        try:
            facts = storage.read_json(key)
            style, recipe = str(facts["style"]), str(facts.get("recipe") or "")
            words = _failed(facts["failed"]) if facts.get("failed") else describe(facts)
        except (StorageError, KeyError, TypeError, ValueError, AttributeError):
            continue  # gone since it was listed, or no such file
        named = f"{recipe}: {words}" if recipe and facts.get("stage") != "publish" else words
        told.setdefault(style, []).append(named)
    read = [key.rpartition("/")[2].removesuffix(".parquet") for key in storage.list(layout.PIECES, ".parquet")]
    base = tuple(told.pop(BASE, ()))
    styles = {style: "; ".join(words) for style, words in sorted(told.items())}
    return AtWork(styles, tuple(style for style in read if style not in styles), base)


def _failed(message: Any) -> str:
    lines = str(message).strip().splitlines()
    return f"failed: {lines[-1]}" if lines else "failed"
