"""Batches, the fast LSTM layer, and training that can be killed at any instant and goes on as if it never was."""

import importlib.util
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm import layout
from farm.composing.player import architecture, weight_shapes
from farm.composing.scoring import bits_per_note
from farm.config import Network, Recipe, Training
from farm.errors import StorageError, StyleError
from farm.music.batches import batch, blocks, heldout_windows, training_windows, whole
from farm.music.encoding import PITCH, TIME, Encoding, encode
from farm.music.features import Features
from farm.storage import Storage
from farm.training import snapshots
from farm.training.loop import fit
from farm.training.stopping import stop_reason
from tests.small_music import tune

PLAIN = Encoding()
CONTRACT = {
    *("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "bits_per_note", "val_bits_per_note"),
    *("grad_norm", "learning_rate", "seconds", "notes_per_second"),
}


def piece(seed: int, bars: int = 12, tonic: int = 60) -> np.ndarray:
    return encode(tune(seed, bars, tonic), PLAIN, "4/4")


def cpu_info() -> str:
    info = Path("/proc/cpuinfo")
    return info.read_text() if info.exists() else ""


# --- batches


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


# --- the LSTM layer


HAS_TILES = "amx_bf16" in cpu_info() and sys.platform == "linux"


@pytest.mark.parametrize(("product_type", "tolerance"), [("float32", 1e-5), ("bfloat16", 0.02)])
@pytest.mark.parametrize(("windows", "units"), [(3, 5), (37, 64), (18, 130)])
def test_the_fast_layer_equals_keras_in_value_and_gradient(product_type, tolerance, windows, units):
    import keras
    import tensorflow as tf

    from farm.training.lstm import FastLSTM
    from farm.training.tiles import may_use_tiles

    if product_type == "bfloat16" and not (HAS_TILES and may_use_tiles()):
        pytest.skip("this processor has no tile unit")
    random = np.random.default_rng(0)
    sequences, pull = (random.normal(size=(windows, 11, width)).astype(np.float32) for width in (7, units))
    own, theirs = FastLSTM(units, product_type), keras.layers.LSTM(units, return_sequences=True)
    found = []
    for layer in (theirs, own):
        layer(sequences)
        for variable, reference in zip(layer.weights, theirs.weights, strict=True):
            assert variable.name == reference.name
            variable.assign(reference + (random.normal(size=reference.shape) * 0.1 if layer is theirs else 0.0))
        with tf.GradientTape() as tape:
            inputs = tf.constant(sequences)
            tape.watch(inputs)
            outputs = layer(inputs)
            loss = tf.reduce_sum(outputs * pull)
        found.append([outputs, *tape.gradient(loss, [inputs, *(weight.value for weight in layer.weights)])])
    for ours, reference in zip(found[1], found[0], strict=True):
        assert np.abs(ours - reference).max() <= tolerance * max(np.abs(reference).max(), 1)
    assert product_type == "float32" or not np.array_equal(found[0][0], found[1][0])


def test_the_loops_give_the_same_bits_with_any_number_of_threads():
    from farm.training.recurrence import MULTIPLE, backward, forward, weight_order

    random = np.random.default_rng(0)
    driven = random.normal(size=(21, 9, 4 * MULTIPLE)).astype(np.float32)
    recurrent = random.normal(size=(MULTIPLE, 4 * MULTIPLE)).astype(np.float32) / 8
    bias, upstream = np.zeros(4 * MULTIPLE, np.float32), np.ones((21, 9, MULTIPLE), np.float32)
    found = []
    for n_threads in (1, 2, 30):
        there, back = (
            np.ascontiguousarray(recurrent.reshape(shape).transpose(order)).reshape(after)
            for shape, order, after in (weight_order(MULTIPLE, 4, back=way) for way in (False, True))
        )
        outputs, gates, cells = forward(n_threads, driven, there, bias)
        pulls, to_bias = backward(n_threads, upstream, back, gates, cells)
        found.append((outputs, gates, cells, pulls))
        np.testing.assert_allclose(to_bias, pulls.sum((0, 1)), rtol=1e-4, atol=1e-4)
    assert all(np.array_equal(one, first) for more in found[1:] for one, first in zip(more, found[0], strict=True))


def test_a_loss_that_is_no_number_stays_none():
    from farm.training.lstm import FastLSTM

    assert np.isnan(FastLSTM(8)(np.full((2, 3, 4), np.nan, np.float32))).all()


def test_products_follow_the_processor(tmp_path, monkeypatch):
    from farm.training.lstm import kernel_name, products

    info = tmp_path / "cpuinfo"
    monkeypatch.setattr("farm.training.tiles.may_use_tiles", lambda: True)
    info.write_text("flags : fpu amx_bf16 avx2\n")
    assert products(info) == "bfloat16"
    assert "bfloat16" in kernel_name(products(info))
    monkeypatch.setattr("farm.training.tiles.may_use_tiles", lambda: False)
    assert products(info) == "float32", "the system keeps the tile unit for itself"
    info.write_text("flags : fpu avx2\n")
    assert products(info) == "float32"
    assert products(tmp_path / "missing") == "float32"


# --- the whole


def recipe_of(**training) -> Recipe:
    asked = {"window_notes": 16, "batch_windows": 2, "max_epochs": 4, "learning_rate": 0.03, **training}
    return Recipe(network=Network(embedding=8, layers=[8, 8], head=8), training=Training(**asked))


HELDOUT = [piece(100 + number, 4 + number % 5) for number in range(18)]  # more than one batch


def train_small(root, recipe, run="one", report=None, heldout=HELDOUT, **more):
    storage = Storage(root)
    result = fit(
        storage,
        "tunes",
        run,
        train=[piece(number, 8, 60 + number % 5) for number in range(6)],
        heldout=heldout,
        encoding=PLAIN,
        recipe=recipe,
        seed=3,
        report=report,
        **more,
    )
    return storage, result


def lines_of(storage, run="one"):
    """Return the last line of every epoch without what the clock says."""
    lines = {line["epoch"]: line for line in storage.read_lines(layout.metrics("tunes", run))}
    return [{k: v for k, v in lines[e].items() if k not in ("seconds", "notes_per_second")} for e in sorted(lines)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return train_small(tmp_path_factory.mktemp("trained"), recipe_of())


def test_training_learns_and_writes_what_the_contract_names(trained):
    storage, result = trained
    lines = storage.read_lines(layout.metrics("tunes", "one"))
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4]
    assert all(set(line) >= CONTRACT for line in lines)
    assert lines[-1]["val_bits_per_note"] < lines[0]["val_bits_per_note"] - 0.5
    assert lines[-1]["val_bits_per_note"] == pytest.approx(lines[-1]["val_loss"] / math.log(2), abs=1e-5)
    assert snapshots.epochs(storage, "tunes", "one") == [1, 2, 3, 4]
    assert result["stopped"] == "max_epochs"
    assert result["best_epoch"] == 4
    assert not result["weak_reference"]
    about = storage.read_json(layout.run_recipe("tunes", "one"))
    assert about["recipe"]["training"]["window_notes"] == 16
    assert about["seed"] == 3
    assert about["kernel"] == result["kernel"]


def test_the_snapshot_plays_at_the_bits_that_training_reported(trained):
    storage, _ = trained
    assert max(map(len, HELDOUT)) < 4 * 16 + 2, "one held-out window takes a whole piece"
    played = bits_per_note(snapshots.player(storage, "tunes", "one", 4), PLAIN, HELDOUT)
    reported = lines_of(storage)[-1]["val_bits_per_note"]
    assert played == pytest.approx(reported, abs=0.02), "bfloat16 products may differ a little"


def test_the_same_seed_gives_the_same_run_after_a_kill_too(trained, tmp_path):
    def interrupt(facts):
        if facts["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_small(tmp_path, recipe_of(), report=interrupt)
    storage, result = train_small(tmp_path, recipe_of())
    whole_run, _ = trained
    assert lines_of(storage) == lines_of(whole_run)
    assert result["epochs"] == 4
    for epoch in (3, 4):
        key = layout.snapshot("tunes", "one", epoch)
        assert storage.read_bytes(key) == whole_run.read_bytes(key)


def test_a_run_starts_from_given_weights(trained, tmp_path):
    storage, _ = trained
    _, _, weights = snapshots.load(storage, "tunes", "one", 4)
    started, _ = train_small(tmp_path, recipe_of(max_epochs=1), start_from=weights)
    assert lines_of(started)[0]["val_bits_per_note"] < lines_of(storage)[2]["val_bits_per_note"]
    with pytest.raises(StyleError, match="tunes: the base is another network"):
        train_small(tmp_path, recipe_of(), run="two", start_from={"input.bias": np.zeros(8)})


EPOCH = """
import sys
import numpy as np
from farm.training.backend import prepare
prepare(1)
from farm.composing.player import architecture, weight_shapes
from farm.config import Network, Recipe, Training
from farm.music.batches import whole
from farm.music.encoding import Encoding, encode
from farm.training import trainee
from tests.small_music import tune

trainee.products = lambda: "float32"
encoding, shape = Encoding(), architecture(embedding=8, layers=[8, 8], head=8)
parts = whole([encode(tune(number, 8), encoding, "4/4") for number in range(4)])
random = np.random.default_rng(0)
weights = {n: random.normal(size=s).astype(np.float32) * 0.1 for n, s in weight_shapes(shape, encoding).items()}
recipe = Recipe(network=Network(embedding=8, layers=[8, 8], head=8, dropout=0), training=Training(window_notes=32))
learner = trainee.Trainee(shape, encoding, recipe, parts, parts[:1], seed=1, weights=weights)
learner.begin(0.01, None)
learned, held = learner.train_epoch(1), learner.judge()
assert not {"ray", "music21"} & set(sys.modules)
facts = {name: np.float64(learned[name]) for name in ("loss", "grad_norm")}
np.savez(sys.argv[1], **learner.state(), **facts, held=held["loss"])
"""


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
def test_an_epoch_is_the_same_on_jax_and_without_tensorflow(tmp_path):
    root, found = Path(__file__).parent.parent, {}
    for backend in ("tensorflow", "jax"):
        hidden = "import sys\nsys.modules['tensorflow'] = None\n" if backend == "jax" else ""
        environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(root)}
        command = [sys.executable, "-c", hidden + EPOCH, str(tmp_path / f"{backend}.npz")]
        subprocess.run(command, env=environment, check=True)
        found[backend] = np.load(tmp_path / f"{backend}.npz")
    for name in ("loss", "grad_norm", "held"):
        assert found["jax"][name] == pytest.approx(float(found["tensorflow"][name]), rel=1e-5)
    for name in (name for name in found["jax"].files if name.startswith("raw.")):
        np.testing.assert_allclose(found["jax"][name], found["tensorflow"][name], atol=1e-4, err_msg=name)


def test_a_style_is_trained_alone_from_its_tables(fake, tmp_path, capsys, monkeypatch):
    from farm.training import __main__ as alone
    from farm.training.loading import Music

    pieces = pd.DataFrame({"split": ["train", "train", "heldout"], "time_signature": "4/4"}, index=["a", "b", "c"])
    music = Music(pieces, {name: tune(number, 8) for number, name in enumerate("abc")}, PLAIN)
    monkeypatch.setattr(alone, "load_music", lambda storage, style: music)
    recipe = tmp_path / "three.yaml"
    recipe.write_text("recipe: 1\nname: three\ntraining: {max_epochs: 3}\n")
    asked = ["tunes", "--artifacts", str(tmp_path), "--recipe", str(recipe), "--run", "mine"]
    assert alone.main(asked) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in told[:3]] == [f"epoch {epoch} of 3" for epoch in (1, 2, 3)]
    assert all(", 9 notes/s," in line for line in told[:3])
    assert told[3].startswith("max_epochs after 3 epochs")
    assert Path(told[4]) == tmp_path / "runs" / "tunes" / "mine"
    assert snapshots.epochs(Storage(tmp_path), "tunes", "mine") == [1, 2, 3]
    assert alone.main([*asked[:-4], "--recipe", "nothing"]) == 2
    assert "recipe 'nothing' does not exist; name a file" in capsys.readouterr().err


# --- the loop around it, with a network that costs nothing


class FakeTrainee:
    """Stands for a network: its state counts the epochs, and its loss is read from a script."""

    losses: dict[int, list[float]] = {}  # noqa: RUF012
    kernel = "fake"
    n_notes = 100

    def __init__(self, shape, encoding, recipe, parts, heldout, *, seed, weights):
        self._shapes = weight_shapes(shape, encoding)
        self._steps = np.zeros(1)

    def begin(self, learning_rate, state):
        self._rate = learning_rate
        if state is not None:
            self._steps = state["steps"].copy()

    def train_epoch(self, epoch):
        assert epoch == self._steps[0] + 1, "the state is not that of the epoch before"
        self._steps += 1
        script = self.losses.get(epoch, [3.0 / epoch])
        loss = script.pop(0) if len(script) > 1 else script[0]
        return {"loss": loss, "accuracy": 0.5, "grad_norm": 1.0, "learning_rate": self._rate, "notes_per_second": 9.0}

    def judge(self):
        return {"loss": 1 + 1 / self._steps[0] if self._steps[0] < 6 else 1.2, "accuracy": 0.4}

    def average(self):
        return {name: np.full(shape, self._steps[0], np.float32) for name, shape in self._shapes.items()}

    def state(self):
        return {"steps": self._steps.copy()}


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setattr("farm.training.trainee.Trainee", FakeTrainee)
    monkeypatch.setattr(FakeTrainee, "losses", {})
    monkeypatch.setattr("farm.training.record._STATE_SECONDS", 0.0)
    return FakeTrainee


class Killed(BaseException):
    pass


class MortalStorage(Storage):
    """Dies before the n-th write."""

    def __init__(self, root, lives):
        super().__init__(root)
        self.lives = lives

    def _live(self):
        self.lives -= 1
        if self.lives < 0:
            raise Killed

    def write_bytes(self, key, data):
        self._live()
        return super().write_bytes(key, data)

    def append_json(self, key, record):
        self._live()
        super().append_json(key, record)

    def delete(self, key):
        self._live()
        super().delete(key)


@pytest.mark.parametrize("lives", range(0, 18))
def test_a_run_killed_before_any_write_ends_like_one_that_was_not(fake, tmp_path, lives):
    pieces = [piece(number, 8) for number in range(3)]
    asked = {
        "train": pieces[1:],
        "heldout": pieces[:1],
        "encoding": PLAIN,
        "recipe": recipe_of(max_epochs=5),
        "seed": 1,
    }
    undisturbed, killed = Storage(tmp_path / "a"), Storage(tmp_path / "b")
    fit(undisturbed, "tunes", "one", **asked)
    try:
        fit(MortalStorage(tmp_path / "b", lives), "tunes", "one", **asked)
    except Killed:
        fit(killed, "tunes", "one", **asked)
    else:
        assert lives >= 16
    assert lines_of(killed) == lines_of(undisturbed)
    assert snapshots.epochs(killed, "tunes", "one") == [1, 2, 3, 4, 5]
    for epoch in range(1, 6):
        key = layout.snapshot("tunes", "one", epoch)
        assert killed.read_bytes(key) == undisturbed.read_bytes(key)


def test_a_finished_run_is_not_trained_again(fake, tmp_path):
    storage, first = train_small(tmp_path, recipe_of())
    metrics = storage.read_bytes(layout.metrics("tunes", "one"))
    _, second = train_small(tmp_path, recipe_of())
    assert storage.read_bytes(layout.metrics("tunes", "one")) == metrics
    assert second == first


def test_a_blow_up_is_tried_again_once_from_before_it(fake, tmp_path):
    fake.losses = {3: [math.nan, 1.0]}
    storage, result = train_small(tmp_path, recipe_of(max_epochs=5))
    written = storage.read_lines(layout.metrics("tunes", "one"))
    assert [line["epoch"] for line in written] == [1, 2, 3, 3, 4, 5]
    assert written[2]["loss"] is None
    assert [line["retries"] for line in lines_of(storage)] == [0, 0, 1, 1, 1]
    assert written[-1]["learning_rate"] == pytest.approx(0.03 / 3, rel=1e-3)
    assert result["retries"] == 1
    assert result["stopped"] == "max_epochs"
    assert "NaN" not in storage.read_bytes(layout.metrics("tunes", "one")).decode()


def test_a_second_blow_up_ends_the_run_and_the_metrics_tell(fake, tmp_path):
    fake.losses = {4: [9.0, 8.0]}
    storage, result = train_small(tmp_path, recipe_of(max_epochs=6))
    assert result["stopped"] == "blow-up"
    assert result["epochs"] == 3
    assert lines_of(storage)[-1]["loss"] == 8.0
    assert snapshots.epochs(storage, "tunes", "one") == [1, 2, 3]
    _, again = train_small(tmp_path, recipe_of(max_epochs=6))
    assert again["stopped"] == "blow-up"


def test_training_that_breaks_at_once_says_so(fake, tmp_path):
    fake.losses = {1: [math.nan, math.inf]}
    with pytest.raises(StyleError, match=r"tunes: the loss broke at epoch 1 .* lower training\.learning_rate"):
        train_small(tmp_path, recipe_of())


def test_patience_and_minutes_end_a_run(fake, tmp_path):
    _, patient = train_small(tmp_path, recipe_of(max_epochs=99, patience_epochs=4))
    assert (patient["stopped"], patient["epochs"], patient["best_epoch"]) == ("patience", 10, 5)
    lines = [
        {"epoch": 1, "seconds": 50.0, "val_bits_per_note": 3.0},
        {"epoch": 2, "seconds": 20.0, "val_bits_per_note": 2.0},
    ]
    assert stop_reason(lines, Training(max_minutes=1)) == "max_minutes"
    assert stop_reason(lines[:1], Training(max_minutes=1)) is None


def test_a_gain_too_small_to_matter_does_not_wake_patience():
    bits = [3.0, 2.0, *(2.0 - 0.0004 * step for step in range(1, 9)), 1.99]
    lines = [{"epoch": epoch, "seconds": 1.0, "val_bits_per_note": value} for epoch, value in enumerate(bits, start=1)]
    assert stop_reason(lines[:9], Training(patience_epochs=7)) is None, "ten epochs are always trained"
    assert stop_reason(lines[:10], Training(patience_epochs=8)) == "patience"
    assert stop_reason(lines[:10], Training(patience_epochs=9)) is None
    assert stop_reason(lines, Training(patience_epochs=8)) is None, "a real gain does"


def test_progress_is_reported_after_every_epoch(fake, tmp_path):
    told = []
    train_small(tmp_path, recipe_of(), report=told.append)
    assert [facts["epoch"] for facts in told] == [1, 2, 3, 4]
    assert all({"epoch", "max_epochs", "loss", "val_bits_per_note", "seconds_left"} == set(facts) for facts in told)
    assert told[-1]["seconds_left"] == 0
    json.dumps(told)


def test_without_heldout_pieces_the_reference_is_weak(fake, tmp_path):
    _, result = train_small(tmp_path, recipe_of(), heldout=[])
    assert result["weak_reference"]


def test_too_little_music_is_refused(fake, tmp_path):
    with pytest.raises(StyleError, match="tunes: only 0 notes to train on"):
        fit(Storage(tmp_path), "tunes", "x", train=[], heldout=[], encoding=PLAIN, recipe=recipe_of(), seed=1)
    with pytest.raises(StyleError, match="at least 32 are needed"):
        fit(
            Storage(tmp_path), "tunes", "x", train=[piece(1, 3)], heldout=[], encoding=PLAIN, recipe=recipe_of(), seed=1
        )


def test_lost_metrics_are_told_and_not_guessed(fake, tmp_path):
    storage, _ = train_small(tmp_path, recipe_of())
    storage.delete(layout.metrics("tunes", "one"))
    with pytest.raises(StorageError, match=r"metrics\.jsonl: lines up to epoch 4 are missing"):
        train_small(tmp_path, recipe_of())


# --- snapshots


@settings(max_examples=100)
@given(st.integers(1, 700), st.integers(12, 50))
def test_kept_epochs_are_few_early_dense_and_never_come_back(last, limit):
    kept = snapshots.kept(last, limit)
    assert len(kept) <= limit
    assert set(kept) >= set(range(1, min(last, 8) + 1)) | {last}
    assert set(kept) - {last} <= set(snapshots.kept(last - 1, limit)) if last > 1 else True
    gaps = np.diff([epoch for epoch in kept if epoch >= 8])
    assert len(gaps) < 3 or gaps[1:-1].max() == gaps[1:-1].min()


def test_snapshots_are_thinned_out(fake, tmp_path, monkeypatch):
    monkeypatch.setattr("farm.training.stopping.LEAST_EPOCHS", 1000)
    storage, _ = train_small(tmp_path, recipe_of(max_epochs=90, patience_epochs=1000))
    epochs = snapshots.epochs(storage, "tunes", "one")
    assert epochs == snapshots.kept(90)
    assert len(epochs) <= 40


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
        storage.path(key).write_bytes(storage.read_bytes(key)[:cut])
        with pytest.raises(StorageError, match=r"epoch-00007\.safetensors: not a whole snapshot"):
            snapshots.load(storage, "tunes", "one", 7)
        snapshots.save(storage, "tunes", "one", 7, weights=weights, architecture=shape, encoding=PLAIN)
