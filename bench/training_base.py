"""A common base against none, on every style: held-out bits, time, and when the first snapshot is fit.

Two farms of the same folders, one with `base: none`, one with `base: all`, each run by `farm run --until judge` as a
person would run it: every training ends by the farm's own rule. Seconds of training are those of the clock, times
threads for the base; the two farms run one after the other, so the machine has to be quiet for them to compare.
"""

import argparse
import tempfile
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from statistics import median
from typing import Any

import yaml
from processes import run_farm

from farm import layout
from farm.scheduling.ledger import read_receipts
from farm.storage import Storage

LIMIT_SECONDS = 4 * 3600
FEW_PIECES, MANY_PIECES = 20, 30
FAULTS = ("looping", "copying", "too_random")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Farm the folders of `options.corpora` with and without a base; return what each style came to."""
    folders = sorted(folder for folder in options.corpora.iterdir() if folder.is_dir())
    with tempfile.TemporaryDirectory(prefix="farm-base-") as temporary:
        return _compared(folders, options.scratch or Path(temporary), options.recipe, max(options.threads))


def _compared(folders: Sequence[Path], scratch: Path, recipe: str, cpus: int) -> dict[str, Any]:
    farms = {}
    for base in ("none", "all"):
        styles = {one.name.lower(): {"sources": [{"folder": str(one.resolve())}]} for one in folders}
        config = scratch / f"{base}.yaml"
        config.write_text(yaml.safe_dump({"farm": 1, "recipe": recipe, "base": base, "styles": styles}))
        asked = ["run", config.name, "--artifacts", base, "--until", "judge", "--executor", "local"]
        done = run_farm([*asked, "--cpus", str(cpus)], scratch, LIMIT_SECONDS)
        farms[base] = {"seconds": round(done.seconds, 1), **_farmed(Storage(scratch / base), list(styles), recipe)}
    return {"recipe": recipe, "cpus": cpus, "farms": farms}


def _farmed(storage: Storage, styles: Sequence[str], recipe: str) -> dict[str, Any]:
    name = Path(recipe).stem
    base = read_receipts(storage, "base", (), ("base",)).get(f"base/{name}")
    threads = int(base["result"]["device"].rpartition(", ")[2].split()[0]) if base else 0
    rows = {style: _row(storage, style, name) for style in styles}
    own = sum(row["training_seconds"] for row in rows.values())
    facts = {"styles": rows, "training_cpu_seconds": round(own, 1), "base": None}
    if base:
        result = base["result"]
        seconds = result["seconds"] * threads
        told = {key: result[key] for key in ("epochs", "epoch", "pieces", "notes", "val_bits_per_note", "stopped")}
        facts["base"] = {**told, "seconds": result["seconds"], "threads": threads}
        facts["training_cpu_seconds"] = round(own + seconds, 1)
    return facts


def _row(storage: Storage, style: str, recipe: str) -> dict[str, Any]:
    receipts = read_receipts(storage, style, ("read", "baseline"), ("train", "judge"))
    trained, judged = (receipts[f"{stage}/{recipe}"]["result"] for stage in ("train", "judge"))
    read, run = receipts["read"]["result"], trained["run"]
    lines = {line["epoch"]: line for line in storage.read_lines(layout.metrics(style, run))}
    seconds = dict(zip(sorted(lines), accumulate(lines[epoch]["seconds"] for epoch in sorted(lines)), strict=True))
    candidates = storage.read_json(layout.verdict(style, run))["candidates"]
    fit = next((row["epoch"] for row in candidates if not any(row[name] for name in FAULTS)), None)
    epoch = judged["epoch"]
    return {
        "pieces": read["states"]["read"],
        "notes": read["notes"],
        "ngram_bits": round(receipts["baseline"]["result"]["bits_per_note"], 4),
        "best_bits": round(trained["best_val_bits_per_note"], 4),
        "picked_bits": None if epoch is None else round(lines[epoch]["val_bits_per_note"], 4),
        "epoch": epoch,
        "epochs": trained["epochs"],
        "stopped": trained["stopped"],
        "verdict": judged["verdict"],
        "weak_reference": trained["weak_reference"],
        "training_seconds": trained["seconds"],
        "first_fit_seconds": None if fit is None else round(seconds[fit], 1),
    }


def print_table(facts: dict[str, Any]) -> None:
    """Print both farms style by style, then what the base gained where."""
    alone, based = facts["farms"]["none"], facts["farms"]["all"]
    base = based["base"]
    print(
        f"base: {base['pieces']:,} pieces, {base['notes']:,} notes, {base['seconds'] / 60:.1f} min on "
        f"{base['threads']} threads, epoch {base['epoch']} of {base['epochs']}, {base['val_bits_per_note']:.2f} bits"
    )
    heads = f"{'n-gram':>8}{'alone':>8}{'base':>8}{'fewer':>7}{'epoch':>12}{'seconds':>14}{'first fit, s':>14}  verdict"
    print(f"{'style':<14}{'pieces':>7}{'notes':>9}{heads}")
    for style, one in alone["styles"].items():
        other = based["styles"][style]
        fits = " / ".join(_seconds(row["first_fit_seconds"]) for row in (one, other))
        epochs = " / ".join(str(row["epoch"] or "-") for row in (one, other))
        spent = f"{one['training_seconds']:.0f} / {other['training_seconds']:.0f}"
        verdicts = " / ".join(dict.fromkeys((one["verdict"], other["verdict"])))
        print(
            f"{style:<14}{one['pieces']:>7}{one['notes']:>9,}{one['ngram_bits']:>8.2f}{one['best_bits']:>8.2f}"
            f"{other['best_bits']:>8.2f}{_fewer(one, other):>7.0%}{epochs:>12}{spent:>14}{fits:>14}  {verdicts}"
        )
    few = [style for style, row in alone["styles"].items() if row["pieces"] < FEW_PIECES]
    gains = {style: _fewer(row, based["styles"][style]) for style, row in alone["styles"].items()}
    print(
        f"styles under {FEW_PIECES} pieces: {min(gains[style] for style in few):.0%} to "
        f"{max(gains[style] for style in few):.0%} fewer bits, median {median(gains[style] for style in few):.0%}"
    )
    worse = [style for style, gain in gains.items() if gain < 0]
    print(f"styles that are worse with the base: {', '.join(worse) or 'none'}")
    behind = {
        style: 1 - row["best_bits"] / row["ngram_bits"]
        for style, row in based["styles"].items()
        if row["pieces"] >= MANY_PIECES
    }
    told = ", ".join(f"{style} {share:.0%}" for style, share in behind.items())
    print(f"bits below the n-gram line, styles of {MANY_PIECES} pieces or more, with the base: {told}")
    print(
        f"time of training, of the clock times threads: {alone['training_cpu_seconds'] / 60:.0f} min alone, "
        f"{based['training_cpu_seconds'] / 60:.0f} min with the base; "
        f"the whole farm {alone['seconds'] / 60:.0f} and {based['seconds'] / 60:.0f} min"
    )


def _fewer(alone: dict[str, Any], based: dict[str, Any]) -> float:
    """Return the share of bits that the base saves a style."""
    return float(1 - based["best_bits"] / alone["best_bits"])


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.0f}"
