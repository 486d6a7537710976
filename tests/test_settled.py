"""When a run may end: on the bundled runs, on made curves, and in what the verdict then says."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from curve_families import (
    FAMILIES,
    Family,
    creeping,
    diverges_at_once,
    early_blow_up,
    healthy,
    nan_late,
    never_learns,
    one,
    plainly,
    still_falling,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.config import Selection
from farm.selection.metrics import read_metrics
from farm.selection.settled import before_trouble, settled
from farm.selection.verdict import judge

CURVES = Path(__file__).parent / "data" / "curves"
RULE = Selection(replicas=1)
Rows = list[dict[str, Any]]


def end_of(rows: Rows, patience: int = 8, start_loss: float | None = None) -> tuple[int, str | None]:
    """Return after how many epochs a run ends, and why."""
    for n in range(1, len(rows) + 1):
        found = settled(read_metrics(rows[:n]), RULE, patience, start_loss)
        if found is not None:
            return n, found
    return len(rows), None


@pytest.mark.parametrize(
    ("name", "after", "why"),
    [
        ("own01_adam_n30_lr0.003_d0", (150, 200), "flat"),  # overfits: the shoulder is at 100
        ("own04_adam_n30_lr0.001_d0", (300, 450), "flat"),  # sits at the level of mere frequencies until epoch 20
        ("own08_adam_n30_lr0.0003_d0", (500, 500), None),  # learns to the last
        ("own24_sgd_noclip_lr4", (25, 40), "flat"),  # breaks later
    ],
)
def test_a_bundled_run_ends_where_nothing_better_follows(name: str, after: tuple[int, int], why: str | None) -> None:
    with (CURVES / f"{name}.csv").open() as file:
        rows: Rows = list(csv.DictReader(file))
    n, found = end_of(rows)
    assert found == why
    assert after[0] <= n <= after[1] or why is None
    with (CURVES / f"{name}.snap.csv").open() as file:
        snapshots = [{"epoch": row["epoch"]} for row in csv.DictReader(file)]
    whole = judge(rows, snapshots, None, RULE, "own")
    cut = judge(rows[:n], [row for row in snapshots if int(row["epoch"]) <= n], None, RULE, "own")
    assert cut["epoch"] == whole["epoch"] or why is None
    assert cut["verdict"] != "not-converged" or why is None


@pytest.mark.parametrize(
    ("family", "heldout", "why"),
    [
        (healthy, "none", "flat"),
        (healthy, "overfits", "flat"),
        (never_learns, "none", "did-not-learn"),
        (early_blow_up, "none", "blow-up"),
        (diverges_at_once, "none", "blow-up"),
        (still_falling, "none", None),
        (creeping, "none", None),
    ],
)
def test_every_kind_of_run_ends_for_its_own_reason(family: Family, heldout: str, why: str | None) -> None:
    n = {creeping: 60, still_falling: 100}.get(family, 300)
    assert end_of(plainly(family, n=n, heldout=heldout).records)[1] == why


def test_a_heldout_loss_that_levels_off_ends_a_run_and_one_that_gains_does_not() -> None:
    epochs = np.arange(1, 81)
    heldout = 3 + 4 * np.exp(-epochs / 5)
    rows = [
        {"epoch": int(epoch), "loss": value + 0.1, "val_loss": value}
        for epoch, value in zip(epochs, heldout.tolist(), strict=True)
    ]
    n, why = end_of(rows)
    assert (why, 25 < n < 45) == ("levelled", True)
    gaining = [{**row, "val_loss": row["val_loss"] * 0.99 ** (row["epoch"] / 4)} for row in rows]
    assert end_of(gaining)[1] is None
    assert end_of(rows, patience=30)[0] > n + 10


def test_a_run_from_trained_weights_ends_after_its_best_heldout_loss() -> None:
    heldout = [3.66, 3.62, 3.60] + [3.60 + 0.005 * step for step in range(30)]
    rows = [{"epoch": n + 1, "loss": 3.6 - 0.002 * n, "val_loss": value} for n, value in enumerate(heldout)]
    n, why = end_of(rows, start_loss=12.8)
    assert (why, n) == ("levelled", 11)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.sampled_from(FAMILIES))
def test_the_rule_never_calls_a_run_unfinished_that_it_ended(seed: int, family: Any) -> None:
    curve = one(family, seed)
    n, why = end_of(curve.records, start_loss=curve.start_loss)
    verdict = judge(curve.records[:n], [], None, RULE, "test", start_loss=curve.start_loss)["verdict"]
    assert why is None or verdict != "not-converged"
    assert why != "did-not-learn" or verdict == "did-not-learn"


def test_a_run_that_breaks_is_tried_again_only_before_it_has_levelled() -> None:
    early, late = (plainly(family, n=100).records for family in (early_blow_up, nan_late))
    began, safe = before_trouble(read_metrics(early), RULE) or (None, None)
    assert began is not None
    assert safe is not None
    assert 10 < safe < began <= 51
    assert before_trouble(read_metrics(late), RULE) is None
    assert before_trouble(read_metrics(early[:5]), RULE) == (None, 5)
    assert before_trouble(read_metrics([]), RULE) == (None, 0)


def test_learning_by_heart_is_not_cured_by_more_epochs() -> None:
    loss = [8 - 0.1 * epoch for epoch in range(40)]
    heldout = [8 - 0.1 * epoch if epoch < 20 else 6.0 + 0.002 * epoch for epoch in range(40)]
    rows = [
        {"epoch": n + 1, "loss": one, "val_loss": other}
        for n, (one, other) in enumerate(zip(loss, heldout, strict=True))
    ]
    told = judge(rows, [], None, RULE, "test")
    assert told["verdict"] == "not-converged"
    assert "by heart" in told["reason"]
    assert "more epochs" not in told["reason"]
    assert "more epochs" in judge(rows[:20], [], None, RULE, "test")["reason"]
