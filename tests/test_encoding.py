"""Notes to events and back: exact on the grid, nothing lost off it but what the docstring says."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farm.errors import IntegrityError
from farm.music.encoding import (
    DURATION_STEPS,
    METRE,
    NOTE,
    PITCH,
    POSITION,
    STEPS_PER_BEAT,
    TIME,
    TIME_STEPS,
    Encoding,
    decode,
    encode,
    transpose,
)

SCORE = Encoding()
PERFORMANCE = Encoding(has_velocity=True)


def notes_of(rows, bar_beats=4.0):
    notes = np.zeros(len(rows), NOTE)
    for index, (onset, duration, pitch, velocity) in enumerate(rows):
        notes[index] = (onset, duration, pitch, velocity, onset % bar_beats)
    return notes


note_rows = st.lists(
    st.tuples(st.sampled_from(TIME_STEPS), st.sampled_from(DURATION_STEPS), st.integers(0, 127), st.integers(1, 127)),
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


@given(
    st.lists(st.tuples(st.floats(0, 200), st.floats(0.01, 40), st.integers(0, 127), st.integers(1, 127)), max_size=40)
)
def test_off_the_grid_the_error_stays_below_half_a_step_unless_a_gap_is_long(rows):
    notes = notes_of(rows)
    back = decode(encode(notes, SCORE, "4/4"), SCORE)
    assert len(back) == len(notes)
    onsets = np.sort(notes["onset_beat"])
    if len(notes) and np.diff(onsets, prepend=0).max() <= 4:
        shift = back["onset_beat"][0] - onsets[0]
        assert np.abs(back["onset_beat"] - onsets - round(shift)).max() <= 0.5 / STEPS_PER_BEAT + 1e-9


def test_an_error_of_a_long_gap_does_not_add_up():
    onsets = [0.0, 5.1, 10.2, 15.3, 20.4, 20.5]
    back = decode(encode(notes_of([(on, 1, 60, 64) for on in onsets]), SCORE, "4/4"), SCORE)
    assert abs(back["onset_beat"][-1] - 20.5) <= 3 / STEPS_PER_BEAT


def test_leading_empty_bars_go_and_the_upbeat_stays():
    notes = notes_of([(11.0, 1, 60, 64), (12.0, 1, 62, 64)])
    events = encode(notes, SCORE, "4/4")
    assert events[1, TIME] == 3 * STEPS_PER_BEAT
    assert events[1:3, POSITION].tolist() == [36, 0]
    assert (events[:, METRE] == SCORE.metre_class("4/4")).all()


def test_chords_go_upwards():
    events = encode(notes_of([(0, 1, 67, 64), (0, 1, 60, 64), (0, 1, 64, 64)]), SCORE, "3/4")
    assert events[1:4, PITCH].tolist() == [60, 64, 67]
    assert events[2:4, TIME].tolist() == [0, 0]


def test_an_empty_piece_is_start_and_stop():
    events = encode(np.zeros(0, NOTE), SCORE, None)
    assert events.shape == (2, 6)
    assert len(decode(events, SCORE)) == 0


def test_transposing_moves_every_note_or_none():
    events = encode(notes_of([(0, 1, 60, 64), (1, 1, 120, 64)]), SCORE, "4/4")
    assert transpose(events, 5, SCORE)[1:3, PITCH].tolist() == [65, 125]
    assert transpose(events, 11, SCORE)[1:3, PITCH].tolist() == [60, 120]
    assert transpose(events, 5, SCORE)[[0, -1], PITCH].tolist() == events[[0, -1], PITCH].tolist()


@pytest.mark.parametrize(
    ("metre", "steps"), [("4/4", 48), ("3/4", 36), ("6/8", 36), ("3/8", 18), ("4/2", 96), ("7/8", 48)]
)
def test_bar_lengths(metre, steps):
    assert SCORE.bar_steps(SCORE.metre_class(metre)) == steps


def test_the_encoding_travels_as_json():
    assert Encoding.from_json(json.loads(json.dumps(PERFORMANCE.to_json()))) == PERFORMANCE


@pytest.mark.parametrize(
    "change", [{"n_pitches": 10**9}, {"time_steps": [3, 1]}, {"steps_per_beat": "12"}, {"code": "x"}, {"metres": [1]}]
)
def test_a_foreign_encoding_is_refused(change):
    with pytest.raises(IntegrityError, match="encoding: not one this version knows"):
        Encoding.from_json({**SCORE.to_json(), **change})
