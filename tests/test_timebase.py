"""Beats or seconds: made scores and performances, invariances, and files labelled by hand."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.corpus.timebase import FEWEST_ONSETS, GRIDS, ON_GRID, grid_shares, time_bases

CORPORA = Path(__file__).parent.parent.parent / "shared" / "corpora"

# Looked at in raw ticks: the stated beat is kept (exactly, or played around it to a click), or it is not.
ON_THE_BEAT = {
    "anthems": ["Albania", "Brazil", "El_Salvador", "Estonia", "France", "Mexico", "Uruguay", "Uzbekistan", "India"],
    "clementi": ["clemm.mid", "clemm2", "clemm3", "sonatina_op37_n3_1mov"],
    "liszt": ["liz_et1.mid", "liz_et2"],
    "chopin": ["chpn_op66", "chpn-p10"],
    "beethoven": ["waldstein_3", "pathetique_2"],
    "lullabies": ["shostakovich", "morel", "gershwin"],
    "wedding": ["midsummer", "schubert-lieder", "bach-jesu"],
    "scarlatti": ["k289", "k395", "k277"],
    "bach": ["bach_846", "bach_847"],
    "hymns": ["Nicaea"],
}
OFF_THE_BEAT = {
    "own": ["op38_p"],  # 23 recordings of a whole opening
    "clementi": ["op25_1mov", "op25_2mov", "op25_3mov", "harpsicord", "parnassum_n16", "parnassum_n17", "n26", "n65"],
    "lullabies": ["unknown_artist-i_o"],
    "wedding": ["mendelsonn-piano_wedding_march", "bees_wedding", "schubert-ave_maria.mid"],
    "scarlatti": ["k226", "k363", "k492", "k544", "k550", "k270", "v5-k513"],
}


def base_of(onsets):
    bases, _ = time_bases(np.asarray(onsets, float), np.array([0, len(onsets)]))
    return bases[0]


def share_of(onsets):
    return grid_shares(np.asarray(onsets, float), np.array([0, len(onsets)]))[0]


def score(rng, n_beats, divisions=(1, 2, 3, 4)):
    """A beat is divided in 1 to 4, or as told; a quarter of the notes is left out."""
    onsets = np.concatenate([beat + np.arange(d) / d for beat, d in enumerate(rng.choice(divisions, n_beats))])
    return onsets[rng.random(len(onsets)) > 0.25]


def performance(rng, onsets, bpm, drift=0.03, jitter_beats=0.02):
    """The same notes at a tempo that walks from beat to beat, written down against a clock of 120 beats a minute."""
    beats = np.arange(int(onsets.max()) + 2)
    tempo = bpm * np.exp(np.cumsum(rng.normal(0, drift, len(beats))))
    clock = np.concatenate([[0], np.cumsum(120 / tempo)[:-1]])
    return np.sort(np.interp(onsets, beats, clock) + rng.normal(0, jitter_beats, len(onsets)))


def in_ticks(onsets, per_beat):
    return np.rint(np.asarray(onsets) * per_beat) / per_beat


@pytest.mark.parametrize("per_beat", [24, 48, 96, 120, 480, 960])
def test_scores_are_in_beats_at_every_resolution(per_beat):
    rng = np.random.default_rng(per_beat)
    for _ in range(20):
        onsets = in_ticks(score(rng, 40), per_beat)
        assert base_of(onsets) == "beats"
        assert share_of(onsets) > 0.5


@pytest.mark.parametrize("per_beat", [24, 48, 96, 480, 4000])
def test_performances_are_in_seconds_at_every_resolution(per_beat):
    rng = np.random.default_rng(per_beat)
    bases = [base_of(in_ticks(performance(rng, score(rng, 200), rng.uniform(50, 180)), per_beat)) for _ in range(40)]
    assert bases.count("seconds") >= 38  # one that hovers about the clock's own tempo for long cannot be told


def test_sixteenths_alone_are_wholly_on_the_grid_whatever_their_offset():
    for offset in (0, 3 / 480, 0.1, 7.77):
        assert share_of(np.arange(64) / 4 + offset) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("grid", GRIDS)
def test_notes_of_any_one_division_are_wholly_on_the_grid(grid):
    assert share_of(np.arange(64) / grid) == pytest.approx(1, abs=1e-3)


def test_the_share_is_the_part_that_keeps_to_the_grid():
    rng = np.random.default_rng(5)
    onsets = np.concatenate([np.arange(2400) / 4, rng.uniform(0, 600, 1600)])
    assert share_of(np.sort(onsets)) == pytest.approx(0.6, abs=0.03)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(FEWEST_ONSETS, 300))
def test_random_onsets_hardly_ever_reach_the_beats(seed, n):
    shares = [share_of(np.sort(np.random.default_rng((seed, i)).uniform(0, n / 2, n))) for i in range(20)]
    assert sum(share > ON_GRID for share in shares) <= 2  # of 20, where one in a thousand may


def test_a_few_ornaments_do_not_flip_a_score():
    rng = np.random.default_rng(1)
    onsets = np.arange(64) / 2
    graced = np.sort(np.concatenate([onsets, rng.choice(onsets, 16, replace=False) - 0.07]))
    assert base_of(graced) == "beats"
    trill = np.sort(np.concatenate([onsets, 8 + np.arange(1, 14) / 14.3]))
    assert base_of(trill) == "beats"


@pytest.mark.parametrize("divisions", [(7, 4), (5, 3, 4), (7, 5, 6), (1, 2, 4, 9)])
def test_tuplets_do_not_flip_a_score(divisions):
    rng = np.random.default_rng(sum(divisions))
    assert base_of(score(rng, 60, divisions)) == "beats"


@pytest.mark.parametrize("second_eighth", [0.55, 0.6, 2 / 3, 0.7, 0.75])
def test_swing_is_in_beats(second_eighth):
    beats = np.arange(48)
    assert base_of(np.sort(np.concatenate([beats, beats + second_eighth]))) == "beats"


def test_playing_around_a_click_is_in_beats():
    """The spread of the anthems: .02 to .035 of a beat."""
    rng = np.random.default_rng(2)
    onsets = score(rng, 150, (1, 2, 4))
    played = np.concatenate([onsets + rng.normal(late, 0.035, len(onsets)) for late in (0, 0.02, -0.02)])
    assert base_of(np.sort(played)) == "beats"


def test_a_performance_by_tempo_changes_is_in_beats():
    """Its onsets in beats are those of the score; only the seconds are played."""
    assert base_of(score(np.random.default_rng(3), 100)) == "beats"


def test_a_clock_of_one_tick_a_beat_is_no_beat():
    milliseconds = np.rint(performance(np.random.default_rng(4), score(np.random.default_rng(4), 100), 90) * 500)
    assert base_of(milliseconds) == "seconds"
    assert base_of(np.arange(40) * 4.0) == "beats"  # semibreves


def test_too_few_onsets_keep_their_beat_and_have_no_share():
    rng = np.random.default_rng(6)
    onsets = np.sort(rng.uniform(0, 8, FEWEST_ONSETS - 1))
    assert base_of(onsets) == "beats"
    assert np.isnan(share_of(onsets))
    assert np.isnan(share_of(np.repeat(onsets, 5)))  # chords add no onsets
    assert base_of([]) == "beats"


def test_no_pieces_give_nothing():
    bases, shares = time_bases(np.zeros(0), np.array([0]))
    assert len(bases) == len(shares) == 0


def test_many_pieces_at_once_give_what_each_gives_alone():
    rng = np.random.default_rng(7)
    pieces = [np.zeros(0), score(rng, 50), performance(rng, score(rng, 90), 77), np.zeros(3), np.zeros(0)]
    pieces += [score(rng, 60) + 0.3, rng.uniform(0, 9, 11), rng.uniform(0, 90, 400), np.zeros(0)]
    bounds = np.concatenate([[0], np.cumsum([len(piece) for piece in pieces])])
    bases, shares = time_bases(np.concatenate(pieces), bounds)
    assert bases.tolist() == [base_of(piece) for piece in pieces]
    assert np.array_equal(shares, [share_of(piece) for piece in pieces], equal_nan=True)


def test_order_and_doubled_notes_change_nothing():
    rng = np.random.default_rng(8)
    onsets = np.concatenate([score(rng, 50), rng.uniform(0, 50, 30)])
    doubled = rng.permutation(np.concatenate([onsets, onsets[:40]]))
    assert share_of(doubled) == share_of(np.sort(onsets))


def test_whole_beats_more_change_nothing():
    onsets = np.sort(np.random.default_rng(9).uniform(0, 50, 100).round(2))
    assert share_of(onsets + 1000) == pytest.approx(share_of(onsets), abs=2e-3)


@pytest.mark.skipif(not CORPORA.exists(), reason="the development corpora are not here")
@pytest.mark.parametrize(("expected", "labels"), [("beats", ON_THE_BEAT), ("seconds", OFF_THE_BEAT)])
def test_files_looked_at_by_hand_are_told_apart(expected, labels):
    symusic = pytest.importorskip("symusic")
    for style, names in labels.items():
        for name in names:
            paths = [path for path in (CORPORA / style).iterdir() if name in path.name]
            assert paths, name
            for path in paths:
                loaded = symusic.Score(str(path))
                ticks = np.concatenate([track.notes.numpy()["time"] for track in loaded.tracks])
                assert base_of(np.sort(ticks) / loaded.tpq) == expected, path.name
