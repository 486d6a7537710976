"""What two runs are compared by, as a script for each style: the page that compares them loads the scripts it needs.

Conventions
-----------
A page that was opened from a file manager may read no file beside it, but may run a script: so each style's curves,
measures and samples lie in `data/<name>.js`, which calls `compared(name, runs)` with JSON. A style has one run for each
recipe that was judged, the published one first; bits are those of held-out music. NaN becomes null.
"""

import math
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from farm import layout
from farm.errors import StorageError
from farm.storage import Storage
from farm.website.evidence import (
    RUN_NAME,
    Evidence,
    History,
    Take,
    read_history,
    read_take,
    records,
    sampled_epochs,
    section,
)
from farm.website.listening import asked
from farm.website.text import number, script_data, visible, whole
from farm.website.wording import human, model_file, page_name, title_of, verdict_mark

MOST_SAMPLES = 4
MOST_NOTES = 600  # of a sample
MOST_EPOCHS = 500  # of a curve; of a longer one every second epoch is told, or every third, and so on
_DIGITS = 3


def data_name(style: str) -> str:
    """Return the name of a style's script and of its runs in the address of the page; never a path."""
    return page_name(style).removesuffix(".html")


def data_script(style: Evidence, runs: Sequence[dict[str, Any]]) -> bytes:
    """Return the script that tells the page of a style's runs."""
    return f"compared({script_data(data_name(style.style))}, {script_data(list(runs))});\n".encode()


def runs_of(storage: Storage, style: Evidence) -> list[dict[str, Any]]:
    """Return the runs of a style as the page takes them; empty for a style without any curve."""
    found = [_published(storage, style)] if style.history.epochs else []
    for row in records(style.model.get("recipes")):
        run = str(row.get("run") or "")
        if row.get("chosen") is not True and RUN_NAME.fullmatch(run) and run != style.model.get("run"):
            found += _other(storage, style, run, row)
    return found


def _published(storage: Storage, style: Evidence) -> dict[str, Any]:
    """Return the run whose curve the style's page shows, with the measures of its catalog entry."""
    model, verdict = style.model, section(style.model.get("verdict"))
    quality, epoch = section(model.get("quality")), style.pick if model else None
    longest = section(quality.get("longest_copy"))
    measures = {
        "bits": number(quality.get("val_bits_per_note")),
        "ngram": number(quality.get("ngram_bits_per_note")),
        "copied": number(quality.get("copied")),
        "copied_human": human(quality.get("copied_human")),
        "repetition": number(quality.get("repetition")),
        "repetition_human": human(quality.get("repetition_human")),
        "validity": number(quality.get("validity")),
        "longest": whole(longest.get("notes")),
        "bytes": number(model_file(model).get("bytes")),
        "seconds": number(section(model.get("cost")).get("seconds")),
    }
    recipe = str(section(model.get("lineage")).get("recipe") or "")
    take = _nearest(style.takes, epoch)
    return _run(style, recipe, verdict if model else {}, epoch, style.history, measures, take)


def _other(storage: Storage, style: Evidence, run: str, row: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the run of a recipe that was not published; nothing where its files are gone or cannot be read."""
    history = read_history(storage.read_lines(layout.metrics(style.style, run)))
    if not history.epochs:
        return []
    epoch, measures, take = whole(row.get("epoch")), _row_measures(row), None
    verdict, baseline = (_read(storage, key(style.style, run)) for key in (layout.verdict, layout.baseline))
    level = section(verdict.get("human"))
    measures |= {"copied_human": human(level.get("cov12")), "repetition_human": human(level.get("loop_share"))}
    measures["ngram"] = number(baseline.get("bits_per_note"))
    sampled = sampled_epochs(storage, style.style, run)
    if sampled:
        near = min(sampled, key=lambda one: (abs(one - (epoch or sampled[-1])), one))
        kept = _read(storage, layout.sample_notes(style.style, run, near))
        found = section(kept.get("measures")) if near == epoch else {}
        measures |= {"copied": number(found.get("cov12")), "repetition": number(found.get("loop_share"))}
        measures["longest"] = whole(section(found.get("longest")).get("notes"))
        with suppress(TypeError, ValueError):  # samples that cannot be shown
            take = read_take(kept, near)
    return [_run(style, str(row.get("recipe") or ""), verdict or row, epoch, history, measures, take)]


def _read(storage: Storage, key: str) -> dict[str, Any]:
    """Return a file's JSON object; empty where it is gone or none, for what can be read of the run is shown."""
    try:
        return section(storage.read_json(key))
    except StorageError:
        return {}


def _row_measures(row: dict[str, Any]) -> dict[str, Any]:
    sizes = [found for value in section(row.get("bytes")).values() if (found := number(value)) is not None]
    empty = ("ngram", "copied", "copied_human", "repetition", "repetition_human", "validity", "longest")
    measures: dict[str, Any] = dict.fromkeys(empty)
    measures |= {"bits": number(row.get("val_bits_per_note")), "seconds": number(row.get("seconds"))}
    return measures | {"bytes": max(sizes, default=None)}


def _run(
    style: Evidence,
    recipe: str,
    verdict: dict[str, Any],
    epoch: int | None,
    history: History,
    measures: dict[str, Any],
    take: Take | None,
) -> dict[str, Any]:
    """Return one run as JSON; every text is made visible here, for the page sets it as it is."""
    every = max(1, math.ceil(len(history.epochs) / MOST_EPOCHS))
    mark, plateau = verdict_mark(verdict), section(verdict.get("plateau"))
    return {
        "title": visible(title_of(style)),
        "recipe": visible(recipe),
        "verdict": visible(mark.word),
        "tone": mark.tone,
        "epoch": epoch,
        "plateau": [whole(plateau.get("first")), whole(plateau.get("flat"))],
        "epochs": history.epochs[::every],
        "train": _numbers(history.bits[::every]),
        "heldout": _numbers(history.heldout_bits[::every]),
        "quality": {name: None if value is None else round(value, 5) for name, value in measures.items()},
        "take": None if take is None else _take(take),
    }


def _take(take: Take) -> dict[str, Any]:
    samples = [
        {
            "stopped": sample.stopped,
            "notes": [
                [round(onset, _DIGITS), round(length, _DIGITS), pitch, velocity]
                for onset, length, pitch, velocity in sample.notes[:MOST_NOTES]
            ],
        }
        for sample in take.samples[:MOST_SAMPLES]
    ]
    told = {"epoch": take.epoch, "seed": take.seed, "temperature": take.temperature, "top_p": take.top_p}
    return {**told, "asked": visible(asked(take)), "bpm": take.tempo_bpm, "metre": take.metre, "samples": samples}


def _numbers(values: Sequence[float]) -> list[float | None]:
    return [round(value, _DIGITS) if math.isfinite(value) else None for value in values]


def _nearest(takes: Sequence[Take], epoch: int | None) -> Take | None:
    """Return what the snapshot nearest to the pick composed; without a pick the last."""
    if not takes:
        return None
    return takes[-1] if epoch is None else min(takes, key=lambda take: (abs(take.epoch - epoch), take.epoch))
