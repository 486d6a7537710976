"""Verdicts on tables of any kind, the same verdicts by other rules, and whether their sentences are true."""

import json
import math
import re
import time
from typing import Any

import numpy as np
import pytest
from curve_families import (
    Family,
    healthy,
    late_blow_up,
    long_recovery,
    made,
    plainly,
    spike,
    still_falling,
    trained_by_heart,
    trained_levels,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.config import Selection
from farm.selection.metrics import Metrics, read_metrics
from farm.selection.settled import before_trouble, settled
from farm.selection.verdict import judge, judge_again

RULE = Selection(replicas=2)
HUMAN: dict[str, Any] = {
    **{"lcs": [6, 14], "distinct4": [0.7, 0.45], "loop_share": [0.1, 0.3]},
    **{"known2": [0.4, 0.1], "known3": [0.1, 0], "ngram_bits": [8.0, 10.0]},
}
FINE = {"distinct4": 0.75, "loop_share": 0.05, "lcs_mean": 5.0, "known2": 0.4, "known3": 0.1, "greedy_distinct4": 0.5}

ODD = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.floats(-10, 10),
    st.sampled_from([None, "", "nan", "inf", "x", "2.5", 0, -1, True, 1e308, -1e308, 10**400, [1], {}]),
)
EPOCH = st.one_of(st.integers(-2, 60), st.sampled_from([None, "7", "8.0", 3.5, 1e12, math.nan, "x"]))
RECORD = st.fixed_dictionaries(
    {}, optional={"epoch": EPOCH, "loss": ODD, "accuracy": ODD, "val_loss": ODD, "broke_at": st.integers(-1, 9)}
)
SNAPSHOT = st.fixed_dictionaries(
    {"epoch": EPOCH},
    optional={
        name: ODD for name in (*FINE, "ngram_bits", "lcs_max", "loss", "safe", "longest", "quote", "excess_mean")
    },
)


# --- tables of any kind


@settings(max_examples=250, deadline=None, derandomize=True)
@given(
    st.lists(RECORD, max_size=60),
    st.lists(SNAPSHOT, max_size=8),
    st.one_of(st.none(), st.dictionaries(st.sampled_from([*HUMAN, "weak"]), st.one_of(ODD, st.lists(ODD, max_size=3)))),
    st.one_of(st.none(), st.floats(-20, 20)),
)
def test_no_table_is_too_odd_for_a_verdict(records: Any, snapshots: Any, human: Any, start_loss: float | None) -> None:
    found = judge(records, snapshots, human, RULE, "odd", start_loss=start_loss)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    table = read_metrics(records)
    if found["epoch"] is not None:
        assert found["epoch"] in [*table.epochs.tolist(), *(row["epoch"] for row in found["candidates"])]
        assert table.broken_epoch is None or found["epoch"] < table.broken_epoch
    assert judge_again(found, RULE) == found
    settled(table, RULE, 3, start_loss)
    before_trouble(table, RULE, start_loss)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.integers(0, 99), st.sampled_from([math.nan, math.inf, None, "nan"]))
def test_nothing_is_picked_from_the_first_loss_that_is_no_number_on(seed: int, at: int, value: Any) -> None:
    records = [dict(row) for row in plainly(healthy, n=100, heldout="tracks", seed=seed).records]
    records[at]["loss"] = value
    found = judge(records, [], None, RULE, "x")
    assert found["blow_up"] == at + 1
    assert found["epoch"] is None or found["epoch"] < at + 1


@pytest.mark.parametrize(
    ("records", "epochs", "broken"),
    [
        ([], [], None),
        ([{"epoch": 3, "loss": 1.0}, {"epoch": 1, "loss": 2.0}], [1, 3], None),
        ([{"epoch": 0, "loss": 2.0}, {"epoch": 1, "loss": 1.0}], [0, 1], None),
        ([{"epoch": 1, "loss": 9.0}, {"epoch": 2, "loss": 8.0}, {"epoch": 1, "loss": 2.0}], [1, 2], None),
        ([{"epoch": 1, "val_loss": 2.0}, {"epoch": 2, "accuracy": 0.5}], [], None),
        ([{"epoch": 1, "loss": ""}, {"epoch": 2, "loss": "2.5"}], [2], None),
        ([{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": math.inf}, {"epoch": 3, "loss": 1.0}], [1], 2),
    ],
    ids=["empty", "order and gap", "from 0", "repeated", "no loss", "empty text", "infinite"],
)
def test_what_a_table_means_is_defined(records: Any, epochs: list[int], broken: int | None) -> None:
    table = read_metrics(records)
    assert (table.epochs.tolist(), table.broken_epoch) == (epochs, broken)
    assert Metrics.from_json(table.to_json()).to_json() == table.to_json()


def test_epochs_from_0_keep_their_numbers_in_the_pick() -> None:
    records = plainly(healthy, n=100).records
    from_0 = [{**row, "epoch": row["epoch"] - 1} for row in records]
    epoch = judge(records, [], None, RULE, "x")["epoch"]
    assert judge(from_0, [{"epoch": row["epoch"]} for row in from_0], None, RULE, "x")["epoch"] == epoch - 1


def test_accuracy_that_is_no_share_is_not_used() -> None:
    records = [{**row, "accuracy": row["accuracy"] * 100} for row in plainly(healthy, n=100).records]
    assert read_metrics(records).accuracy is None
    assert judge(records, [], None, RULE, "x")["epoch"] is not None


def test_a_table_without_a_training_loss_says_so() -> None:
    found = judge([{"epoch": n, "val_loss": 1 / n} for n in range(1, 9)], [], None, RULE, "x")
    assert (found["epoch"], found["fit"]) == (None, False)
    assert "no epochs with a training loss" in found["reason"]


# --- another rule on what was seen


@pytest.mark.parametrize("curve", made(6, 1), ids=lambda curve: curve.family)
@pytest.mark.parametrize("heard", [True, False])
def test_another_rule_on_a_verdict_is_what_it_would_have_been(curve: Any, heard: bool) -> None:
    snapshots = [{"epoch": epoch, **(FINE if heard else {})} for epoch in curve.kept()]
    human = HUMAN if heard else None
    first = judge(curve.records, snapshots, human, RULE, "x", start_loss=curve.start_loss)
    stored = json.loads(json.dumps(first, allow_nan=False))
    assert judge_again(stored, RULE) == first
    other = Selection(replicas=2, plateau_share=0.1, copy_floor_notes=3, copy_ceiling_notes=4, heldout_gap_share=0.01)
    again = judge_again(stored, other)
    assert again == judge(curve.records, snapshots, human, other, "x", start_loss=curve.start_loss)
    assert again["rule"]["plateau_share"] == 0.1


def test_a_verdict_is_quick_and_so_is_another_by_its_file() -> None:
    curve = plainly(healthy, heldout="overfits")
    snapshots = [{"epoch": epoch, **FINE} for epoch in np.linspace(1, 500, 40).astype(int).tolist()]
    begun = time.process_time()
    found = judge(curve.records, snapshots, HUMAN, Selection(), "x")
    judged = time.process_time()
    judge_again(found, Selection(plateau_share=0.1))
    assert judged - begun < 2
    assert time.process_time() - judged < 2


# --- sentences


def told(family: Family, heldout: str = "none", snapshots: Any = (), **more: Any) -> str:
    curve = plainly(family, n=100, heldout=heldout)
    found = judge(curve.records, list(snapshots), HUMAN, RULE, "x", start_loss=curve.start_loss, **more)
    return str(found["reason"])


def test_a_run_that_came_back_is_not_said_never_to_have_broken_down() -> None:
    assert "It broke down and had recovered by epoch" in told(long_recovery)
    assert "never broke" not in told(long_recovery)
    assert "never broke down in 100 epochs, but for a short spike at epoch" in told(spike)
    assert "never broke down in 100 epochs." in told(healthy)


def test_what_the_heldout_loss_does_is_told_as_it_is() -> None:
    assert "does not turn up, so it decides" in told(healthy, "tracks")
    assert "rose after it, so it does not decide" in told(healthy, "overfits")
    assert "and it turns up later, so it asks for that epoch" in told(trained_by_heart)
    assert "does not turn up, so it decides" in told(trained_levels)


def test_more_epochs_are_advised_only_where_they_would_help() -> None:
    assert "allow it more epochs" in told(still_falling, "tracks")
    assert "rose after it" not in told(still_falling, "tracks")
    assert "but by heart" in told(still_falling, "overfits")
    # a run that ended by patience, its held-out loss having turned up by less than the rule calls a rise
    heldout = [*np.linspace(14.3, 6.6, 28), *np.linspace(6.61, 6.92, 8)]
    loss = np.linspace(14.8, 3.5, 36)
    records = [
        {"epoch": n + 1, "loss": a, "val_loss": b} for n, (a, b) in enumerate(zip(loss.tolist(), heldout, strict=True))
    ]
    reason = judge(records, [], None, RULE, "x")["reason"]
    assert "best at epoch 28 and rose after it" in reason
    assert "but by heart" in reason
    assert "more epochs" not in reason


@pytest.mark.parametrize(("measure", "what"), [({"greedy_distinct4": 0.1}, "repeats itself"), ({}, "No snapshot")])
def test_loops_that_no_training_cures_are_not_answered_with_longer_training(measure: Any, what: str) -> None:
    snapshots = [{"epoch": epoch, "lcs_mean": 5.0, "greedy_distinct4": 0.5, **measure} for epoch in range(5, 101, 5)]
    reason = told(healthy, snapshots=snapshots)
    assert what in reason
    assert "train longer" not in reason
    assert ("the curve is flat; give it more music" in reason) is bool(measure)


def test_loops_that_come_back_are_told() -> None:
    loops = {5, 10, 60, 65}
    snapshots = [
        {"epoch": epoch, "lcs_mean": 5.0, "greedy_distinct4": 0.1 if epoch in loops else 0.5}
        for epoch in range(5, 101, 5)
    ]
    assert "until epoch 15, and again in 2 of the later snapshots" in told(healthy, snapshots=snapshots)
    assert "in 2 of 18 snapshots, but not in the first" in told(healthy, snapshots=snapshots[2:])


def test_no_epoch_is_said_to_be_most_of_the_way_of_a_run_that_has_no_end() -> None:
    assert "Most of the way" not in told(still_falling)
    assert "Most of the way" in told(late_blow_up)


# --- both sides of good


def by_heart(
    n: int = 120, heard: dict[int, dict[str, float]] | None = None, every: int = 10
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return a small corpus's run: the held-out loss is best at epoch 20, the training loss levels off at about 90."""
    records = [
        {
            "epoch": epoch,
            "loss": 2 + 6 * 0.97**epoch,
            "val_loss": 6 + 0.002 * (epoch - 20) ** 2 if epoch < 20 else 6 + 0.05 * (epoch - 20),
        }
        for epoch in range(1, n + 1)
    ]
    snapshots = [{"epoch": epoch, **FINE, **(heard or {}).get(epoch, {})} for epoch in range(every, n + 1, every)]
    return records, snapshots


def test_where_the_held_out_loss_turned_up_the_first_sound_snapshot_after_its_best_is_taken() -> None:
    loops = {epoch: {"greedy_distinct4": 0.1} for epoch in (10, 20, 30)}
    records, snapshots = by_heart(heard=loops)
    found = judge(records, snapshots, HUMAN, RULE, "x")
    assert (found["epoch"], found["fit"], found["signal"]) == (40, True, "turned")
    since, best = re.findall(
        r"from epoch (\d+) on as good as its best \(6\.00, epoch (\d+)\) and rose", found["reason"]
    )[0]
    assert 10 < int(since) <= int(best) == 20
    alone = judge(records, [], HUMAN, RULE, "x")
    assert alone["epoch"] > 40, "without samples the curve cannot tell whether it still loops"
    assert "so it does not decide" in alone["reason"]
    short = judge(records[:60], snapshots[:6], HUMAN, RULE, "x")
    assert (short["epoch"], short["fit"], short["verdict"]) == (40, True, "healthy"), "more epochs would change nothing"


def test_an_overfit_run_whose_loss_breaks_is_not_fit() -> None:
    records, snapshots = by_heart()
    for row in records[60:]:
        row["loss"] = 9.0
    found = judge(records, snapshots, HUMAN, RULE, "x")
    assert (found["epoch"], found["fit"]) == (20, False)


def test_samples_that_cost_an_n_gram_more_bits_than_people_are_too_random() -> None:
    strange = {epoch: {"ngram_bits": 14.0 - epoch / 10} for epoch in range(10, 121, 10)}  # the line is at 9
    found = judge(*by_heart(heard=strange), HUMAN, RULE, "x")
    assert [row["epoch"] for row in found["candidates"] if row["too_random"]] == [10, 20, 30, 40]
    assert (found["epoch"], found["fit"]) == (50, True)


def test_one_handful_of_strange_samples_among_others_is_chance() -> None:
    strange = {60: {"known2": 0.08}, 30: {"ngram_bits": 10.5}, **{at: {"ngram_bits": 8.0} for at in (10, 20, 40, 50)}}
    found = judge(*by_heart(heard=strange), HUMAN, RULE, "x")
    assert not any(row["too_random"] for row in found["candidates"])


@pytest.mark.parametrize(
    ("measures", "nearest", "lacks"),
    [
        (lambda epoch: {"ngram_bits": 15.0, "lcs_mean": 3.0 if epoch == 50 else 30.0}, 50, "it is too random"),
        (lambda epoch: {"greedy_distinct4": 0.1, "distinct4": 0.2}, 20, "it repeats itself"),
        (lambda epoch: {"distinct4": 0.7 if epoch == 40 else 0.2, "greedy_distinct4": 0.1}, 40, "the snapshots beside"),
        (lambda epoch: {"lcs_mean": 30.0}, 20, "it copies"),
    ],
)
def test_where_nothing_is_fit_the_nearest_snapshot_is_named_with_what_it_lacks(
    measures: Any, nearest: int, lacks: str
) -> None:
    heard = {epoch: measures(epoch) for epoch in range(10, 121, 10)}
    found = judge(*by_heart(heard=heard), HUMAN, RULE, "x")
    assert (found["epoch"], found["fit"], found["nearest"]) == (None, False, nearest)
    assert f"Epoch {nearest} comes nearest, but {lacks}" in found["reason"]
