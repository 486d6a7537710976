"""What things are called on every page: a style's title and file, a verdict and a status as one word, a failure.

Conventions
-----------
A `Mark` is a word with a tone (good, warn, bad or none: never colour alone) and a rank for sorting, best first.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from farm.config import STYLE_NAME
from farm.website.evidence import Evidence, records
from farm.website.text import number, whole

_STATUSES = {
    "approved": ("good", 0),
    "shipped": ("good", 1),
    "candidate": ("", 2),
    "retired": ("", 3),
    "rejected": ("bad", 4),
}


# What verdict.json flags, in a sentence; '@' in a flag stands before the epoch.
_FLAGS = {
    "spike": "The loss leapt up at epoch {} and came back.",
    "recovered": "Training broke and had recovered by epoch {}.",
    "retried": "The loss broke at epoch {}; training went on from before it at a third of the learning rate.",
    "overfits-early": "Held-out music was predicted best at epoch {}, long before the pick.",
    "weak-reference": "There is too little music to know how much people repeat and quote; fixed limits were used.",
    "not-heard": "No samples were judged, only the curve.",
    "fixed-copy-levels": "Too few pieces to know how much people quote here; levels common to all styles were used.",
    "one-sample-copies": "One of the samples copies a long passage.",
    "sparse-snapshots": "Snapshots are far apart around the pick; a better one may lie between.",
}


@dataclass(frozen=True)
class Mark:
    """A word that judges."""

    word: str
    tone: str
    rank: int


def page_name(style: str) -> str:
    """Return the file name of a style's page; a name that is no style name becomes a hash, never a path."""
    if STYLE_NAME.fullmatch(style):
        return f"{style}.html"
    return f"style-{hashlib.sha256(style.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}.html"


def title_of(style: Evidence) -> str:
    """Return what to call a style: its title, else its name, else that it has none."""
    return str(style.model.get("title") or style.style or "a style without a name")


def seen_of(catalog: dict[str, Any], style: str) -> str:
    """Return what a style's page shows, as decisions name it: the hash of its model file, else the run that was heard.

    Empty where nothing of the style was ever heard.
    """
    model = next((one for one in records(catalog.get("models")) if one.get("style") == style), None)
    if model is not None:
        return str(model_file(model).get("sha256") or "")
    failure = next((one for one in records(catalog.get("failures")) if one.get("style") == style), {})
    return str(failure.get("run") or "")


def is_fit(verdict: dict[str, Any]) -> bool:
    """Return whether a verdict says that its epoch may ship; without the word, a healthy pick may."""
    fit = verdict.get("fit")
    healthy = str(verdict.get("verdict", "")).startswith("healthy")
    return whole(verdict.get("epoch")) is not None and (fit if isinstance(fit, bool) else healthy)


def verdict_mark(verdict: dict[str, Any]) -> Mark:
    """Return a verdict as one word: good when fit, warning when provisional, bad when nothing may ship."""
    word = str(verdict.get("verdict") or "not judged").replace("-", " ")
    if not verdict:
        return Mark(word, "", 3)
    if not is_fit(verdict):
        return Mark(word if not word.startswith("healthy") else f"{word}, not fit", "bad", 2)
    if verdict.get("provisional") is True:
        return Mark(f"{word}, provisional", "warn", 1)
    return Mark(word, "good", 0)


def flags(found: Any) -> tuple[str, ...]:
    """Return a verdict's flags as sentences; a flag without one stands as it is."""
    told = []
    for flag in found if isinstance(found, list) else []:
        name, _, epoch = str(flag).partition("@")
        told.append(_FLAGS[name].format(epoch) if name in _FLAGS else str(flag))
    return tuple(told)


def status_mark(model: dict[str, Any]) -> Mark:
    status = str(model.get("status") or "candidate")
    return Mark(status, *_STATUSES.get(status, ("warn", 5)))


def stage_of(failure: dict[str, Any]) -> str:
    """Return the stage at which a style failed: 'train', 'judge'; 'run' when the catalog does not say."""
    return str(failure.get("stage") or "run")


def message_lines(failure: dict[str, Any]) -> tuple[str, ...]:
    """Return a failure's message line by line; a missing one says so."""
    return tuple(str(failure.get("message") or "no message was left").splitlines())


def human(value: Any) -> float | None:
    """Return the level of people: a number, or the mean where a pair of mean and percentile is given."""
    return number(value[0] if isinstance(value, list) and value else value)


def model_file(model: dict[str, Any]) -> dict[str, Any]:
    """Return the file that stands for a model: the first whose role is 'model', else its first; empty if none."""
    files = records(model.get("files"))
    return next((file for file in files if file.get("role") == "model"), files[0] if files else {})
