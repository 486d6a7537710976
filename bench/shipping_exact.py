"""Whether every runtime says the same: logits of many steps by the player, by Keras and by the exports."""

import argparse
import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import shipping_models

from farm.catalog.model_file import Model, stored
from farm.catalog.onnx_export import onnx_model
from farm.catalog.tflite_export import tflite_model
from farm.composing.player import Player
from farm.composing.sampling import compose
from farm.music.encoding import BEATS, COLUMN, METRE
from farm.music.features import Features
from farm.training.backend import prepare

SEED = 5
Step = Callable[..., Mapping[str, np.ndarray]]


def measure(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Compare on one piece that the player composes, of the first model in float32."""
    style, model, data = next(shipping_models.models(options))
    player = Player(model.architecture, model.encoding, model.weights)
    events = piece_of(player, model, options.steps)
    wanted = {field: [] for field in model.encoding.fields}
    state = player.start(1)
    for event, following in zip(events[:-1, None], events[1:, None], strict=True):
        state = player.feed(state, event)
        for field in wanted:
            wanted[field].append(player.logits(state, field, following)[0])
    logits = {field: np.stack(rows) for field, rows in wanted.items()}
    facts: dict[str, Any] = {"style": style, "steps": len(events) - 1, "runtimes": {}}
    facts["runtimes"]["Keras"] = {"far": farthest(keras_logits(model, events), logits)}
    made = {
        "ONNX": (onnx_model(model, stored(data)), onnx_step),
        "TFLite": (tflite_model(model, stored(data)), tflite_step),
    }
    for name, (exported, runtime) in made.items():
        step, first = runtime(exported)
        started = time.perf_counter()
        found = export_logits(step, first, model, events)
        seconds = (time.perf_counter() - started) / (len(events) - 1)
        facts["runtimes"][name] = {"far": farthest(found, logits), "bytes": len(exported), "seconds": seconds}
    return facts


def piece_of(player: Player, model: Model, n_steps: int) -> np.ndarray:
    """Return START and so many events that the player composes, going on where a piece ends by itself."""
    primer, seed = None, SEED
    while True:
        events = compose(player, model.encoding, notes=n_steps, seed=seed, primer=primer)[0].events[:-1]
        if len(events) > n_steps:
            return events[: n_steps + 1]
        primer, seed = events[events[:, BEATS] < model.encoding.stop], seed + 1


def keras_logits(model: Model, events: np.ndarray) -> dict[str, np.ndarray]:
    """Return what the network says as it was trained, the whole piece as one window."""
    prepare(1)
    from farm.training.network import Network

    network, features = Network(model.architecture, model.encoding, dropout=0.0), Features(model.encoding)
    columns = features.columns(features.told([events])[0], np.zeros(len(events), int))[None]
    network(columns)
    for name, variable in network.weights_by_name().items():
        variable.assign(model.weights[name])
    return {field: np.array(logits)[0] for field, logits in network(columns).items()}


def onnx_step(data: bytes) -> tuple[Step, dict[str, np.ndarray]]:
    import onnxruntime

    asked = onnxruntime.SessionOptions()
    asked.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, asked, providers=["CPUExecutionProvider"])
    kinds = {"tensor(int32)": np.int32, "tensor(float)": np.float32}
    state = {one.name: np.zeros(one.shape, kinds[one.type]) for one in session.get_inputs()[2:]}
    names = [one.name for one in session.get_outputs()]
    return lambda **inputs: dict(zip(names, session.run(None, inputs), strict=True)), state


def tflite_step(data: bytes) -> tuple[Step, dict[str, np.ndarray]]:
    import tensorflow as tf

    step = tf.lite.Interpreter(model_content=data, num_threads=1).get_signature_runner()
    inputs = step.get_input_details().items()
    return step, {name: np.zeros(one["shape"], one["dtype"]) for name, one in inputs if name not in ("event", "next")}


def export_logits(step: Step, state: dict[str, np.ndarray], model: Model, events: np.ndarray) -> dict[str, np.ndarray]:
    columns = [*(COLUMN[field] for field in model.encoding.fields), METRE]
    rows = events[:, None, columns].astype(np.int32)
    found: dict[str, list[np.ndarray]] = {field: [] for field in model.encoding.fields}
    for event, following in pairwise(rows):
        out = step(event=event, next=following, **state)
        state = {name: out[f"{name}_out"] for name in state}
        for field, logits in found.items():
            logits.append(out[field][0])
    return {field: np.stack(logits) for field, logits in found.items()}


def farthest(found: Mapping[str, np.ndarray], wanted: Mapping[str, np.ndarray]) -> float:
    """Return the largest difference of any logit."""
    return max(float(np.abs(found[field][: len(rows)] - rows).max()) for field, rows in wanted.items())


def print_table(facts: dict[str, Any]) -> None:
    print(f"exact: logits of {facts['steps']:,} steps of {facts['style']} against the numpy player's; target 0.0001")
    for name, row in facts["runtimes"].items():
        more = f", {row['bytes']:,} bytes, {1e6 * row['seconds']:.0f} us a step" if "bytes" in row else ""
        print(f"  {name:<7} {row['far']:.6f}{more}")
