"""The fast LSTM layer against Keras's own, and training on another backend against the usual one."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest


def cpu_info() -> str:
    info = Path("/proc/cpuinfo")
    return info.read_text() if info.exists() else ""


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


EPOCH = """
import sys
import numpy as np
from farm.training.backend import prepare
prepare(1)
from farm.composing.player import architecture, weight_shapes
from farm.config import Network, Recipe, Training
from farm.music.batches import whole
from farm.music.encoding import Encoding, encode
from farm.music.features import Features
from farm.training import trainee
from tests.small_music import tune

trainee.products = lambda: "float32"
encoding, shape = Encoding(), architecture(embedding=8, layers=[8, 8], head=8)
parts = whole(Features(encoding).told([encode(tune(number, 8), encoding, "4/4") for number in range(4)]))
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
