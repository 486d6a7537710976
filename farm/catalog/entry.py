"""What an entry of the catalog must say before its model is published.

Conventions
-----------
An *entry* is one model of the catalog as a dict, with the keys of the contract. Before publishing its `files`
hold `role`, `precision`, `weights_sha256` and the bytes as `data`; after it `path`, `bytes` and `sha256` instead
of `data`. `status`, `version` and `decisions` are the catalog's to fill in. Besides the contract an entry names
its `run`, and may hold `priority` and `max_bytes` of its style, and `recipes`: a row for each recipe that was trained,
with what it came to and why it is published or not. `compared` says how it stands against the version that ships
(`farm.catalog.compared`), null where none does. A source that only the base heard has `from: base`.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from farm.catalog.model_file import NAME, model_name

UNKNOWN = "unknown"

_REQUIRED: dict[str, tuple[str, ...] | None] = {
    "style": None,
    "title": None,
    "run": None,
    "files": None,
    "network": ("kind", "units", "weights"),
    "verdict": ("epoch", "verdict", "reason", "fit"),
    "quality": (
        "val_bits_per_note",
        "ngram_bits_per_note",
        "repetition",
        "repetition_human",
        "copied",
        "copied_human",
        "longest_copy",
        "validity",
    ),
    "precision_loss": (),
    "compared": (),
    "corpus": ("pieces", "notes", "hours", "rejected", "manifest_sha256", "sources"),
    "licence": None,
    "lineage": ("recipe", "seed", "code_version", "library_versions", "split_sha256"),
    "cost": ("seconds", "attempts", "device"),
    "samples": None,
}
"""Fields, and the keys of those that are sections."""
_SOURCE = ("licence", "attribution", "url")
_FILE = ("role", "precision", "weights_sha256", "data")

# Null says something here: nothing fit, no human reference, nothing copied, no held-out note, nothing that ships.
_MAY_BE_NULL = {
    "compared",
    "verdict.epoch",
    "quality.ngram_bits_per_note",
    "quality.repetition_human",
    "quality.copied_human",
    "quality.longest_copy",
}
_MAY_BE_EMPTY = {"samples", "precision_loss"}


def missing(entry: Mapping[str, Any]) -> list[str]:
    """Return what an entry does not say or says wrongly, by the field's dotted name; empty when it is complete."""
    problems = []
    for name, keys in _REQUIRED.items():
        value = entry.get(name)
        if name in entry and value is None and name in _MAY_BE_NULL:
            continue
        if value is None or (value in ("", [], {}) and name not in _MAY_BE_EMPTY):
            problems.append(f"{name} is missing")
        elif keys is not None and not isinstance(value, Mapping):
            problems.append(f"{name} is no section")
        elif keys is not None:
            problems += [f"{name}.{key} is missing" for key in keys if _lacks(value, key, f"{name}.{key}")]
    if problems:
        return problems
    if not NAME.fullmatch(model_name(str(entry["style"]), 1)):
        problems.append("style is no name of a style")
    for number, source in enumerate(entry["corpus"]["sources"]):
        problems += [f"corpus.sources.{number}.{key} is missing" for key in _SOURCE if source.get(key) is None]
    for number, file in enumerate(entry["files"]):
        problems += [f"files.{number}.{key} is missing" for key in _FILE if not file.get(key)]
    if len({file.get("precision") for file in entry["files"]}) < len(entry["files"]):
        problems.append("files name a precision twice")
    return problems + [f"{where} is not finite" for where in _not_finite({**entry, "files": []})]


def is_fit(entry: Mapping[str, Any]) -> bool:
    """Return whether the verdict lets the model ship without being overruled."""
    return bool(entry["verdict"].get("fit"))


def epoch_of(entry: Mapping[str, Any]) -> int | None:
    """Return the epoch whose weights are published: the overruling one, else the verdict's."""
    overruled = entry["verdict"].get("overruled_by")
    return overruled.get("epoch") if isinstance(overruled, Mapping) else entry["verdict"].get("epoch")


def unknown_licences(entry: Mapping[str, Any]) -> list[str]:
    """Return the sources, or 'the model', whose licence nobody knows; empty when all are known."""
    sources = entry["corpus"]["sources"]
    names = [
        str(source.get("source") or source.get("attribution") or source.get("url") or f"source {number}")
        for number, source in enumerate(sources, start=1)
        if is_unknown(source.get("licence"))
    ]
    return names or (["the model"] if is_unknown(entry.get("licence")) else [])


def strictest(licences: Sequence[str]) -> str:
    """Return the licence of a model made of all of these: unknown when any is, else all that differ, joined.

    Examples
    --------
    >>> strictest(["CC0-1.0", "unknown"]), strictest(["CC0-1.0", "CC0-1.0", "CC-BY-4.0"])
    ('unknown', 'CC0-1.0 AND CC-BY-4.0')
    """
    if any(is_unknown(licence) for licence in licences):
        return UNKNOWN
    return " AND ".join(dict.fromkeys(licence.strip() for licence in licences))


def is_unknown(licence: Any) -> bool:
    """Tell whether nobody knows a licence: it is missing, empty or 'unknown'."""
    return not str(licence or "").strip() or str(licence).strip().lower() == UNKNOWN


def _lacks(section: Mapping[str, Any], key: str, name: str) -> bool:
    return key not in section or (section[key] is None and name not in _MAY_BE_NULL)


def _not_finite(value: Any, where: str = "") -> Iterator[str]:
    """Yield the dotted names of numbers that JSON cannot hold."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _not_finite(part, f"{where}.{key}" if where else str(key))
    elif isinstance(value, list | tuple):
        for number, part in enumerate(value):
            yield from _not_finite(part, f"{where}.{number}")
    elif isinstance(value, float) and not math.isfinite(value):
        yield where
