"""Notes to events and back: every onset within half a step of the grid, nothing lost but what the docstring says."""

import json

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from farm.errors import IntegrityError
from farm.music.encoding import (
    BEATS,
    DURATION,
    DURATION_STEPS,
    FREE,
    GRIDS,
    MAX_BEATS,
    METRE,
    NOTE,
    PITCH,
    POSITION,
    STEP,
    STEPS_PER_BEAT,
    Encoding,
    decode,
    encode,
    transpose,
)
from farm.music.grid import GridLoss, choose_grid, grid_losses

SCORE = Encoding()
PERFORMANCE = Encoding(grid=48, has_velocity=True)


def notes_of(rows, bar_beats=4.0):
    notes = np.zeros(len(rows), NOTE)
    for index, (onset, duration, pitch, velocity) in enumerate(rows):
        notes[index] = (onset, duration, pitch, velocity, onset % bar_beats)
    return notes


note_rows = st.lists(
    st.tuples(
        st.integers(0, MAX_BEATS * STEPS_PER_BEAT),
        st.sampled_from(DURATION_STEPS),
        st.integers(0, 127),
        st.integers(1, 127),
    ),
    max_size=40,
)


@given(note_rows)
def test_round_trip_is_exact_on_the_grid(rows):
    onset, absolute = 0, []
    for gap, duration, pitch, velocity in rows:
        onset += gap
        absolute.append((onset / STEPS_PER_BEAT, duration / STEPS_PER_BEAT, pitch, velocity))
    absolute = [(on - absolute[0][0] // 4 * 4, *rest) for on, *rest in absolute]
    notes = np.sort(notes_of(absolute), order=["onset_beat", "pitch", "duration_beat"])
    back = decode(encode(notes, PERFORMANCE, "4/4"), PERFORMANCE)
    for name in ("onset_beat", "duration_beat", "pitch"):
        np.testing.assert_allclose(back[name], notes[name], atol=1e-9)
    assert (np.abs(back["velocity"] - notes["velocity"]) <= 8).all()
    np.testing.assert_allclose(back["beat_in_bar"], notes["beat_in_bar"], atol=1e-9)


gaps_beats = st.one_of(st.just(0.0), st.floats(0, 2), st.sampled_from([5.1, 17.0, 40.0]), st.floats(0, MAX_BEATS - 1))


@given(st.lists(st.tuples(gaps_beats, st.integers(0, 127)), max_size=60), st.sampled_from(GRIDS), st.booleans())
@example([(0.0, 60), *[(5.1, 60)] * 40, (17.0, 61), (40.0, 62), (0.1, 60)], 12, False)
def test_no_onset_is_told_more_than_half_a_grid_step_off_whatever_the_gaps(rows, grid, is_free):
    encoding = Encoding(grid=grid)
    onsets = np.cumsum([gap for gap, _ in rows])
    notes = notes_of([(onset, 1.0, pitch, 64) for onset, (_, pitch) in zip(onsets, rows, strict=True)])
    back = decode(encode(notes, encoding, FREE if is_free else "4/4"), encoding)
    assert len(back) == len(notes)
    assert sorted(back["pitch"]) == sorted(notes["pitch"])
    if len(rows):
        begin = np.rint(onsets[0] * grid) / grid if is_free else onsets[0] // 4 * 4
        moved = np.abs(back["onset_beat"] + begin - onsets) % 4  # a first note that moved to the next bar begins there
        assert np.minimum(moved, 4 - moved).max() <= 0.5 / grid + 1e-9
        assert np.abs(np.diff(back["onset_beat"]) - np.diff(onsets)).max(initial=0) <= 1 / grid + 1e-9


def test_a_longer_silence_is_shortened_by_whole_beats():
    gaps = [0, 64, 64.5, 65, 100.25, 1000]
    back = decode(encode(notes_of([(on, 1, 60, 64) for on in np.cumsum(gaps)]), SCORE, "4/4"), SCORE)
    assert np.diff(back["onset_beat"]).tolist() == [64, 64.5, 64, 64.25, 64]


@given(st.lists(st.floats(0.001, 40), min_size=1, max_size=40))
def test_durations_go_to_the_nearest_class(durations):
    notes = notes_of([(place, duration, 60, 64) for place, duration in enumerate(durations)])
    back = decode(encode(notes, SCORE, "4/4"), SCORE)["duration_beat"]
    for duration, told in zip(durations, back.tolist(), strict=True):
        off = abs(told - duration)
        assert off <= min(abs(steps / STEPS_PER_BEAT - duration) for steps in DURATION_STEPS) + 1e-9
        if duration >= 1 / STEPS_PER_BEAT:
            steps = [(1, 1 / 48), (2, 1 / 24), (4, 1 / 8), (32, 0.12 * duration)]
            assert off <= next((bound for up_to, bound in steps if duration <= up_to), duration - 32) + 1e-9


def test_leading_empty_bars_go_and_the_upbeat_stays():
    notes = notes_of([(11.0, 1, 60, 64), (12.0, 1, 62, 64)])
    events = encode(notes, SCORE, "4/4")
    assert events[1, [BEATS, STEP]].tolist() == [3, 0]
    assert events[1:3, POSITION].tolist() == [3 * STEPS_PER_BEAT, 0]
    assert (events[:, METRE] == SCORE.metre_class("4/4")).all()


def test_a_note_that_moves_to_a_bar_line_begins_the_next_bar():
    notes = notes_of([(0.0, 1, 60, 64), (3.98, 1, 62, 64), (4.0, 1, 65, 64), (7.99, 1, 60, 64), (9.0, 1, 60, 64)])
    events = encode(notes, SCORE, "4/4")
    assert events[1:-1, POSITION].tolist() == [0, 0, 0, 0, STEPS_PER_BEAT]
    assert events[2:4, PITCH].tolist() == [62, 65]
    early = encode(notes[1:], SCORE, "4/4")
    assert early[1, [BEATS, STEP, POSITION]].tolist() == [0, 0, 0], "the first note lies in the first bar"


def test_music_without_bars_begins_at_once_and_has_no_position():
    notes = notes_of([(7.3, 1, 60, 64), (9.05, 1, 62, 64), (70.0, 1, 64, 64)])
    for told in (None, FREE):
        events = encode(notes, PERFORMANCE, told)
        assert (events[:, METRE] == PERFORMANCE.metres.index(FREE)).all()
        assert (events[:, POSITION] == 0).all()
        assert events[1, [BEATS, STEP]].tolist() == [0, 0]
        onsets = decode(events, PERFORMANCE)["onset_beat"]
        assert np.abs(onsets + 7.3 - notes["onset_beat"]).max() <= 1 / STEPS_PER_BEAT


def test_chords_go_upwards():
    events = encode(notes_of([(0, 1, 67, 64), (0, 1, 60, 64), (0.01, 1, 64, 64), (0, 2, 60, 64)]), SCORE, "3/4")
    assert events[1:5, PITCH].tolist() == [60, 60, 64, 67]
    assert np.diff(events[1:3, DURATION]) > 0
    assert not events[2:5, [BEATS, STEP]].any()


def test_an_empty_piece_is_start_and_stop():
    events = encode(np.zeros(0, NOTE), SCORE, None)
    assert events.shape == (2, 7)
    assert events[:, BEATS].tolist() == [SCORE.stop + 1, SCORE.stop]
    assert len(decode(events, SCORE)) == 0


def test_transposing_moves_every_note_or_none():
    events = encode(notes_of([(0, 1, 60, 64), (1, 1, 120, 64)]), SCORE, "4/4")
    assert transpose(events, 5, SCORE)[1:3, PITCH].tolist() == [65, 125]
    assert transpose(events, 11, SCORE)[1:3, PITCH].tolist() == [60, 120]
    assert transpose(events, 5, SCORE)[[0, -1], PITCH].tolist() == events[[0, -1], PITCH].tolist()


@pytest.mark.parametrize(
    ("metre", "beats"),
    [("4/4", 4), ("3/4", 3), ("6/8", 3), ("3/8", 1.5), ("4/2", 8), ("7/8", 3.5), ("11/8", 4), (None, 4)],
)
def test_bar_lengths(metre, beats):
    assert SCORE.bar_steps(SCORE.metre_class(metre)) == beats * STEPS_PER_BEAT


def test_the_encoding_travels_as_json():
    assert Encoding.from_json(json.loads(json.dumps(PERFORMANCE.to_json()))) == PERFORMANCE


@pytest.mark.parametrize(
    "change",
    [
        {"n_pitches": 10**9},
        {"duration_steps": [3, 1]},
        {"duration_steps": []},
        {"steps_per_beat": "12"},
        {"steps_per_beat": 6, "grid": 6},
        {"grid": 36},
        {"grid": 0},
        {"max_beats": 10**6},
        {"has_velocity": 1},
        {"code": "x"},
        {"metres": [1]},
        {"metres": ["4/4", "other"]},
        {"metres": ["4/4", "free"]},
    ],
)
def test_a_foreign_encoding_is_refused(change):
    with pytest.raises(IntegrityError, match="encoding: not one this version knows"):
        Encoding.from_json({**SCORE.to_json(), **change})


# --- the grid of a style


def test_the_losses_of_a_grid_are_those_counted_by_hand():
    # At 60 beats a minute a 24th is 41.7 ms: half of a twelfth is moved audibly by a grid of 12, by 24 not at all.
    losses = grid_losses([np.array([0, 1 / 24, 0.5, 1 / 48]), np.array([0, 1 / 24])], [60.0, 240.0])
    assert losses[12] == GridLoss(moved_share=round(2 / 6, 4), mean_seconds=round((2 / 48 + 1 / 48 + 1 / 96) / 6, 5))
    assert losses[24] == GridLoss(moved_share=round(1 / 6, 4), mean_seconds=round(1 / 48 / 6, 5))
    assert losses[48] == GridLoss(0.0, 0.0)


@pytest.mark.parametrize(
    ("shares", "grid"),
    [((0.0, 0.0, 0.0), 12), ((0.01, 0.0, 0.0), 12), ((0.0101, 0.01, 0.0), 24), ((0.5, 0.4, 0.3), 48)],
)
def test_the_coarsest_grid_that_moves_hardly_a_note_is_chosen(shares, grid):
    losses = {places: GridLoss(share, 0.0) for places, share in zip(GRIDS, shares, strict=True)}
    assert choose_grid(losses) == grid


def test_no_music_needs_no_fine_grid():
    for nothing in (grid_losses([], []), grid_losses([np.zeros(0)], [120.0])):
        assert nothing == dict.fromkeys(GRIDS, GridLoss(0.0, 0.0))
        assert choose_grid(nothing) == 12
