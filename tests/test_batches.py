"""Batches: an epoch's windows, what of them is predicted, and how a pass is cut into epochs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.music.batches import batch, blocks, heldout_windows, training_windows, whole
from farm.music.encoding import PITCH, TIME
from farm.music.features import Features
from farm.training.passes import epochs_per_pass, pass_of, stretch
from tests.small_runs import PLAIN, piece

lengths = st.lists(st.integers(1, 40), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(lengths, st.integers(4, 24), st.integers(0, 5))
def test_an_epoch_predicts_every_row_once_and_never_crosses_pieces(bars, length, epoch):
    parts = whole([piece(number, count) for number, count in enumerate(bars)])
    windows = training_windows(parts, PLAIN, length, down=5, up=6, seed=1, epoch=epoch)
    counts = [np.zeros(len(part.events), int) for part in parts]
    for window in windows:
        assert 0 <= window.start < window.first < window.end <= len(parts[window.part].events)
        assert window.end - window.start <= length + 1
        counts[window.part][window.first : window.end] += 1
    assert all(count[0] == 0 and (count[1:] == 1).all() for count in counts)


@settings(max_examples=40, deadline=None)
@given(lengths, st.integers(8, 64))
def test_heldout_rows_are_predicted_once_after_context(bars, length):
    parts = whole([piece(number, count) for number, count in enumerate(bars)])
    seen = [np.zeros(len(part.events), int) for part in parts]
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
        pitches = part.events[1:-1, PITCH]
        assert semitones == set(range(-min(5, pitches.min()), min(6, 127 - pitches.max()) + 1))


def test_a_batch_says_what_is_predicted():
    parts = whole([piece(1, 2), piece(2, 6)])
    windows = training_windows(parts, PLAIN, 24, down=2, up=2, seed=1, epoch=1)
    features = Features(PLAIN)
    made = batch(parts, windows, PLAIN, features, size=len(windows) + 2, length=24)
    assert made.columns.shape == (len(windows) + 2, 25, features.n_columns)
    notes = sum(part.n_notes for part in parts)
    assert made.weights.sum((0, 1)).tolist() == [notes + len(parts), notes, notes]
    for place, window in enumerate(windows):
        rows = parts[window.part].events[window.start + 1 : window.end]
        weights, targets = made.weights[place, : len(rows)], made.targets[place, : len(rows)]
        predicted = (weights[:, 1] > 0) & (weights[:, 0] > 0)
        assert (targets[predicted, 1] - rows[predicted, PITCH] == window.semitones).all()
        assert (targets[:, 0] == rows[:, TIME]).all()
        assert not weights[rows[:, TIME] == PLAIN.stop, 1:].any()
        assert not weights[: window.first - window.start - 1].any()


def test_without_a_piece_to_hold_out_the_last_bars_are():
    pieces = [piece(1, 40), piece(2, 20), piece(3, 1)]
    training, heldout = blocks(pieces)
    assert [part.end for part in training[:2]] == [part.first for part in heldout]
    assert len(training) == 3
    assert len(heldout) == 2
    for part in heldout:
        assert 0.08 < part.n_notes / (len(part.events) - 2) < 0.25
        assert part.events[part.first, 4] == 0, "the block begins with a bar"
        assert part.end == len(part.events)


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
