"""Keys: names, transposition, golden pieces, and many pieces at once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farm.corpus.tonality import KEYS, keys

SCALE = np.array([0, 2, 4, 5, 7, 9, 11, 12])
HARMONIC_MINOR = np.array([0, 2, 3, 5, 7, 8, 11, 12])
MAJOR_NAMES = ("C", "D-", "D", "E-", "E", "F", "F#", "G", "A-", "A", "B-", "B")
MINOR_NAMES = ("c", "c#", "d", "e-", "e", "f", "f#", "g", "g#", "a", "b-", "b")
KRUMHANSL_KESSLER = np.array(
    [
        [6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88],
        [6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17],
    ]
)


def key_of(pitch, weight=None, **options):
    pitch = np.asarray(pitch)
    weight = np.ones(len(pitch)) if weight is None else np.asarray(weight, float)
    return keys(pitch, weight, np.array([0, len(pitch)]), **options)[0]


@st.composite
def piece(draw):
    notes = draw(st.lists(st.tuples(st.integers(0, 127), st.integers(1, 32)), min_size=1, max_size=40))
    return np.array([pitch for pitch, _ in notes]), np.array([sixteenths / 4 for _, sixteenths in notes])


@pytest.mark.parametrize("tonic", range(12))
def test_scales_and_their_tonic_chords_have_their_keys(tonic):
    major = np.concatenate([SCALE, [0, 4, 7]]) + 60 + tonic
    minor = np.concatenate([HARMONIC_MINOR, [0, 3, 7]]) + 60 + tonic
    assert key_of(major) == KEYS[tonic]
    assert key_of(minor) == KEYS[12 + tonic]


def test_names_are_those_of_the_pieces_table():
    assert KEYS[:12] == tuple(f"{tonic} major" for tonic in MAJOR_NAMES)
    assert KEYS[12:] == tuple(f"{tonic} minor" for tonic in MINOR_NAMES)


def test_known_melodies():
    ode_to_joy = [64, 64, 65, 67, 67, 65, 64, 62, 60, 60, 62, 64, 64, 62, 62]
    assert key_of(ode_to_joy, [1] * 12 + [1.5, 0.5, 2]) == "C major"
    greensleeves = [69, 72, 74, 76, 77, 76, 74, 71, 67, 69, 71, 72, 69, 69, 68, 69, 71, 68, 64]
    assert key_of(greensleeves, [1, 2, 1, 1.5, 0.5, 1, 2, 1, 1.5, 0.5, 1, 2, 1, 1.5, 0.5, 1, 2, 1, 3]) == "a minor"


def test_how_long_notes_sound_decides():
    pitch = [60, 64, 67, 69]
    assert key_of(pitch, [4, 2, 2, 0.5]) == "C major"
    assert key_of(pitch, [2, 2, 0.5, 4]) == "a minor"


def test_a_chorale_is_not_heard_in_its_dominant():
    """Bach's BWV 115.6 in G: what sounds, in fortieths; the older profiles hear D."""
    weights = {60: 2, 61: 1, 62: 8, 64: 4, 66: 4, 67: 8, 69: 7, 71: 5}
    assert key_of(list(weights), list(weights.values())) == "G major"
    assert key_of(list(weights), list(weights.values()), profiles=KRUMHANSL_KESSLER) == "D major"


def test_nothing_to_hear_has_no_key():
    assert keys(np.zeros(0, int), np.zeros(0), np.array([0, 0])) == [None]
    assert keys(np.zeros(0, int), np.zeros(0), np.array([0])) == []
    assert key_of([60, 64, 67], [0, 0, 0]) is None
    assert key_of(np.arange(48, 72), np.full(24, 0.1)) is None  # all twelve alike


@given(piece(), st.integers(-60, 60))
def test_transposing_a_piece_transposes_its_key(notes, semitones):
    pitch, weight = notes
    before, after = key_of(pitch, weight), key_of(pitch + semitones, weight)
    if before is None:
        assert after is None
        return
    # A symmetrical piece (a diminished seventh) goes equally well with several keys: which is named is not transposed.
    names = {key_of(pitch + turn, weight) for turn in range(12)}
    if len(names) == 12:
        index = KEYS.index(before)
        assert after == KEYS[index // 12 * 12 + (index + semitones) % 12]


@given(piece(), st.sampled_from([0.01, 0.5, 3.0, 1000.0]))
def test_tempo_octave_and_order_change_nothing(notes, factor):
    pitch, weight = notes
    order = np.random.default_rng(len(pitch)).permutation(len(pitch))
    assert key_of(pitch[order] % 12 + 48, weight[order] * factor) == key_of(pitch, weight)


@given(st.lists(piece(), max_size=6), st.integers(0, 6))
def test_many_pieces_at_once_give_what_each_gives_alone(pieces, empty_at):
    pieces.insert(min(empty_at, len(pieces)), (np.zeros(0, int), np.zeros(0)))
    bounds = np.concatenate([[0], np.cumsum([len(pitch) for pitch, _ in pieces])])
    pitch, weight = (np.concatenate([part[column] for part in pieces]) for column in (0, 1))
    assert keys(pitch, weight, bounds) == [key_of(*part) for part in pieces]


def test_pitches_of_a_narrow_type_do_not_wrap():
    pitch = (SCALE + 120).astype(np.int8)[:5]
    many = np.tile(pitch, 9000)
    assert keys(many, np.ones(len(many)), np.arange(0, len(many) + 1, 5)) == [key_of(pitch)] * 9000
