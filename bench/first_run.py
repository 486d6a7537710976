"""What a newcomer waits for: the default farm cold, again, after one changed file; `--help`; composing 500 notes.

    python bench/first_run.py [--json FILE] [--artifacts DIR] [--config FILE]

Prints a table and writes JSON. Takes as long as the default farm takes (about a quarter of an hour on 2 cores).
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import machine
import yaml

ROOT = Path(__file__).parent.parent
FARM = [str(Path(sys.executable).with_name("farm"))]
MUSIC = ("read", "baseline", "base", "train", "judge")


def timed(*arguments: str, cwd: Path = ROOT) -> tuple[float, str]:
    """Run one farm command and return its wall time in seconds and its standard output."""
    started = time.perf_counter()
    done = subprocess.run([*FARM, *arguments], cwd=cwd, stdout=subprocess.PIPE, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode != 0:
        raise SystemExit(f"farm {' '.join(arguments)} ended with {done.returncode}")
    return seconds, done.stdout


def intervals(artifacts: Path, stages: tuple[str, ...]) -> list[tuple[float, float]]:
    """Return from when to when each stage of each style was at work, from the ledger, in seconds since 1970."""
    lines = [json.loads(line) for line in (artifacts / "ledger" / "attempts.jsonl").read_text().splitlines()]
    began: dict[tuple[str, ...], float] = {}
    spans = []
    for line in lines:
        name = (line["style"], line["stage"], line["recipe"])
        if line["outcome"] == "started":
            began.setdefault(name, line["time"])
        elif line["stage"] in stages:
            spans.append((began[name], line["time"]))
    return spans


def covered(spans: list[tuple[float, float]]) -> float:
    """Return the length of the union of time spans, seconds."""
    total, end = 0.0, float("-inf")
    for start, stop in sorted(spans):
        total += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return total


def composing(style: str, seed: int, folder: Path, where: list[str]) -> dict:
    """Compose one piece of at most 500 notes in a process of its own; return its wall time and its notes."""
    asked = ["--notes", "500", "--seed", str(seed), "-o", str(folder / "x.mid"), "--json"]
    seconds, out = timed("compose", style, *asked, *where)
    return {"seed": seed, "seconds": round(seconds, 3), "notes": json.loads(out)["notes"]}


def one_changed_file(folder: Path) -> dict:
    """Farm two small styles from folders, change the content of one file, and see who runs again."""
    shutil.rmtree(folder, ignore_errors=True)
    import music21

    corpus = Path(music21.__file__).parent / "corpus" / "ryansMammoth"
    tunes = sorted(corpus.glob("*Reel*.abc"))[:60]
    styles = {}
    for name, some in (("one", tunes[:30]), ("two", tunes[30:])):
        (folder / name).mkdir(parents=True)
        for tune in some:
            shutil.copy(tune, folder / name)
        styles[name] = {"sources": [{"folder": name, "licence": "public domain"}]}
    (folder / "corpora.yaml").write_text(yaml.safe_dump({"farm": 1, "recipe": "quick", "styles": styles}))
    timed("run", "corpora.yaml", "--json", cwd=folder)
    changed = folder / "two" / tunes[40].name
    changed.write_text(changed.read_text().replace("A", "B", 20))
    _, out = timed("run", "corpora.yaml", "--json", cwd=folder)
    return {style["style"]: style["ran"] for style in json.loads(out)["styles"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("bench/first_run.json"))
    parser.add_argument("--artifacts", type=Path)
    parser.add_argument("--config", type=Path, default=ROOT / "corpora.yaml")
    options = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="farm-bench-"))
    artifacts = options.artifacts or scratch / "artifacts"
    where = ["--artifacts", str(artifacts)]

    cold_seconds, _ = timed("run", str(options.config), *where)
    music_seconds = covered(intervals(artifacts, MUSIC))
    publishing = intervals(artifacts, ("publish",))
    again_seconds, again = timed("run", str(options.config), *where, "--json")
    ran_again = {style["style"]: style["ran"] for style in json.loads(again)["styles"]}
    helps = [timed("--help")[0] for _ in range(5)]
    catalog_name = (artifacts / "catalog" / "CURRENT").read_text().split()[0]
    models = json.loads((artifacts / "catalog" / catalog_name).read_text())["models"]
    largest = max(models, key=lambda model: model["corpus"]["notes"])["style"]
    compose = [composing(largest, seed, scratch, where) for seed in range(9)]
    changed = one_changed_file(scratch / "changed")

    facts = {
        "machine": machine.describe(),
        "cold_seconds": round(cold_seconds, 1),
        "scheduling_publishing_pages_share": round(1 - music_seconds / cold_seconds, 4),
        "publishing_and_pages_worker_seconds": round(sum(stop - start for start, stop in publishing), 1),
        "again_seconds": round(again_seconds, 2),
        "ran_again": ran_again,
        "after_one_changed_file": changed,
        "help_seconds": round(statistics.median(helps), 3),
        "compose_runs": compose,
        "styles": {
            model["style"]: {
                "epoch": model["verdict"]["epoch"],
                "verdict": model["verdict"]["verdict"],
                "val_bits_per_note": model["quality"]["val_bits_per_note"],
                "ngram_bits_per_note": model["quality"]["ngram_bits_per_note"],
                "pieces": model["corpus"]["pieces"],
                "notes": model["corpus"]["notes"],
                "model_bytes": {one["precision"]: one["bytes"] for one in model["files"]},
            }
            for model in models
        },
    }
    options.json.write_text(json.dumps(facts, indent=1) + "\n")
    print_table(facts)
    shutil.rmtree(scratch)


def print_table(facts: dict) -> None:
    where = facts["machine"]
    print(f"{where['cpu']}, {where['cores']} cores, {where['memory_gb']} GB, no GPU, Python {where['python']}")
    print(f"default farm, cold               {facts['cold_seconds'] / 60:.1f} min")
    print(f"  scheduling, publishing, pages  {facts['scheduling_publishing_pages_share']:.1%} of it")
    print(f"run again, nothing changed       {facts['again_seconds']:.2f} s, ran {facts['ran_again']}")
    print(f"one file changed in 'two'        ran {facts['after_one_changed_file']}")
    print(f"farm --help                      {facts['help_seconds']:.2f} s")
    longest = max(facts["compose_runs"], key=lambda run: run["notes"])
    median = statistics.median(run["seconds"] for run in facts["compose_runs"])
    print(f"farm compose --notes 500, cold   {median:.2f} s (median of 9 seeds; pieces may end by themselves)")
    print(f"  the longest piece              {longest['seconds']:.2f} s for {longest['notes']} notes")
    print(f"{'style':<14}{'pieces':>7}{'notes':>9}{'epoch':>7}{'bits/note':>11}{'n-gram':>8}  verdict")
    for style, row in facts["styles"].items():
        bits = f"{row['val_bits_per_note']:>11.2f}{row['ngram_bits_per_note']:>8.2f}"
        print(f"{style:<14}{row['pieces']:>7}{row['notes']:>9}{row['epoch'] or 'none':>7}{bits}  {row['verdict']}")


if __name__ == "__main__":
    main()
