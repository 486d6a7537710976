"""Selection: the picked epoch on bundled and made curves, loops, copies and where they come from."""

import csv
import json
import math
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
    late_blow_up,
    long_recovery,
    made,
    nan_first,
    nan_late,
    never_learns,
    one,
    plainly,
    slow_divergence,
    spike,
    still_falling,
    trained_by_heart,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from made_curves import Made

from farm.config import Selection
from farm.music.encoding import NOTE
from farm.selection import repetition
from farm.selection.curve import analyse
from farm.selection.events import find_events, smooth
from farm.selection.exact import suffix_order
from farm.selection.measures import human_reference, snapshot_measures
from farm.selection.metrics import read_metrics
from farm.selection.originality import Index
from farm.selection.tokens import bars, tokens
from farm.selection.verdict import judge

CURVES = Path(__file__).parent / "data" / "curves"
RULE = Selection(replicas=1)
HUMAN = {"lcs": [6, 14], "distinct4": [0.7, 0.45], "loop_share": [0.1, 0.3], "known2": [0.4, 0.1], "known3": [0.1, 0]}
CONTRACT = {
    *("style", "epoch", "provisional", "verdict", "plateau", "blow_up", "repetition_ends", "copying_begins"),
    *("confidence", "reason", "neighbours", "overruled_by", "rule", "candidates"),
}


def pick(
    records: list[dict[str, Any]], snapshots: list[dict[str, Any]] | None = None, start_loss: float | None = None
) -> int | None:
    return judge(records, snapshots or [], None, RULE, "test", start_loss=start_loss)["epoch"]


def of(curve: Made) -> int | None:
    """Return the pick among the snapshots of a made curve."""
    return pick(curve.records, [{"epoch": epoch} for epoch in curve.kept()], curve.start_loss)


def every(records: list[dict[str, Any]], step: int = 25) -> list[dict[str, Any]]:
    return [{"epoch": epoch} for epoch in range(step, len(records) + 1, step)]


def melody(seed: int, n: int = 60, start_beat: float = 0.0) -> np.ndarray:
    """Return a wandering tune with quarters, quavers and dotted notes in 4/4."""
    rng = np.random.Generator(np.random.PCG64(seed))
    notes = np.zeros(n, NOTE)
    lengths = rng.choice([0.5, 1.0, 1.5, 2.0], n)
    notes["onset_beat"] = start_beat + np.concatenate(([0], np.cumsum(lengths)[:-1]))
    notes["duration_beat"] = lengths
    notes["pitch"] = np.clip(60 + np.cumsum(rng.integers(-5, 6, n)), 30, 100)
    notes["velocity"] = 64
    notes["beat_in_bar"] = notes["onset_beat"] % 4
    return notes


@pytest.fixture(scope="module")
def corpus() -> dict[str, np.ndarray]:
    return {f"piece{seed:02d}": melody(seed, 120) for seed in range(20)}


@pytest.fixture(scope="module")
def index(corpus: dict[str, np.ndarray]) -> Index:
    return Index.build(corpus)


# --- made curves


@pytest.mark.parametrize("curve", made(1, 3), ids=lambda curve: curve.family.replace(" ", "-"))
def test_a_made_curve_is_picked_within_one_snapshot_of_where_it_must_be(curve: Made) -> None:
    assert curve.is_right(of(curve))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.sampled_from(FAMILIES), st.integers(1, 30))
def test_no_pick_at_or_after_a_blow_up(seed: int, family: Any, step: int) -> None:
    curve = one(family, seed)
    epoch = pick(curve.records, every(curve.records, step), curve.start_loss)
    if curve.broken_from is not None and epoch is not None:
        assert epoch < curve.broken_from


@pytest.mark.parametrize(
    ("family", "verdict"),
    [
        (healthy, "healthy"),
        (still_falling, "not-converged"),
        (never_learns, "did-not-learn"),
        (early_blow_up, "blew-up"),
        (diverges_at_once, "blew-up"),
        (nan_first, "blew-up"),
        (late_blow_up, "healthy-then-blowup"),
        (slow_divergence, "healthy-then-divergence"),
        (nan_late, "healthy-then-nan"),
        (long_recovery, "blowup-and-recovery"),
        (spike, "healthy"),
        (creeping, "healthy"),
        (trained_by_heart, "healthy"),
    ],
)
def test_every_kind_of_run_is_named(family: Family, verdict: str) -> None:
    curves = [plainly(family, n=n, seed=n) for n in (100, 300)]
    told = [judge(curve.records, [], None, RULE, "test", start_loss=curve.start_loss) for curve in curves]
    assert [one["verdict"] for one in told] == [verdict] * 2


@pytest.mark.parametrize("curve", made(3, 1), ids=lambda curve: curve.family.replace(" ", "-"))
def test_the_unit_of_the_loss_does_not_matter(curve: Made) -> None:
    assert of(curve.scaled(10)) == of(curve.scaled(0.1)) == of(curve)


def test_a_loss_below_zero_is_read_like_one_above() -> None:
    curve = plainly(healthy)
    lower = [{**row, "loss": row["loss"] - 3} for row in curve.records]
    assert min(row["loss"] for row in lower) < 0 < lower[0]["loss"]
    assert abs((pick(lower) or 0) - (pick(curve.records) or 99)) <= 2
    below = [{**row, "loss": row["loss"] - 6} for row in curve.records]
    assert abs((pick(below) or 0) - (pick(curve.records) or 99)) <= 2


@pytest.mark.parametrize("curve", [curve for curve in made(4, 1) if curve.levels], ids=lambda curve: curve.family)
def test_a_hundred_flat_epochs_more_move_the_pick_by_at_most_one_snapshot(curve: Made) -> None:
    longer = curve.longer()
    kept = curve.kept(len(longer))
    before, after = of(curve), pick(longer, [{"epoch": epoch} for epoch in kept], curve.start_loss)
    if before is None or after is None:
        assert before is after
    else:
        assert abs(kept.index(before) - kept.index(after)) <= 1


def test_the_blow_up_is_dated_to_its_first_bad_epoch() -> None:
    loss = np.concatenate((4 * np.exp(-np.arange(100) / 15), np.full(50, 4.0)))
    (event,) = find_events(loss, 4.0, RULE, 3)
    assert (event.start, event.end, event.kind) == (100, None, "jump")


def test_a_level_curve_has_no_events() -> None:
    rng = np.random.Generator(np.random.PCG64(0))
    assert find_events(1 + 0.01 * rng.standard_normal(400), 4.0, RULE, 9) == ()


def test_smoothing_keeps_length_and_removes_a_spike() -> None:
    assert smooth(np.array([1.0, 1.0, 9.0, 1.0, 1.0]), 3).tolist() == [1.0] * 5
    assert len(smooth(np.zeros(0), 3)) == 0


# --- tables with holes


def test_an_empty_table_has_no_pick_and_says_so() -> None:
    found = judge([], [], None, RULE, "test")
    assert (found["epoch"], found["fit"], found["verdict"]) == (None, False, "not-converged")
    assert "no epochs" in found["reason"]


def test_the_last_record_of_an_epoch_counts_and_order_does_not() -> None:
    records = plainly(healthy).records
    wrong = [{"epoch": row["epoch"], "loss": 99.0} for row in records]
    assert pick(wrong + records[::-1]) == pick(records)


def test_missing_epochs_keep_their_numbers() -> None:
    records = [row for row in plainly(healthy).records if row["epoch"] % 2 == 0]
    assert pick(records) in read_metrics(records).epochs
    assert read_metrics(records).epochs[:3].tolist() == [2, 4, 6]


def test_text_from_a_csv_reads_like_numbers_and_nonsense_is_left_out() -> None:
    table = read_metrics([{"epoch": "1", "loss": "2.5"}, {"epoch": "x", "loss": "1"}, {"epoch": 2, "loss": "nan"}])
    assert (table.loss.tolist(), table.broken_epoch) == ([2.5], 2)


def test_holes_in_the_heldout_loss_only_cost_that_column() -> None:
    records = plainly(healthy).records
    some = [{**row, "val_loss": None if row["epoch"] % 3 else 2.0} for row in records]
    assert read_metrics(some).heldout is None
    assert pick(some) == pick(records)


def test_one_snapshot_after_the_blow_up_is_never_taken() -> None:
    curve = plainly(late_blow_up)
    found = judge(curve.records, [{"epoch": curve.broken_from}], None, RULE, "test")
    assert found["epoch"] is None
    assert "save more often" in found["reason"]


# --- bundled runs


def bundled() -> list[tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, Any], set[int]]]:
    runs = []
    for path in sorted(CURVES.glob("*.snap.csv")):
        with path.open() as file:
            snapshots: list[dict[str, Any]] = [row for row in csv.DictReader(file) if int(row["epoch"]) % 25 == 0]
        with (CURVES / path.name.replace(".snap", "")).open() as file:
            records: list[dict[str, Any]] = list(csv.DictReader(file))
        human = json.loads((CURVES / path.name.replace(".snap.csv", ".json")).read_text())
        line = max(human["corpus_heldout"]["lcs"][1], 12)
        good = {
            int(row["epoch"])
            for row in snapshots
            if float(row["greedy_distinct4"]) >= 0.25 and float(row["lcs_mean"]) <= line
        }
        runs.append((records, snapshots, human, good))
    return runs


def test_picks_on_real_runs_lie_in_the_good_window() -> None:
    runs = [run for run in bundled() if run[3]]
    assert len(runs) == 25
    alone = [
        pick(records, [{"epoch": row["epoch"]} for row in snapshots]) in good for records, snapshots, _, good in runs
    ]
    heard = [judge(records, snapshots, human, RULE, "own")["epoch"] in good for records, snapshots, human, good in runs]
    assert np.mean(alone) >= 0.84
    assert np.mean(heard) >= 0.92


def test_nothing_is_picked_by_ear_where_no_snapshot_is_good() -> None:
    found = [judge(records, snaps, human, RULE, "own") for records, snaps, human, good in bundled() if not good]
    assert [(verdict["epoch"], verdict["fit"]) for verdict in found] == [(None, False)] * 10


def test_confidence_is_the_same_each_time_and_a_share() -> None:
    records, snapshots, human, _ = bundled()[0]
    found = [judge(records, snapshots, human, Selection(replicas=9), "own")["confidence"] for _ in range(2)]
    assert found[0] == found[1]
    assert 0.5 <= found[0] <= 1


def test_a_verdict_has_every_field_of_the_contract_and_is_plain_json() -> None:
    records, snapshots, human, _ = bundled()[0]
    found = judge(records, snapshots, human, RULE, "own")
    assert set(found) >= CONTRACT
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["neighbours"] == [50, 100]
    assert f"Epoch {found['epoch']} is the pick" in found["reason"]
    assert found["rule"] == RULE.model_dump()


# --- the project's own kind of run


def large_run(heard: dict[int, dict[str, float]] | None = None) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return a large corpus's run of 40 epochs, and snapshots whose greedy sample always loops."""
    epochs = np.arange(1, 41)
    heldout = 2.9 + 4.1 * epochs**-0.9
    records = [
        {"epoch": int(epoch), "loss": float(value) + 0.1, "accuracy": 0.4, "val_loss": float(value)}
        for epoch, value in zip(epochs, heldout, strict=True)
    ]
    fine = {"distinct4": 0.75, "loop_share": 0.05, "lcs_mean": 5.0, "known2": 0.4, "known3": 0.1}
    snapshots = [
        {"epoch": epoch, **fine, "greedy_distinct4": 0.05, **(heard or {}).get(epoch, {})}
        for epoch in (1, 2, 3, 5, 8, *range(12, 41, 4))
    ]
    return records, snapshots


def test_where_heldout_loss_levels_off_it_decides_and_greedy_loops_do_not_matter() -> None:
    records, snapshots = large_run()
    found = judge(records, snapshots, HUMAN, RULE, "large")
    assert (found["signal"], found["verdict"], found["fit"]) == ("heldout", "healthy", True)
    assert found["epoch"] >= 28
    assert "held against people" in found["reason"]


def test_while_heldout_loss_still_falls_with_the_training_loss_the_last_epoch_is_taken_for_now() -> None:
    records, _ = large_run()
    found = judge(records[:12], [], None, RULE, "large")
    assert (found["epoch"], found["verdict"], found["provisional"], found["fit"]) == (12, "not-converged", True, False)


def test_copies_move_the_pick_to_before_they_begin() -> None:
    records, snapshots = large_run({epoch: {"lcs_mean": 30.0} for epoch in range(24, 41)})
    found = judge(records, snapshots, HUMAN, RULE, "large")
    assert (found["epoch"], found["copying_begins"]) == (20, 24)


@pytest.mark.parametrize(
    ("measure", "verdict"),
    [({"distinct4": 0.2}, "loops"), ({"loop_share": 0.6}, "loops"), ({"known2": 0.01}, "too-random")],
)
def test_samples_outside_peoples_range_are_not_fit(measure: dict[str, float], verdict: str) -> None:
    records, snapshots = large_run({epoch: measure for epoch in range(1, 41)})
    found = judge(records, snapshots, HUMAN, RULE, "large")
    assert (found["epoch"], found["fit"], found["verdict"]) == (None, False, verdict)


def test_a_run_from_trained_weights_is_read_from_an_untrained_start() -> None:
    heldout = [3.66, 3.62, 3.60, 3.61, 3.62, 3.63, 3.64, 3.66, 3.68, 3.70]
    records = [{"epoch": n + 1, "loss": 3.6 - 0.02 * n, "val_loss": value} for n, value in enumerate(heldout)]
    assert judge(records, [], HUMAN, RULE, "x")["verdict"] == "did-not-learn"
    found = judge(records, [], HUMAN, RULE, "x", start_loss=12.8)
    assert (found["verdict"], found["signal"]) == ("healthy", "heldout")
    assert found["epoch"] in (2, 3, 4)


def test_rising_heldout_loss_does_not_decide() -> None:
    curve = plainly(healthy, heldout="overfits")
    reading = analyse(read_metrics(curve.records), RULE)
    assert reading.heldout is not None
    assert reading.heldout.rises
    assert not reading.by_heldout


# --- repetition


def test_one_repeated_note_is_all_loop() -> None:
    notes = melody(0, 40)
    notes["pitch"], notes["duration_beat"] = 60, 1
    notes["onset_beat"] = np.arange(40)
    notes["beat_in_bar"] = notes["onset_beat"] % 4
    found = repetition.measure(notes)
    assert (found["rep_same"], found["longest_run"], found["loop_share"], found["n_pitches"]) == (1, 40, 1, 1)
    assert found["distinct4"] == pytest.approx(1 / 36)


def test_a_bar_four_times_is_a_loop_and_twice_is_not() -> None:
    bar, start = melody(3, 5), melody(4, 30)
    bar["onset_beat"] = [0, 1, 1.5, 2, 3]
    bar["beat_in_bar"] = bar["onset_beat"]

    def played(times: int) -> np.ndarray:
        copies = [bar.copy() for _ in range(times)]
        for number, copy in enumerate(copies):
            copy["onset_beat"] += 4 * number
        before = start.copy()
        before["onset_beat"] -= 4 * np.ceil(before["onset_beat"][-1] / 4 + 1)
        return np.concatenate([before, *copies])

    assert repetition.loop_share(played(4)) == pytest.approx(20 / 50)
    assert repetition.loop_share(played(2)) == 0


def test_a_wandering_melody_does_not_repeat_and_no_notes_are_defined() -> None:
    assert repetition.measure(melody(1))["distinct4"] > 0.95
    assert repetition.measure(melody(1))["loop_share"] == 0
    empty = repetition.measure(np.zeros(0, NOTE))
    assert (empty["rep_same"], empty["longest_run"], empty["distinct4"], empty["loop_share"]) == (0, 0, 1, 0)


# --- originality


def test_bars_count_from_zero_and_over_empty_ones() -> None:
    notes = melody(0, 3)
    notes["onset_beat"], notes["beat_in_bar"] = [3, 4, 16], [3, 0, 0]
    notes = np.concatenate([notes, notes[-1:], notes[-1:]])
    notes["onset_beat"][3:] = [20, 24]
    assert bars(notes).tolist() == [0, 1, 4, 5, 6]


@given(st.integers(0, 500), st.integers(-20, 20))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_tokens_do_not_change_under_transposition(seed: int, semitones: int) -> None:
    notes = melody(seed, 30)
    moved = notes.copy()
    moved["pitch"] += semitones
    for name in ("merged", "top"):
        assert (tokens(notes, name) == tokens(moved, name)).all()


@given(st.lists(st.integers(0, 3), max_size=60))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_suffix_order_is_that_of_sorting(codes: list[int]) -> None:
    expected = sorted(range(len(codes)), key=lambda start: codes[start:])
    assert suffix_order(np.array(codes, np.int32), 256).tolist() == expected


@pytest.mark.parametrize("semitones", [0, 5, -7])
def test_a_planted_quote_is_found_with_piece_and_bar(
    corpus: dict[str, np.ndarray], index: Index, semitones: int
) -> None:
    source = corpus["piece07"]
    quote = source[40:65].copy()
    quote["pitch"] += semitones
    own = melody(999, 30)
    quote["onset_beat"] += 80 - quote["onset_beat"][0]
    found = index.measure(np.concatenate([own, quote]))
    longest = found["longest"]
    assert (longest["notes"], longest["piece"]) == (25, "piece07")
    assert longest["bar"] == int(source["onset_beat"][40] // 4)
    assert longest["sample_start"] == 30
    assert found["cov8"] == found["cov16"] == pytest.approx(25 / 55)


def test_a_quote_with_one_note_altered_is_found_on_both_sides(corpus: dict[str, np.ndarray], index: Index) -> None:
    quote = corpus["piece03"][10:50].copy()
    quote["pitch"][25] += 1
    found = index.measure(quote)
    assert (found["longest"]["piece"], found["longest"]["notes"]) == ("piece03", 25)
    assert found["longest"]["bar"] == int(corpus["piece03"]["onset_beat"][10] // 4)
    assert found["cov8"] == pytest.approx(39 / 40)


def test_a_melody_quoted_over_new_chords_is_found_on_the_top_line(corpus: dict[str, np.ndarray], index: Index) -> None:
    tune = corpus["piece05"][20:50].copy()
    chords = melody(77, 30)
    chords["onset_beat"], chords["pitch"] = tune["onset_beat"], tune["pitch"].min() - chords["pitch"] % 12 - 5
    found = index.measure(np.concatenate([tune, chords]))
    assert (found["longest"]["view"], found["longest"]["piece"], found["longest"]["notes"]) == ("top", "piece05", 30)


def test_an_excluded_piece_is_not_searched(corpus: dict[str, np.ndarray], index: Index) -> None:
    assert index.measure(corpus["piece02"])["lcs"] == 120
    found = index.measure(corpus["piece02"], exclude=["piece02"])
    assert found["lcs"] < 12
    assert found["longest"]["piece"] != "piece02"


def test_an_empty_corpus_and_an_empty_piece_match_nothing(index: Index) -> None:
    assert Index.build({}).measure(melody(1))["lcs"] == 0
    found = index.measure(np.zeros(0, NOTE))
    assert (found["lcs"], found["cov8"], found["longest"]["piece"]) == (0, 0, None)


def test_matches_never_cross_pieces() -> None:
    whole = melody(5, 40)
    halves = Index.build({"a": whole[:20], "b": whole[20:]})
    assert halves.measure(whole)["lcs"] == 20


@given(st.integers(0, 1000), st.integers(0, 100), st.integers(2, 20))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_the_search_agrees_with_looking_everywhere(seed: int, start: int, length: int) -> None:
    pieces = {str(number): melody(seed + number, 40) for number in range(3)}
    start %= 20
    query = np.concatenate([pieces["1"][start : start + length], melody(seed + 50, 10)])
    found = tokens(query, "top").tolist()
    best = 0
    for notes in pieces.values():
        stream = tokens(notes, "top").tolist()
        for i in range(len(found)):
            for j in range(len(stream)):
                k = 0
                while i + k < len(found) and j + k < len(stream) and found[i + k] == stream[j + k]:
                    k += 1
                best = max(best, k)
    lengths, _ = Index.build(pieces).views["top"].match(np.array(found), None)
    assert lengths.max() == best


# --- measures of snapshots and of people


def test_snapshot_measures_carry_the_names_of_the_table_and_the_worst_copy(
    corpus: dict[str, np.ndarray], index: Index
) -> None:
    with (CURVES / "own01_adam_n30_lr0.003_d0.snap.csv").open() as file:
        names = set(next(csv.reader(file))) - {"epoch"}
    found = snapshot_measures([melody(500), corpus["piece04"][:60]], melody(501), index)
    assert names <= set(found)
    assert found["longest"]["piece"] == "piece04"
    assert (found["longest"]["sample"], found["lcs_max"]) == (1, 60)
    assert found["lcs_mean"] == pytest.approx((60 + index.measure(melody(500))["lcs"]) / 2)
    assert snapshot_measures([], None, index) == {}


def test_peoples_level_comes_from_windows_of_the_samples_length(index: Index) -> None:
    people = {f"held{seed}": melody(800 + seed, 100) for seed in range(6)}
    found = human_reference(people, index, 40)
    assert (found["pieces"], found["windows"], found["weak"]) == (6, 18, False)
    assert found["lcs"][0] <= found["lcs"][1] < 12
    assert found["distinct4"][1] <= found["distinct4"][0]
    assert human_reference({}, index, 40) == {"pieces": 0, "windows": 0, "weak": True}


def test_without_heldout_pieces_training_pieces_stand_in_with_their_family_left_out(
    corpus: dict[str, np.ndarray], index: Index
) -> None:
    people = {name: corpus[name] for name in ("piece00", "piece01")}
    found = human_reference(people, index, 60, {name: [name] for name in people})
    assert found["lcs"][1] < 12
    assert found["weak"]


def test_a_weak_reference_falls_back_to_the_fixed_floor() -> None:
    records, snapshots = large_run({epoch: {"lcs_mean": 13.0} for epoch in range(20, 41)})
    assert judge(records, snapshots, HUMAN, RULE, "x")["copying_begins"] is None
    found = judge(records, snapshots, {**HUMAN, "weak": True}, RULE, "x")
    assert found["copying_begins"] == 20
    assert "weak-reference" in found["flags"]


@pytest.mark.parametrize(("known", "epoch_is_found"), [(0.5, True), (0.1, False)])
def test_where_every_greedy_sample_loops_the_drawn_ones_are_held_against_people(known, epoch_is_found):
    """A small corpus trained with transposition: it overfits, never copies, and its likeliest continuation loops."""
    metrics = [
        {
            "epoch": epoch,
            "loss": 2 + 10 * math.exp(-epoch / 5),
            "accuracy": 0.5 - 0.5 * math.exp(-epoch / 5),
            "val_loss": 6 + 6 * math.exp(-epoch / 3) + 0.05 * max(epoch - 12, 0),
        }
        for epoch in range(1, 41)
    ]
    measures = {"distinct4": 0.99, "loop_share": 0.0, "lcs_mean": 5.0, "greedy_distinct4": 0.05}
    snapshots = [{"epoch": epoch, **measures, "known2": known, "known3": known} for epoch in range(1, 41)]
    people = {"lcs": [6.0, 8.0], "distinct4": [0.9, 0.5], "known2": [0.5, 0.3], "known3": [0.4, 0.2], "weak": True}
    verdict = judge(metrics, snapshots, people, Selection(), "hymns")
    assert verdict["signal"] == "shoulder"
    assert verdict["fit"] is epoch_is_found
    assert (verdict["epoch"] is not None) is epoch_is_found
    if epoch_is_found:
        assert "held against people instead" in verdict["reason"]
