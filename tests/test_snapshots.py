"""Snapshots: which epochs keep theirs, and that they come back as they were."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm import layout
from farm.composing.player import architecture, weight_shapes
from farm.errors import StorageError
from farm.storage import Storage
from farm.training import snapshots
from farm.training.shelf import Shelf, kept
from tests.small_runs import PLAIN

numbers = st.none() | st.floats(0.1, 6, allow_nan=False)


@st.composite
def tables(draw) -> list[dict]:
    """Return the lines of a run, with broken numbers and perhaps a retry."""
    n = draw(st.integers(1, 120))
    broke_at = draw(st.none() | st.integers(1, n))
    return [
        {
            "epoch": epoch,
            "loss": draw(st.floats(0.1, 6)),
            "val_loss": draw(numbers),
            "accuracy": draw(numbers),
            "broke_at": broke_at if broke_at is not None and epoch >= broke_at else None,
        }
        for epoch in range(1, n + 1)
    ]


@settings(max_examples=60, deadline=None)
@given(tables(), st.integers(10, 40))
def test_kept_epochs_are_few_and_never_come_back(lines, limit):
    before: list[int] = []
    for n in range(1, len(lines) + 1):
        now = kept(lines[:n], limit)
        assert len(now) == min(n, limit)
        assert set(now) <= {*before, n}
        assert set(now) >= {1, *range(max(1, n - 2), n + 1)}
        before = now
    heldout = [(line["val_loss"], line["epoch"]) for line in lines if line["val_loss"] is not None]
    assert not heldout or min(heldout)[1] in before
    broke_at = lines[-1]["broke_at"]
    assert broke_at is None or set(range(max(1, broke_at - 3), broke_at)) <= set(before)


def test_snapshots_lie_where_the_network_learns():
    loss = [4.4] * 100 + [4.4 - 0.35 * step for step in range(1, 11)] + [0.9] * 390
    found = kept([{"epoch": epoch, "loss": value} for epoch, value in enumerate(loss, start=1)])
    assert set(range(100, 111)) <= set(found), "every epoch of the fall"
    gaps = np.diff([epoch for epoch in found if epoch > 110])
    assert max(gaps[:-3]) < 45, "and some of the rest"


def test_a_shelf_goes_on_like_one_that_was_filled_at_once():
    lines = [{"epoch": epoch, "loss": 3 / epoch} for epoch in range(1, 90)]
    shelf = Shelf(lines[:50])
    for line in lines[50:]:
        shelf.add(line)
    assert shelf.epochs == kept(lines)


def test_a_snapshot_returns_what_was_saved_and_a_torn_one_is_told(tmp_path):
    storage, shape = Storage(tmp_path), architecture(embedding=8, layers=[8], head=8)
    random = np.random.default_rng(1)
    weights = {n: random.normal(size=s).astype(np.float32) for n, s in weight_shapes(shape, PLAIN).items()}
    snapshots.save(storage, "tunes", "one", 7, weights=weights, architecture=shape, encoding=PLAIN)
    found_shape, found_encoding, found = snapshots.load(storage, "tunes", "one", 7)
    assert (found_shape, found_encoding) == (shape, PLAIN)
    assert all(np.array_equal(found[name], weights[name]) for name in weights)
    key = layout.snapshot("tunes", "one", 7)
    for cut in (4, 100, len(storage.read_bytes(key)) - 1):
        (tmp_path / key).write_bytes(storage.read_bytes(key)[:cut])
        with pytest.raises(StorageError, match=r"epoch-00007\.safetensors: not a whole snapshot"):
            snapshots.load(storage, "tunes", "one", 7)
        snapshots.save(storage, "tunes", "one", 7, weights=weights, architecture=shape, encoding=PLAIN)
