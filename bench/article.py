"""How long until a network composes music that neither loops nor copies: ours against the original program's recipe.

    python bench/article.py FOLDER FOLDER ... [--minutes N] [--recipes compact quick] [--json FILE] [--scratch DIR]

Every folder of music is a style. Each recipe trains it in a process of its own with one thread, one after the other,
the original (`jobs/article.yaml`) for at most so many minutes. Then every snapshot composes and is measured by the
farm's own judge. A snapshot is fit when the judge finds its samples not looping, not copying and not too random, and
when their different runs of four tokens are not below the rule's floor (`loop_distinct4`): the candidate's `passes`,
whatever the training curve says. Pieces are composed as each program composes them: ours are drawn, the original takes
the likeliest token always; its snapshots are asked for drawn pieces too, in a column of their own. What the original
composes is held against the music as it hears it, in pitch tokens without rhythm: it is not blamed for that loss, nor
does it hide copies. But so heard, notes drawn at random are hard to tell from music, so that column flatters it.

Seconds are those of the epochs up to the snapshot, compiling included; starting, reading and judging are not counted.
Prints tables and writes JSON after every style; styles measured before on the same machine with the same limit stay.
"""

import argparse
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Collection
from itertools import accumulate
from pathlib import Path
from typing import Any

import machine
import yaml

from farm import layout
from farm.config import Recipe, Samples
from farm.music.features import Features
from farm.scheduling.judging import bits_of, people_of
from farm.scheduling.kinds import compose_samples, fit_of, heard
from farm.selection.measures import snapshot_measures
from farm.selection.originality import Index
from farm.selection.verdict import judge
from farm.storage import Storage
from farm.training import snapshots
from farm.training.loading import Music, load_music

ROOT = Path(__file__).resolve().parent.parent
FARM = str(Path(sys.executable).with_name("farm"))
ORIGINAL = "article"
DRAWN = "article, drawn"
SEED = 2019
START_SECONDS = 60  # for libraries and data, before a training that does not end by itself is ended
FAULTS = ("looping", "copying", "too_random", "stuck")
COLUMNS = (
    ("loop_share", "in loops", 10, ".0%"),
    ("distinct4", "distinct", 10, ".2f"),
    ("lcs_mean", "longest copy", 14, ".1f"),
    ("known2", "known", 8, ".0%"),
)
SHOWN = ("loop_share", "distinct4", "greedy_distinct4", "lcs_mean", "cov12", "known2")


def train(root: Path, style: str, recipe: Recipe) -> None:
    """Train one recipe on one style, in a process of its own."""
    storage = Storage(root)
    music = load_music(storage, style)
    features = Features(music.encoding)
    fit_of(recipe)(
        storage,
        style,
        recipe.name,
        train=features.told(music.events("train")),
        heldout=features.told(music.events("heldout")),
        encoding=music.encoding,
        recipe=recipe,
        seed=SEED,
        n_threads=1,
    )


def timed_training(root: Path, style: str, recipe: Recipe) -> dict[str, float]:
    """Train until the recipe's limit, or end it soon after; return how much of a core it got."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    load = os.getloadavg()[0]
    child = multiprocessing.get_context("spawn").Process(target=train, args=(root, style, recipe))
    child.start()
    child.join(recipe.training.max_minutes * 60 + START_SECONDS)
    is_ended = child.is_alive()
    if is_ended:
        child.terminate()
        child.join()
    elif child.exitcode != 0:
        raise SystemExit(f"{style}: training {recipe.name} ended with {child.exitcode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"cpu_seconds": round(spent, 1), "load_before": round(load, 2), "ended_from_outside": is_ended}


def measure(storage: Storage, style: str, music: Music, recipe: Recipe, samples: Samples) -> dict[str, Any]:
    """Judge every snapshot that a run left within its limit; return when the first was fit, and the best one."""
    lines = {line["epoch"]: line for line in storage.read_lines(layout.metrics(style, recipe.name))}
    metrics = [lines[epoch] for epoch in sorted(lines)]
    seconds = dict(zip(sorted(lines), accumulate(line["seconds"] for line in metrics), strict=True))
    in_time = [epoch for epoch, at in seconds.items() if at <= recipe.training.max_minutes * 60]
    judged = recipe.model_copy(update={"samples": samples})
    human, measured = listen(storage, style, music, judged, in_time)
    verdict = judge(metrics, measured, human, recipe.selection, style, seed=SEED) if measured else {"candidates": []}
    rows = [{**row, "stuck": row["distinct4"] < recipe.selection.loop_distinct4} for row in verdict["candidates"]]
    faults = {row["epoch"]: [name for name in FAULTS if row[name]] for row in rows}
    fit = next((row for row in rows if not faults[row["epoch"]]), None)
    best = fit or min(rows, key=lambda row: (len(faults[row["epoch"]]), row["val_loss"]), default=None)
    return {
        "epochs": len(metrics),
        "training_seconds": round(sum(line["seconds"] for line in metrics), 1),
        "notes_per_second": round(metrics[-1]["notes_per_second"]) if metrics else None,
        "picked_epoch": verdict.get("epoch"),
        "picked_seconds": verdict.get("epoch") and round(seconds[verdict["epoch"]], 1),
        "fit_epoch": fit and fit["epoch"],
        "fit_seconds": fit and round(seconds[fit["epoch"]], 1),
        "best": best and {"epoch": best["epoch"], "faults": faults[best["epoch"]], **_shown(best)},
        "people": _shown({**human, "lcs_mean": human.get("lcs")}),
        "faults": faults,
    }


def listen(
    storage: Storage, style: str, music: Music, recipe: Recipe, epochs: Collection[int]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return people's level and the measures of those of the epochs that have a snapshot, as the judge takes them."""
    shown = heard(recipe, music)
    index = Index.build(shown.note_arrays("train"))
    human = people_of(shown, index, recipe, {})
    measured = []
    for epoch in snapshots.epochs(storage, style, recipe.name):
        if epoch in epochs:
            drawn, greedy = compose_samples(storage, style, recipe.name, epoch, music=music, recipe=recipe, seed=SEED)
            samples = [notes for notes, _ in drawn]
            (bits,) = bits_of([samples], shown, recipe)
            measured.append({"epoch": epoch, **snapshot_measures(samples, greedy, index), "ngram_bits": bits})
    return human, measured


def _shown(measures: dict[str, Any]) -> dict[str, float]:
    """Return the measures that the table tells; of people's the second number, the worst of 95%."""
    found = {name: measures[name] for name in SHOWN if measures.get(name) is not None}
    return {name: round(value[1] if isinstance(value, list) else value, 4) for name, value in found.items()}


def compare(folder: Path, recipes: list[Recipe], scratch: Path) -> dict[str, Any]:
    """Read one folder and train and judge every recipe on it."""
    style = folder.name.lower()
    styles = {style: {"sources": [{"folder": str(folder.resolve())}]}}
    config = scratch / f"{style}.yaml"
    config.write_text(yaml.safe_dump({"farm": 1, "seed": SEED, "recipe": "compact", "styles": styles}))
    root = scratch / style
    command = [FARM, "run", str(config), "--artifacts", str(root), "--until", "read", "--executor", "local", "--json"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    storage = Storage(root)
    music = load_music(storage, style)
    runs = {}
    for recipe in recipes:
        told = timed_training(root, style, recipe)
        ways = {recipe.name: recipe.samples, **({DRAWN: Samples()} if recipe.name == ORIGINAL else {})}
        for name, samples in ways.items():
            runs[name] = {**measure(storage, style, music, recipe, samples), **told}
            print(f"{style}, {name}: {_when(runs[name])}", file=sys.stderr)
    return {"pieces": len(music.pieces), "notes": int(music.pieces["notes"].sum()), "runs": runs}


def recipes_of(names: list[str], minutes: float) -> list[Recipe]:
    """Return our recipes as they are, then the original's with the limit."""
    files = [ROOT / "jobs" / f"{name}.yaml" for name in [*names, ORIGINAL]]
    found = [Recipe.model_validate(yaml.safe_load(file.read_text())) for file in files]
    limited = found[-1].training.model_copy(update={"max_minutes": minutes})
    return [*found[:-1], found[-1].model_copy(update={"training": limited})]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="a folder of music; at least five")
    parser.add_argument("--minutes", type=float, default=20, help="of training for the original, a style")
    parser.add_argument("--recipes", nargs="+", default=["compact", "quick"], help="ours; the first is compared")
    parser.add_argument("--json", type=Path, default=ROOT / "bench" / "article.json")
    parser.add_argument("--scratch", type=Path, help="a folder for what is made on the way; kept when given")
    options = parser.parse_args()
    if missing := [str(folder) for folder in options.folders if not folder.is_dir()]:
        parser.error(f"no folder {', '.join(missing)}")
    about = {"machine": machine.describe(), "minutes": options.minutes, "recipes": options.recipes}
    kept = json.loads(options.json.read_text()) if options.json.exists() else {}
    facts = {**about, "styles": kept["styles"] if all(kept.get(name) == about[name] for name in about) else {}}
    with tempfile.TemporaryDirectory(prefix="farm-article-") as temporary:
        scratch = options.scratch or Path(temporary)
        scratch.mkdir(parents=True, exist_ok=True)
        recipes = recipes_of(options.recipes, options.minutes)
        for folder in options.folders:
            facts["styles"][folder.name.lower()] = compare(folder, recipes, scratch)
            options.json.write_text(json.dumps(facts, indent=1) + "\n")
    print_table(facts)


def print_table(facts: dict[str, Any]) -> None:
    where, minutes, ours = facts["machine"], facts["minutes"], facts["recipes"]
    print(f"{where['cpu']}, {where['cores']} cores, {where['memory_gb']} GB, Python {where['python']}")
    load = max(run["load_before"] for row in facts["styles"].values() for run in row["runs"].values())
    print(f"other work on the machine: load of at most {load:.1f} before a training")
    print(f"first fit snapshot: seconds of training on one thread (epoch); {ORIGINAL} for {minutes:g} min")
    heads = "".join(f"{name:>16}" for name in [*ours, ORIGINAL, DRAWN])
    print(f"{'style':<14}{'notes':>8}{heads}{'epochs':>8}{ORIGINAL + ' / ' + ours[0]:>20}")
    for style, row in facts["styles"].items():
        runs = row["runs"]
        cells = "".join(f"{_when(runs[name]):>16}" for name in [*ours, ORIGINAL, DRAWN])
        ratio = _ratio(runs[ours[0]]["fit_seconds"], runs[ORIGINAL]["fit_seconds"], minutes)
        print(f"{style:<14}{row['notes']:>8}{cells}{runs[ORIGINAL]['epochs']:>8}{ratio:>20}")
    print("\nthat snapshot's samples, or where none is fit those with the fewest faults; people: the worst of 95%")
    heads = "".join(f"{head:>{width}}" for _, head, width, _ in COLUMNS)
    print(f"{'style':<14}{'recipe':<18}{'epoch':>6}{heads}  faults")
    for style, row in facts["styles"].items():
        for names, people in ((ours, "people"), ([ORIGINAL, DRAWN], "people, in tokens")):
            for name in names:
                print(f"{style:<14}{_best(name, row['runs'][name]['best'])}".rstrip())
            print(f"{style:<14}{people:<24}{_measures(row['runs'][names[0]]['people'])}")


def _best(name: str, best: dict[str, Any] | None) -> str:
    if best is None:
        return f"{name:<18}{'none':>6}"
    return f"{name:<18}{best['epoch']:>6}{_measures(best)}  {', '.join(best['faults']).replace('_', ' ')}"


def _when(run: dict[str, Any]) -> str:
    return "never" if run["fit_seconds"] is None else f"{run['fit_seconds']:.0f} s ({run['fit_epoch']})"


def _ratio(ours_seconds: float | None, theirs_seconds: float | None, minutes: float) -> str:
    """Return how many times as long the original took; where it never got there, the least it can have been."""
    if ours_seconds is None:
        return "-"
    ratio = (minutes * 60 if theirs_seconds is None else theirs_seconds) / ours_seconds
    return f"{'over ' if theirs_seconds is None else ''}{ratio:.{0 if ratio >= 10 else 1}f}"


def _measures(row: dict[str, float]) -> str:
    return "".join(f"{row[name]:>{width}{form}}" if name in row else " " * width for name, _, width, form in COLUMNS)


if __name__ == "__main__":
    main()
