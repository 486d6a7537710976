"""Batches: an epoch's windows, what of them is predicted, and how a pass is cut into epochs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.music.batches import Window, batch, blocks, class_shares, heldout_windows, training_windows, whole
from farm.music.encoding import BEATS, COLUMN, N_COLUMNS, NOTE, PITCH, POSITION, Encoding, encode, transpose
from farm.music.features import Features
from farm.training.passes import epochs_per_pass, pass_of, stretch
from tests.small_music import shown
from tests.small_runs import PLAIN, piece

LOUD = Encoding(has_velocity=True)

lengths = st.lists(st.integers(1, 40), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(lengths, st.integers(4, 24), st.integers(0, 5))
def test_an_epoch_predicts_every_row_once_and_never_crosses_pieces(bars, length, epoch):
    parts = whole([piece(number, count) for number, count in enumerate(bars)])
    windows = training_windows(parts, PLAIN, length, down=5, up=6, seed=1, epoch=epoch)
    counts = [np.zeros(len(part.told), int) for part in parts]
    for window in windows:
        assert 0 <= window.start < window.first < window.end <= len(parts[window.part].told)
        assert window.end - window.start <= length + 1
        counts[window.part][window.first : window.end] += 1
    assert all(count[0] == 0 and (count[1:] == 1).all() for count in counts)


@settings(max_examples=40, deadline=None)
@given(lengths, st.integers(8, 64))
def test_heldout_rows_are_predicted_once_after_context(bars, length):
    parts = whole([piece(number, count) for number, count in enumerate(bars)])
    seen = [np.zeros(len(part.told), int) for part in parts]
    for window in heldout_windows(parts, length):
        assert window.end - window.start <= length + 1
        assert window.semitones == 0
        assert window.start == 0 or window.first - 1 - window.start == length // 4
        seen[window.part][window.first : window.end] += 1
    assert all(count[0] == 0 and (count[1:] == 1).all() for count in seen)


def test_epochs_differ_and_repeat_exactly():
    parts = whole([piece(number, 30) for number in range(4)])
    draw = [
        training_windows(parts, PLAIN, 32, down=5, up=6, seed=s, epoch=e) for s, e in ((1, 1), (1, 2), (2, 1), (1, 1))
    ]
    assert draw[0] == draw[3]
    assert draw[0] != draw[1] != draw[2] != draw[0]
    assert len(draw[0]) == len(draw[1])


@pytest.mark.parametrize("tonic", [26, 60, 108])
def test_transposition_stays_within_the_pitches(tonic):
    parts = whole([piece(number, 4, tonic) for number in range(3)])
    found = [set() for _ in parts]
    for epoch in range(80):
        for window in training_windows(parts, PLAIN, 64, down=5, up=6, seed=1, epoch=epoch):
            found[window.part].add(window.semitones)
    for part, semitones in zip(parts, found, strict=True):
        pitches = part.told[1:-1, PITCH]
        assert semitones == set(range(-min(5, pitches.min()), min(6, 127 - pitches.max()) + 1))


@pytest.mark.parametrize("encoding", [PLAIN, LOUD], ids=["quiet", "loud"])
def test_a_batch_is_what_is_gathered_slowly(encoding):
    parts = whole([piece(number, bars, encoding=encoding) for number, bars in ((1, 2), (2, 6), (3, 11))])
    features, length = Features(encoding), 24
    windows = training_windows(parts, encoding, length, down=2, up=2, seed=1, epoch=1)
    assert len({window.semitones for window in windows}) > 1
    made = batch(parts, windows, encoding, features, size=len(windows) + 2, length=length)
    shapes = [
        (len(windows) + 2, length + 1, features.n_columns),
        *[(len(windows) + 2, length, len(encoding.fields))] * 2,
    ]
    assert [array.shape for array in made] == shapes
    columns, targets, weights = (np.zeros_like(array) for array in made)
    for place, window in enumerate(windows):
        events = transpose(parts[window.part].told[:, :N_COLUMNS], window.semitones, encoding)
        left = features.silence(1)
        for at, event in enumerate(events[: window.end]):  # from the beginning, so what sounds is known by counting
            row, left = shown(features, left, event[None])
            if at < window.start:
                continue
            columns[place, at - window.start] = row[0]
            if at == window.start:
                continue
            for field, name in enumerate(encoding.fields):
                targets[place, at - window.start - 1, field] = event[COLUMN[name]]
                is_there = name == "beats" or event[BEATS] != encoding.stop
                weights[place, at - window.start - 1, field] = at >= window.first and is_there
    for found, wanted in zip(made, (columns, targets, weights), strict=True):
        assert found.dtype == wanted.dtype
        assert (found == wanted).all()
    notes = sum(part.n_notes for part in parts)
    assert made.weights.sum((0, 1)).tolist() == [notes + len(parts), *[notes] * (len(encoding.fields) - 1)]


def test_a_window_that_begins_inside_a_held_chord_shows_its_pitches():
    rows = [(0, 8, pitch, 64, 0) for pitch in (48, 55, 60)] + [
        (at / 2, 0.5, 72 + at % 3, 64, at / 2) for at in range(8)
    ]
    events = encode(np.array(rows, NOTE), PLAIN, "8/4")
    parts, features = whole(Features(PLAIN).told([events])), Features(PLAIN)
    made = batch(parts, [Window(0, 7, 8, 12, semitones=3)], PLAIN, features, size=1, length=8)
    first = features.starts["held"]
    for at in range(5 - 1):
        assert np.flatnonzero(made.columns[0, at, first : first + 128]).tolist() == [51, 58, 63]
    assert made.columns[0, 0, features.starts["ending"] :].argmax() == 6, "the tune's half beat ends first"


def test_without_a_piece_to_hold_out_the_last_bars_are():
    pieces = [piece(1, 40), piece(2, 20), piece(3, 1)]
    training, heldout = blocks(pieces)
    assert [part.end for part in training[:2]] == [part.first for part in heldout]
    assert len(training) == 3
    assert len(heldout) == 2
    for part in heldout:
        assert 0.08 < part.n_notes / (len(part.told) - 2) < 0.25
        assert part.told[part.first, POSITION] == 0, "the block begins with a bar"
        assert part.end == len(part.told)


@settings(max_examples=60, deadline=None)
@given(lengths, st.integers(1, 400), st.integers(0, 3))
def test_the_epochs_of_a_pass_hold_every_window_once(bars, epoch_notes, before):
    parts = whole([piece(number, count) for number, count in enumerate(bars)])
    n_epochs = epochs_per_pass(sum(part.n_notes for part in parts), epoch_notes, 16)
    first = before * n_epochs + 1
    found, sizes = [], []
    for epoch in range(first, first + n_epochs):
        assert pass_of(epoch, n_epochs) == before + 1
        windows = training_windows(parts, PLAIN, 16, down=5, up=6, seed=1, epoch=pass_of(epoch, n_epochs))
        chosen = stretch(windows, epoch, n_epochs)
        sizes.append(len(chosen))
        found += chosen
    assert found == windows
    assert min(sizes) >= 1
    assert max(sizes) - min(sizes) <= 1


def test_the_shares_of_classes_are_those_counted_by_hand():
    parts = whole([piece(number, 4, encoding=LOUD) for number in range(3)])
    shares = class_shares(parts, LOUD, down=1, up=2)
    rows = np.concatenate([part.told[1:] for part in parts])
    notes = rows[rows[:, BEATS] < LOUD.stop]
    assert set(shares) == set(LOUD.fields)
    for name, found in shares.items():
        wanted = np.full(LOUD.n_classes[name], 0.5)
        for value in (rows if name == "beats" else notes)[:, COLUMN[name]]:
            for semitones in range(-1, 3) if name == "pitch" else (0,):
                wanted[value + semitones] += 1
        np.testing.assert_allclose(found, wanted / wanted.sum())
