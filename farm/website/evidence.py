"""What the report is made from: the current catalog, and for each style its curve, its samples and its pieces.

Conventions
-----------
Only files under the artifacts folder are read. Everything but the catalog may be missing, and then is empty
here; what is there but cannot be read becomes a sentence in `problems`, so that one spoilt file costs its own
paragraph and not the report. Missing numbers in a `History` are NaN. Epochs count from 1.
"""

import math
import re
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from farm import layout
from farm.config import STYLE_NAME
from farm.corpus.tables import read_pieces
from farm.errors import StorageError
from farm.storage import Storage
from farm.website.counts import Corpus, NoteCounts, count_pieces
from farm.website.text import number, whole

_CATALOG_NAME = re.compile(r"catalog-[0-9]+\.json")
RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SAMPLE_NAME = re.compile(r".*/epoch-([0-9]+)\.json")
_NATS = math.log(2)


@dataclass(frozen=True)
class History:
    """A training curve, one value per epoch in each tuple; bits per note and shares of right pitches."""

    epochs: tuple[int, ...] = ()
    bits: tuple[float, ...] = ()
    heldout_bits: tuple[float, ...] = ()
    accuracy: tuple[float, ...] = ()
    heldout_accuracy: tuple[float, ...] = ()


@dataclass(frozen=True)
class Sample:
    """One composed piece: rows of onset and duration in beats, pitch, velocity, ordered by onset."""

    notes: tuple[tuple[float, float, int, int], ...]
    stopped: bool


@dataclass(frozen=True)
class Take:
    """What one snapshot composed, and how it was asked to."""

    epoch: int
    seed: int | None
    temperature: float | None
    top_p: float | None
    tempo_bpm: float
    metre: str
    samples: tuple[Sample, ...]


@dataclass(frozen=True)
class Evidence:
    """Everything known about one style.

    `takes` are a few snapshots for every page, `snapshots` all that the style's own page lets hear. The verdict is the
    model's, or that of the run that failed.
    """

    style: str
    model: dict[str, Any]
    failure: dict[str, Any]
    verdict: dict[str, Any] = field(default_factory=dict)
    history: History = History()
    sampled_epochs: tuple[int, ...] = ()
    takes: tuple[Take, ...] = ()
    snapshots: tuple[Take, ...] = ()
    corpus: Corpus | None = None
    note_counts: NoteCounts | None = None
    recipe: dict[str, Any] = field(default_factory=dict)
    copied_from: str = ""
    problems: tuple[str, ...] = ()

    @property
    def pick(self) -> int | None:
        """The epoch that is published or would be: the one a person chose, else the rule's; None for none."""
        return whole(section(self.verdict.get("overruled_by")).get("epoch", self.verdict.get("epoch")))


def read_catalog(storage: Storage) -> dict[str, Any]:
    """Return the current catalog; empty when nothing was published yet.

    Raises
    ------
    StorageError
        When catalog/CURRENT names something that is no catalog, or the catalog is missing or no JSON.
    """
    if not storage.exists(layout.CURRENT):
        return {}
    words = storage.read_bytes(layout.CURRENT).decode("utf-8", "replace").split()
    if not words or not _CATALOG_NAME.fullmatch(words[0]):
        raise StorageError(f"{storage.address(layout.CURRENT)}: does not name a catalog; run 'farm run' again")
    catalog = storage.read_json(f"{layout.CATALOG}/{words[0]}")
    if not isinstance(catalog, dict):
        raise StorageError(f"{storage.address(layout.CATALOG)}/{words[0]}: is no catalog; run 'farm run' again")
    return catalog


def read_all(storage: Storage, catalog: dict[str, Any]) -> list[Evidence]:
    """Return the evidence of every style the catalog names, models first, in the catalog's order."""
    models = {str(model.get("style") or ""): model for model in records(catalog.get("models"))}
    failures = {str(failure.get("style") or ""): failure for failure in records(catalog.get("failures"))}
    return [
        read_evidence(storage, style, models.get(style, {}), failures.get(style, {}))
        for style in dict.fromkeys([*models, *failures])
    ]


def read_evidence(storage: Storage, style: str, model: dict[str, Any], failure: dict[str, Any]) -> Evidence:
    """Return what the run folders and tables hold about one style; names that are no paths lead nowhere."""
    found = Evidence(style, model, failure, section(model.get("verdict")))
    if not STYLE_NAME.fullmatch(style):
        return found
    found = _with_pieces(storage, found)
    run = run_of(found)
    return _with_run(storage, found, run) if RUN_NAME.fullmatch(run) else found


def run_of(found: Evidence) -> str:
    """Return the name of the run that a style's page shows; empty when none is told."""
    return str(found.model.get("run") or found.failure.get("run") or "")


def _with_pieces(storage: Storage, found: Evidence) -> Evidence:
    if not storage.exists(layout.pieces(found.style)):
        return found
    longest = section(section(found.model.get("quality")).get("longest_copy"))
    try:
        pieces = read_pieces(storage, found.style)
        copied_from = _path_of(storage, pieces, str(longest.get("piece") or ""))
        return replace(found, corpus=count_pieces(pieces), copied_from=copied_from)
    except (StorageError, OSError, ValueError, KeyError, TypeError) as error:  # a foreign or torn Parquet file
        problem = f"pieces table: cannot be read ({error}); run 'farm run' again"
        return replace(found, problems=(*found.problems, problem))


def _path_of(storage: Storage, own: pd.DataFrame, piece: str) -> str:
    """Return the path of a piece; what the base heard of another style is named `style/piece`. Empty when unknown."""
    style, _, name = piece.rpartition("/")
    if not style:
        return "".join(own.loc[own["piece_id"] == piece, "path"].head(1))
    if not STYLE_NAME.fullmatch(style) or not storage.exists(layout.pieces(style)):
        return ""
    others = read_pieces(storage, style)
    path = "".join(others.loc[others["piece_id"] == name, "path"].head(1))
    return f"{path} ({style})" if path else ""


def _with_run(storage: Storage, found: Evidence, run: str) -> Evidence:
    style, problems = found.style, list(found.problems)
    recipe: dict[str, Any] = {}
    try:
        if storage.exists(layout.run_recipe(style, run)):
            recipe = section(storage.read_json(layout.run_recipe(style, run)))
        if not found.model and storage.exists(layout.verdict(style, run)):
            verdict = section(storage.read_json(layout.verdict(style, run)))
            found = replace(found, verdict={name: value for name, value in verdict.items() if name != "metrics"})
    except StorageError as error:
        problems.append(str(error))
    sampled = sampled_epochs(storage, style, run)
    takes = []
    for epoch in take_epochs(sampled, found.pick):
        try:
            takes.append(read_take(storage.read_json(layout.sample_notes(style, run, epoch)), epoch))
        except (StorageError, TypeError, ValueError) as error:
            problems.append(f"samples of epoch {epoch}: cannot be shown ({error}); delete the file and run again")
    return replace(
        found,
        history=read_history(storage.read_lines(layout.metrics(style, run))),
        sampled_epochs=sampled,
        takes=tuple(takes),
        recipe=recipe,
        problems=tuple(problems),
    )


def sampled_epochs(storage: Storage, style: str, run: str) -> tuple[int, ...]:
    """Return the epochs whose snapshot was asked to compose, in order."""
    names = (_SAMPLE_NAME.fullmatch(key) for key in storage.list(layout.samples(style, run), ".json"))
    return tuple(sorted(int(name[1]) for name in names if name))


def take_epochs(sampled: tuple[int, ...], pick: int | None) -> list[int]:
    """Return the sampled epochs worth hearing side by side: the earliest, the pick (or nearest to it), the last.

    Without a pick: the earliest, the middle one, the last. No samples give none.
    """
    if not sampled:
        return []
    middle = sampled[len(sampled) // 2] if pick is None else min(sampled, key=lambda epoch: (abs(epoch - pick), epoch))
    return sorted({sampled[0], middle, sampled[-1]})


def read_history(lines: list[dict[str, Any]]) -> History:
    """Return the curve of a metrics file; the last line of an epoch counts, lines without an epoch do not."""
    last = {epoch: line for line in lines if (epoch := whole(line.get("epoch"))) is not None and epoch > 0}
    epochs = tuple(sorted(last))

    def column(name: str, nats: str = "") -> tuple[float, ...]:
        values = []
        for epoch in epochs:
            value, loss = number(last[epoch].get(name)), number(last[epoch].get(nats))
            values.append(value if value is not None else math.nan if loss is None else loss / _NATS)
        return tuple(values)

    bits, heldout = column("bits_per_note", "loss"), column("val_bits_per_note", "val_loss")
    return History(epochs, bits, heldout, column("accuracy"), column("val_accuracy"))


def read_take(data: Any, epoch: int) -> Take:
    """Return the samples of one snapshot from their JSON; ValueError or TypeError when it is not of that shape."""
    data = section(data)
    samples = []
    for item in records(data.get("samples")):
        rows = [(float(on), float(length), int(pitch), int(loud)) for on, length, pitch, loud in item.get("notes", [])]
        if not all(math.isfinite(row[0] + row[1]) and row[0] >= 0 and row[1] >= 0 for row in rows):
            raise ValueError("a note with an impossible time")
        if not all(0 <= row[2] <= 127 and 0 <= row[3] <= 127 for row in rows):
            raise ValueError("a note outside the range of MIDI")
        samples.append(Sample(tuple(sorted(rows)), item.get("stopped") is True))
    tempo, metre = number(data.get("tempo_bpm")), data.get("metre")
    return Take(
        epoch,
        whole(data.get("seed")),
        number(data.get("temperature")),
        number(data.get("top_p")),
        min(max(tempo, 20.0), 400.0) if tempo else 100.0,
        metre if isinstance(metre, str) else "",
        tuple(samples),
    )


def section(value: Any) -> dict[str, Any]:
    """Return a JSON object as it is, anything else as an empty one."""
    return value if isinstance(value, dict) else {}


def records(value: Any) -> list[dict[str, Any]]:
    """Return the objects of a JSON list; anything else is an empty list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
