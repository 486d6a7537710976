"""Models in other formats: the player's logits, the same bytes again, and the examples as an app's author runs them."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from farm.catalog import onnx_export, tflite_export
from farm.catalog.exports import exported
from farm.catalog.model_file import open_model, pack_model, stored
from farm.catalog.pack import ship
from farm.catalog.precision import PRECISIONS
from farm.catalog.verify import verify
from farm.composing.player import Player, architecture, weight_shapes
from farm.composing.sampling import compose
from farm.errors import FarmError
from farm.music.encoding import COLUMN, METRE, Encoding
from tests.test_catalog import approved, snapshot

PLAIN, LOUD = Encoding(), Encoding(has_velocity=True, grid=24)
CARD = {"style": "bach", "composing": {"metre": "3/4", "tempo_bpm": 90}}
ROOT = Path(__file__).parent.parent


def packed(encoding, layers, precision):
    description = architecture(embedding=12, layers=layers, head=9)
    random = np.random.default_rng(5)
    shapes = weight_shapes(description, encoding)
    weights = {name: random.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}
    return pack_model(weights, description, encoding, CARD, precision)


def onnx_step(data):
    import onnxruntime

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_outputs()]
    kinds = {"tensor(int32)": np.int32, "tensor(float)": np.float32}
    state = {one.name: np.zeros(one.shape, kinds[one.type]) for one in session.get_inputs()[2:]}
    return lambda **inputs: dict(zip(names, session.run(None, inputs), strict=True)), state


def tflite_step(data):
    import tensorflow as tf

    step = tf.lite.Interpreter(model_content=data).get_signature_runner()
    inputs = step.get_input_details().items()
    return step, {name: np.zeros(one["shape"], one["dtype"]) for name, one in inputs if name not in ("event", "next")}


def farthest(data, make_step, n_notes):
    """Return how far the step's logits ever are from the player's, over a piece that the player composes."""
    model = open_model(data)
    player, encoding = Player(model.architecture, model.encoding, model.weights), model.encoding
    metre = encoding.metre_class("3/4")
    [piece] = compose(player, encoding, notes=n_notes, seed=3, metre=metre)
    columns = [*(COLUMN[field] for field in encoding.fields), METRE]
    step, state = make_step
    told, worst = player.start(1), 0.0
    for event, following in zip(piece.events[:-2, None], piece.events[1:-1, None], strict=True):
        told = player.feed(told, event)
        asked = {"event": event[:, columns].astype(np.int32), "next": following[:, columns].astype(np.int32)}
        out = step(**asked, **state)
        state = {name: out[f"{name}_out"] for name in state}
        for field in encoding.fields:
            worst = max(worst, float(np.abs(out[field] - player.logits(told, field, following)).max()))
        assert (state["left"] == told.left).all()
    assert len(piece.events) > n_notes // 4
    return worst


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("encoding", "layers"), [(PLAIN, [10, 10]), (LOUD, [12, 8, 8])])
def test_onnx_gives_the_players_logits(encoding, layers, precision):
    data = packed(encoding, layers, precision)
    made = onnx_export.onnx_model(open_model(data), stored(data))
    assert made == onnx_export.onnx_model(open_model(data), stored(data)), "equal models, equal bytes"
    assert farthest(data, onnx_step(made), 120) < 1e-4
    assert len(made) < len(data) + 40_000, "weights are as small as in the model file"


@pytest.mark.parametrize(
    ("encoding", "layers", "precision"), [(PLAIN, [10, 10], "float16"), (LOUD, [12, 8, 8], "int8")]
)
def test_tflite_gives_the_players_logits(encoding, layers, precision):
    data = packed(encoding, layers, precision)
    made = tflite_export.tflite_model(open_model(data), stored(data))
    assert made == tflite_export.tflite_model(open_model(data), stored(data)), "equal models, equal bytes"
    assert farthest(data, tflite_step(made), 120) < 1e-4


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    root = tmp_path_factory.mktemp("exports")
    storage = approved(root, "bach")
    report = ship(storage, root / "pack", precision="float16", formats=["model", "onnx", "tflite"])
    return root, storage, report


def test_a_pack_lists_what_it_exports(pack):
    root, storage, report = pack
    files = snapshot(root / "pack")
    assert {"bach-1.onnx", "bach-1.tflite", "examples/onnx_step.py", "examples/tflite_step.py"} <= files.keys()
    assert report["bytes"] == sum(map(len, files.values()))
    assert [one["format"] for one in report["models"]] == ["model", "onnx", "tflite"]
    [model] = json.loads(files["catalog.json"])["models"]
    for file in model["files"]:
        assert file["sha256"] == hashlib.sha256(files[file["path"]]).hexdigest()
        assert (file["bytes"], file["precision"]) == (len(files[file["path"]]), "float16")
    assert model["files"][1]["start"] == [66, 48, 128, 65, PLAIN.metre_class(None)]
    assert verify(root / "pack") == []
    assert "examples/onnx_step.py bach-1.onnx" in files["README.md"].decode()
    ship(storage, root / "again", precision="float16", formats=["model", "onnx", "tflite"])
    assert snapshot(root / "again") == files
    swapped = root / "pack" / "bach-1.onnx"
    swapped.write_bytes(files["bach-1.tflite"])
    assert any(problem.startswith("bach-1.onnx: has the bytes of bach-1.tflite") for problem in verify(root / "pack"))
    swapped.write_bytes(files["bach-1.onnx"])


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_the_examples_run_in_the_pack(pack, kind):
    root, _, _ = pack
    text = (root / "pack" / "examples" / f"{kind}_step.py").read_text()
    body = text.split('"""Print')[1]
    assert len([line for line in body.splitlines() if line.strip()]) <= 30
    environment = {**os.environ, "PYTHONPATH": "", "CUDA_VISIBLE_DEVICES": "-1"}
    command = [sys.executable, f"examples/{kind}_step.py", f"bach-1.{kind}"]
    done = subprocess.run(command, cwd=root / "pack", env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows
    assert all(0 <= int(pitch) < 128 and float(length) > 0 for _, length, pitch in rows)


def test_exports_count_in_the_budget(pack):
    root, storage, report = pack
    small = ship(storage, root / "small", precision="int8", embed=False)["bytes"]
    with pytest.raises(FarmError, match="no room"):
        ship(storage, root / "other", budget_bytes=small, formats=["model", "onnx"])
    assert ship(storage, root / "other", budget_bytes=report["bytes"] * 2, formats=["model", "onnx"])["bytes"] > small


def test_a_format_that_cannot_be_written_here_is_told(monkeypatch):
    data = packed(PLAIN, [10], "int8")
    monkeypatch.setitem(sys.modules, "onnx", None)
    about = {"path": "bach-1.farm.safetensors", "sha256": hashlib.sha256(data).hexdigest()}
    with pytest.raises(FarmError, match=r"music-model-farm\[export\]"):
        exported(about, data, "onnx")
