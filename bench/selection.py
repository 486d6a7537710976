"""How often the epoch selector picks an epoch that is good to listen to, beside the rules people use.

Truth comes from samples, never from the curve: a snapshot of the 35 bundled runs is good when its greedy sample no
longer loops (distinct 4-grams at least .25) and its drawn samples do not copy (mean longest match at most people's
95th percentile, or 12 notes). The samples decide in "with samples" too, so that line is an upper bound by construction.
What is asked of made curves, and the cost of a verdict, is in `selection_made.py`. Kneedle is the package `kneed`, of
the extra `dev`.

    python bench/selection.py [--json FILE]
"""

import argparse
import csv
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from machine import describe  # noqa: E402
from selection_made import baselines, cost, on_families, print_made  # noqa: E402
from usual_rules import HAS_KNEED, knee, lowest, nearest, side, stopped  # noqa: E402

from farm.config import Selection, Training  # noqa: E402
from farm.selection.metrics import number, read_metrics  # noqa: E402
from farm.selection.settled import settled  # noqa: E402
from farm.selection.verdict import judge  # noqa: E402

CURVES = ROOT / "tests" / "data" / "curves"
EVERY = 25  # epochs between the snapshots that count

Row = dict[str, Any]
Method = Callable[[list[Row], list[Row], Row], int | None]


def read_runs(folder: Path) -> list[tuple[str, list[Row], list[Row], Row, set[int]]]:
    """Return name, metrics, snapshots, settings and good epochs of every bundled run, by name."""
    runs = []
    for path in sorted(folder.glob("*.snap.csv")):
        name = path.name.removesuffix(".snap.csv")
        with path.open() as file:
            snapshots = [row for row in csv.DictReader(file) if int(row["epoch"]) % EVERY == 0]
        with (folder / f"{name}.csv").open() as file:
            metrics: list[Row] = list(csv.DictReader(file))
        settings = json.loads((folder / f"{name}.json").read_text())
        line = max(settings["corpus_heldout"]["lcs"][1], 12)
        good = {
            int(row["epoch"])
            for row in snapshots
            if float(row["greedy_distinct4"]) >= 0.25 and float(row["lcs_mean"]) <= line
        }
        runs.append((name, metrics, list(snapshots), settings, good))
    return runs


def ours_curve(metrics: list[Row], snapshots: list[Row], settings: Row) -> int | None:
    """Return our pick from the metrics alone."""
    epochs = [{"epoch": row["epoch"]} for row in snapshots]
    return judge(metrics, epochs, None, Selection(replicas=1), "bench")["epoch"]


def ours_samples(metrics: list[Row], snapshots: list[Row], settings: Row) -> int | None:
    """Return our pick from metrics, samples and people's level."""
    return judge(metrics, snapshots, settings, Selection(replicas=1), "bench")["epoch"]


def ended(metrics: list[Row]) -> int:
    """Return after how many epochs the farm would have ended a run, with the default recipe's patience."""
    rule, patience = Selection(), Training().patience_epochs
    ends = (n for n in range(1, len(metrics)) if settled(read_metrics(metrics[:n]), rule, patience))
    return next(ends, len(metrics))


def until_ended(method: Method) -> Method:
    """Return a rule that sees a run only until the farm would have ended it."""

    def pick(metrics: list[Row], snapshots: list[Row], settings: Row) -> int | None:
        last = ended(metrics)
        return method(metrics[:last], [row for row in snapshots if int(row["epoch"]) <= last], settings)

    return pick


def last(metrics: list[Row], snapshots: list[Row], settings: Row) -> int | None:
    """Return the last epoch."""
    return int(snapshots[-1]["epoch"])


def usual(rule: Callable[..., int | None], column: str, *asked: int) -> Method:
    """Return a usual rule on a column; it takes the snapshot nearest to its epoch, none where the column is not."""

    def pick(metrics: list[Row], snapshots: list[Row], settings: Row) -> int | None:
        if column not in metrics[0]:
            return None
        found = rule([number(row[column]) for row in metrics], *asked)
        kept = [int(row["epoch"]) for row in snapshots]
        return None if found is None else nearest(kept, int(metrics[found]["epoch"]))

    return pick


USUAL: dict[str, Method] = {
    "last epoch": last,
    "best val_loss": usual(lowest, "val_loss"),
    "best loss": usual(lowest, "loss"),
    "EarlyStopping, patience 10": usual(stopped, "loss", 10),
    "EarlyStopping, patience 25": usual(stopped, "loss", 25),
    **({"Kneedle": usual(knee, "loss")} if HAS_KNEED else {}),
}
METHODS: dict[str, Method] = {
    "ours, curve only": ours_curve,
    "ours, with samples": ours_samples,
    "ended early, curve only": until_ended(ours_curve),
    "ended early, with samples": until_ended(ours_samples),
    **USUAL,
}


def on_runs() -> dict[str, Row]:
    """Return, per method, the shares of picks in, before and after the good window, and picks where there is none."""
    runs = read_runs(CURVES)
    table: dict[str, Row] = {}
    for name, method in METHODS.items():
        counts = {"in": 0, "early": 0, "late": 0, "between": 0, "none": 0}
        fit_without_window = broken = 0
        for _, metrics, snapshots, settings, good in runs:
            epoch = method(metrics, snapshots, settings)
            blow_up = judge(metrics, [], None, Selection(replicas=1), "bench")["blow_up"]
            broken += epoch is not None and blow_up is not None and epoch >= blow_up
            if good:
                counts[side(epoch, sorted(good))] += 1
            else:
                fit_without_window += epoch is not None
        total = sum(counts.values())
        table[name] = {f"{key}_share": round(count / total, 3) for key, count in counts.items()}
        table[name] |= {"runs": total, "picked_without_window": fit_without_window, "picked_after_blow_up": broken}
    return table


def on_made(method: Method) -> Callable[[Sequence[Row], Sequence[int]], int | None]:
    """Return a rule as the made curves ask it."""
    return lambda records, kept: method(list(records), [{"epoch": epoch} for epoch in kept], {})


def print_table(facts: Row) -> None:
    """Print what was measured."""
    print(f"{'rule':28} {'in':>6} {'early':>6} {'late':>6} {'between':>8} {'none':>6}  no window  after blow-up")
    for name, row in facts["runs"].items():
        shares = [f"{row[f'{key}_share']:.0%}" for key in ("in", "early", "late", "between", "none")]
        print(
            f"{name:28} {shares[0]:>6} {shares[1]:>6} {shares[2]:>6} {shares[3]:>8} {shares[4]:>6} "
            f"{row['picked_without_window']:>10} {row['picked_after_blow_up']:>14}"
        )
    saved = facts["ended_early"]
    print(f"\nended early: {saved['saved']:,} of {saved['epochs']:,} epochs saved")
    print_made(facts["families"], facts["families_by_rule"], facts["cost"])


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the epoch selector on the bundled and on made curves.")
    parser.add_argument("--json", type=Path, help="write the numbers here too")
    arguments = parser.parse_args()
    started = time.perf_counter()
    if not HAS_KNEED:
        print("kneed is not installed: Kneedle is left out (pip install 'music-model-farm[dev]')\n")
    tables = [metrics for _, metrics, _, _, _ in read_runs(CURVES)]
    facts = {
        "machine": describe(),
        "runs": on_runs(),
        "ended_early": {"epochs": sum(map(len, tables)), "saved": sum(len(table) - ended(table) for table in tables)},
        "families": on_families(),
        "families_by_rule": baselines({name: on_made(method) for name, method in USUAL.items()}),
        "cost": cost(),
        "seconds": round(time.perf_counter() - started, 1),
    }
    print_table(facts)
    if arguments.json:
        arguments.json.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
