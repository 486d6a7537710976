"""Copies on five views: whatever the key, the altered note or the player, with piece and bar, held against people."""

import json
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.config import Selection
from farm.music.encoding import NOTE
from farm.selection import traces
from farm.selection.candidates import levels
from farm.selection.copying import FIXED, FIXED_LINE, copy_levels, excess, worst_quote
from farm.selection.figures import Figures
from farm.selection.measures import human_reference, snapshot_measures
from farm.selection.originality import ELSEWHERE, Index
from farm.selection.rows import without_seen
from farm.selection.verdict import judge, judge_again

RULE = Selection(replicas=1)
QUICK = settings(max_examples=30, deadline=None, derandomize=True)


def piece(seed: int, moments: int = 60) -> np.ndarray:
    """Return a tune of quavers and crotchets over a bass and a middle voice of its own, in 4/4."""
    rng = np.random.Generator(np.random.PCG64(seed))
    lengths = rng.choice([0.5, 1.0], moments)
    onsets = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    tune = np.clip(72 + np.cumsum(rng.integers(-4, 5, moments)), 66, 96)
    rows = [(onset, length, pitch) for onset, length, pitch in zip(onsets, lengths, tune, strict=True)]
    rows += [(onset, 1.0, int(rng.integers(36, 48))) for onset in np.arange(0, onsets[-1], 1.0)]
    rows += [(onset, 0.5, int(rng.integers(52, 60))) for onset in np.arange(0.5, onsets[-1], 1.0)]
    return as_notes(sorted(rows, key=lambda row: (row[0], row[2])))


def as_notes(rows: list[tuple[float, float, int]]) -> np.ndarray:
    notes = np.zeros(len(rows), NOTE)
    notes["onset_beat"], notes["duration_beat"], notes["pitch"] = zip(*rows, strict=True)
    notes["velocity"], notes["beat_in_bar"] = 64, notes["onset_beat"] % 4
    return notes


CORPUS = {f"p{seed}": piece(seed) for seed in range(12)}
INDEX = Index.build(CORPUS)


def planted(quote: np.ndarray, seed: int = 900) -> np.ndarray:
    """Return a quote in the midst of other music."""
    host = piece(seed, 30)
    quote = quote.copy()
    middle = 12.0
    quote["onset_beat"] += middle - np.floor(quote["onset_beat"][0])
    after = host[host["onset_beat"] >= middle].copy()
    after["onset_beat"] += np.ceil((quote["onset_beat"] + quote["duration_beat"]).max()) - middle
    return np.concatenate([host[host["onset_beat"] < middle], quote, after])


def named(notes: np.ndarray, exclude: tuple[str, ...] = ()) -> dict[str, Any]:
    return first(INDEX.measure(notes, exclude)["quotes"])


def first(quotes: dict[str, Any]) -> dict[str, Any]:
    return {name: listed[0] for name, listed in quotes.items()}


@QUICK
@given(st.integers(0, 500), st.integers(-24, 24))
def test_transposition_changes_no_view(seed, semitones):
    notes = piece(seed, 30)
    moved = notes.copy()
    moved["pitch"] += semitones
    for one, other in zip(traces.read(notes).values(), traces.read(moved).values(), strict=True):
        assert all((a == b).all() for a, b in zip(one, other, strict=True))


@QUICK
@given(st.integers(0, 11), st.integers(0, 60), st.integers(16, 24), st.integers(-6, 6), st.data())
def test_a_planted_quote_is_found_with_piece_and_bar_whichever_note_is_altered(seed, start, length, semitones, data):
    source = CORPUS[f"p{seed}"]
    quote = source[start : start + length].copy()
    quote["pitch"] += semitones
    at = data.draw(st.integers(0, length))  # the last is no note
    if at < length:
        quote["pitch"][at] += data.draw(st.sampled_from([-3, -2, 2, 3]))
    found = named(planted(quote))["merged"]
    assert found["piece"] == f"p{seed}"
    begins, ends = (int(source["onset_beat"][n] // 4) for n in (start, start + length - 1))
    assert begins - 1 <= found["bar"] <= ends
    assert found["notes"] >= (length if at == length else length - 4)


def test_an_altered_note_is_bridged_and_told():
    quote = CORPUS["p3"][20:50].copy()
    assert not named(quote)["merged"]["altered"]
    quote["pitch"][15] += 1
    found = named(quote)["merged"]
    assert (found["notes"], found["altered"], found["piece"]) == (30, True, "p3")
    assert INDEX.measure(quote)["near16"] == 1
    assert INDEX.measure(quote)["lcs"] < 20


def test_a_note_left_out_is_bridged_too():
    quote = np.delete(CORPUS["p3"][20:50], 15)
    assert named(quote)["coarse"]["notes"] == 29


@pytest.mark.parametrize("name", ["tune", "bass"])
def test_a_line_under_or_over_other_music_is_found_on_its_own_view(name):
    source = CORPUS["p5"]
    line = source[np.sort(traces.read(source)[name].notes)][8:32].copy()
    other = piece(77, 80)
    other = other[other["onset_beat"] < 200]
    other["onset_beat"] += line["onset_beat"][0]
    until = other["onset_beat"] < line["onset_beat"][-1] + 1
    other = other[until & ((other["pitch"] < 64) if name == "tune" else (other["pitch"] > 50))]
    found = named(np.concatenate([line, other]))[name]
    assert found["piece"] == "p5"
    assert found["notes"] >= 20


def test_chords_are_found_whatever_their_rhythm_and_spacing():
    rng = np.random.Generator(np.random.PCG64(5))
    chords = [sorted(rng.choice(np.arange(48, 72), 4, replace=False).tolist()) for _ in range(20)]
    source = as_notes([(float(n), 1.0, pitch) for n, chord in enumerate(chords) for pitch in chord])
    spread = [(n * 1.05, 0.5, pitch + 12 * (pitch != min(chord))) for n, chord in enumerate(chords) for pitch in chord]
    found = first(Index.build({"hymn": source}).measure(as_notes(spread))["quotes"])
    assert (found["chords"]["notes"], found["chords"]["piece"]) == (20, "hymn")
    assert "merged" not in found


@QUICK
@given(st.integers(0, 11), st.integers(0, 100))
def test_a_player_hides_no_copy(seed, chance):
    rng = np.random.Generator(np.random.PCG64(chance))
    quote = CORPUS[f"p{seed}"][20:50].copy()
    quote["onset_beat"] += rng.uniform(-0.035, 0.035, len(quote))
    quote["duration_beat"] *= rng.uniform(0.8, 1.1, len(quote))
    quote["velocity"] = rng.integers(20, 100, len(quote))
    found = named(quote)["coarse"]
    assert (found["piece"], found["notes"]) == (f"p{seed}", 30)


@QUICK
@given(st.integers(0, 11))
def test_what_is_excluded_is_not_searched(seed):
    found = named(CORPUS[f"p{seed}"], (f"p{seed}",))
    assert all(quote["piece"] != f"p{seed}" for quote in found.values())
    assert max((quote["fresh"] for quote in found.values()), default=0) < 14


def test_a_figure_over_and_over_is_no_quote_of_weight():
    trill = as_notes([(n / 4, 0.25, 70 + 2 * (n % 2)) for n in range(80)])
    found = Index.build({"study": trill}).measure(trill[:60])["quotes"]["merged"][0]
    assert found["notes"] == 60
    assert found["fresh"] < 12


def test_nothing_and_one_note_and_an_empty_corpus_quote_nothing():
    for notes in (piece(1)[:0], piece(1)[:1], piece(1)[:3]):
        assert named(notes) == {}
    empty = Index.build({}).measure(piece(1))
    assert (empty["quotes"], empty["near8"]) == ({}, 0.0)
    assert Index.build({"a": piece(1)[:1], "b": piece(2)}).measure(piece(2))["quotes"]["merged"][0]["piece"] == "b"


def test_a_commonplace_does_not_hide_another_quote():
    both = planted(CORPUS["p7"][30:50])
    quote = CORPUS["p2"][40:80].copy()
    quote["onset_beat"] += 400
    listed = INDEX.measure(np.concatenate([both, quote]))["quotes"]["merged"]
    assert [one["piece"] for one in listed[:2]] == ["p2", "p7"]


def test_a_corpus_beside_another_is_quoted_like_one():
    first, second = dict(list(CORPUS.items())[:5]), dict(list(CORPUS.items())[5:])
    parts = replace(Index.build(first), beside=(Index.from_arrays(Index.build(second).to_arrays()),))
    for notes in (planted(CORPUS["p2"][10:40]), planted(CORPUS["p9"][10:40])):
        for family in ([], ["p2", "p9"]):
            found, whole = parts.measure(notes, family), INDEX.measure(notes, family)
            of_style = ("known2", "known3")
            assert all(found.pop(name) <= whole.pop(name) for name in of_style), "only its own music is of the style"
            assert found == whole


def test_what_only_a_base_file_knows_is_a_quote_of_the_base():
    index = replace(Index.build({"own": piece(50)}), figures=Figures.build([piece(51)]))
    found = index.measure(piece(51)[20:50])["quotes"]["merged"][0]
    assert (found["notes"], found["piece"], found["bar"]) == (30, ELSEWHERE, None)


# --- against people


def people(rows: list[dict[str, int]], pieces: int = 10) -> dict[str, Any]:
    return {"pieces": pieces, "weights": {name: [row.get(name, 0) for row in rows] for name in FIXED}}


def test_the_level_of_a_view_is_peoples_but_never_below_the_floor():
    found = copy_levels(people([{"bass": 20, "tune": 9}] * 40), RULE)
    assert found is not None
    assert (found.views["bass"], found.views["tune"], found.line, found.by_people) == (20, 12, 1, True)
    assert excess({**dict.fromkeys(FIXED, 0), "bass": 30, "tune": 15}, found) == (1.5, "bass")
    assert excess(dict.fromkeys(FIXED, 0), found) == (0, None)


def test_views_on_which_people_quote_without_end_are_no_evidence():
    found = copy_levels(people([{"bass": 90}] * 40), RULE)
    assert found is not None
    assert "bass" not in found.views
    every = copy_levels(people([dict.fromkeys(FIXED, 90)] * 40), RULE)
    assert every is not None
    assert set(every.views.values()) == {40}


def test_several_views_together_raise_no_more_alarms_than_wanted():
    rng = np.random.Generator(np.random.PCG64(3))
    rows = [dict(zip(FIXED, rng.geometric(0.1, 5).tolist(), strict=True)) for _ in range(4000)]
    found = copy_levels(people(rows[:2000]), RULE)
    assert found is not None
    assert np.mean([excess(row, found)[0] > found.line for row in rows[2000:]]) < 0.05


@pytest.mark.parametrize(("windows", "pieces"), [(18, 10), (40, 3)])
def test_too_few_people_give_the_fixed_levels(windows, pieces):
    found = copy_levels(people([{"merged": 5}] * windows, pieces), RULE)
    assert found is not None
    assert (dict(found.views), found.line, found.by_people) == (FIXED, FIXED_LINE, False)


def test_runs_without_quotes_are_judged_as_before():
    assert copy_levels(None, RULE) is None
    assert levels({"lcs": [6, 14], "distinct4": [0.7, 0.4]}, RULE).quotes is None


@cache
def reference() -> dict[str, Any]:
    heldout = {f"h{seed}": piece(700 + seed, 150) for seed in range(4)}
    return human_reference(heldout, INDEX, 60, {name: [name] for name in (*CORPUS, *heldout)}, CORPUS)


def test_training_pieces_tell_how_much_people_quote_with_their_families_left_out():
    found = reference()
    assert found["quotes"]["pieces"] == 16
    assert len(found["quotes"]["weights"]["merged"]) == found["windows"]
    assert max(found["quotes"]["weights"]["merged"]) < 14


def judged(samples: list[np.ndarray], *later: list[np.ndarray], rule: Selection = RULE) -> dict[str, Any]:
    """Return the verdict on a run whose snapshots composed these samples, the last of them in every later one."""
    metrics = [{"epoch": n, "loss": 2 + 8 * 0.8**n, "accuracy": 0.6 - 0.5 * 0.8**n} for n in range(1, 61)]
    measured = [snapshot_measures(one, None, INDEX) for one in (samples, *later)]
    measured += [measured[-1]] * (3 - len(measured))
    snapshots = [{"epoch": 20 * (n + 1), **measures} for n, measures in enumerate(measured)]
    people = {"lcs": [6, 14], "distinct4": [0.7, 0.2], "loop_share": [0.1, 0.5], "quotes": reference()["quotes"]}
    return judge(metrics, snapshots, people, rule, "x")


def test_one_sample_that_quotes_is_flagged_and_named_though_the_others_do_not():
    clean = judged([piece(800 + n, 50) for n in range(4)])
    assert "one-sample-copies" not in clean["flags"]
    assert (clean["copying_begins"], clean["candidates"][0]["copying"]) == (None, False)
    quote = CORPUS["p7"][30:54].copy()
    quote["pitch"] += 3
    quote["pitch"][11] += 2
    found = judged([*(piece(800 + n, 50) for n in range(3)), planted(quote)])
    assert found["epoch"] is not None
    assert "one-sample-copies" in found["flags"]
    row = found["candidates"][0]
    assert (row["one_copies"], row["copying"]) == (True, False)
    assert (row["quote"]["piece"], row["quote"]["sample"], row["quote"]["altered"]) == ("p7", 3, True)
    assert "p7, bar" in found["reason"]


def test_samples_that_all_quote_are_copies():
    found = judged([planted(CORPUS[f"p{n}"][10:50]) for n in range(4)])
    assert found["epoch"] is None
    assert found["copying_begins"] == 20
    assert all(row["copying"] for row in found["candidates"])
    assert "times what people quote" in found["reason"]


def test_another_rule_on_a_verdict_weighs_the_quotes_anew():
    snapshots = [[piece(800 + n, 50) for n in range(4)]] + [
        [planted(CORPUS[f"p{n}"][10 : 10 + length]) for n in range(4)] for length in (30, 40)
    ]
    first = judged(*snapshots)
    assert (first["epoch"], first["copying_begins"]) == (20, 40)
    stored = json.loads(json.dumps(first, allow_nan=False))
    assert judge_again(stored, RULE) == first
    lenient = Selection(replicas=1, copy_floor_notes=38, copy_ceiling_notes=60)
    again = judge_again(stored, lenient)
    assert again == judged(*snapshots, rule=lenient)
    assert again["copying_begins"] == 60
    assert judge_again(again, RULE) == first


def test_the_catalog_keeps_the_worst_quote_and_none_of_the_others():
    found = judged([planted(CORPUS[f"p{n}"][10:50]) for n in range(4)])
    kept = without_seen(found)
    assert len(json.dumps(kept)) < 0.5 * len(json.dumps(found))
    assert kept["candidates"][0]["quote"] == found["candidates"][0]["quote"]
    assert kept["human"]["lcs"] == [6, 14]
    assert not {"metrics", "quotes"} & {*kept, *kept["human"], *kept["candidates"][0]}


def test_the_worst_quote_is_the_one_furthest_beyond_its_level():
    against = copy_levels(people([{"bass": 24}] * 40), RULE)
    assert against is not None
    samples = [{"bass": [{"fresh": 25, "notes": 30}]}, {}, {"tune": [{"fresh": 18, "notes": 18}]}]
    found = worst_quote(samples, against)
    assert found is not None
    assert (found["sample"], found["view"], found["excess"]) == (2, "tune", 1.5)
    assert worst_quote([{}, {}], against) is None
