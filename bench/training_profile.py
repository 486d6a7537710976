"""Where the time of a training step goes in TensorFlow, by its own profiler: milliseconds by kind of work."""

import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

STEPS = 15
# The first mark that an operation's name or type holds says what it is for.
PARTS = {
    "optimizer": ("adam/",),
    "loops over time": ("PyFunc",),
    "products": ("MatMul",),
    "dropout": ("dropout",),
    "loss": ("Softmax", "ArgMax", "sparse_categorical"),
    "casts": ("Cast",),
    "copies": ("Transpose", "Pad", "Slice", "Concat", "Pack"),
}
OTHER = "other operations"


def parts(step: Callable[[], float]) -> dict[str, float]:
    """Return milliseconds a step by part, each the median over steps, and the whole step's by the clock.

    What is missing to the whole is the way into TensorFlow and between its operations.
    """
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        for _ in range(STEPS):
            began = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - began)
        tf.profiler.experimental.stop()
        space = xplane_pb2.XSpace()
        space.ParseFromString(next(Path(folder).rglob("*.xplane.pb")).read_bytes())
    took = defaultdict(list)
    for plane in space.planes:
        for line in plane.lines:
            for event in line.events:
                took[plane.event_metadata[event.metadata_id].name].append(event.duration_ps / 1e9)
    found = dict.fromkeys([*PARTS, OTHER], 0.0)
    for name, durations in took.items():
        if name.count(":") != 1 or " " in name:
            continue  # no operation
        found[part_of(name)] += statistics.median(durations) * len(durations) / STEPS
    whole = statistics.median(seconds) * 1e3
    return {**{name: round(value, 2) for name, value in found.items()}, "whole step": round(whole, 2)}


def part_of(name: str) -> str:
    """Return the part of an operation, named 'scope/name:Type'.

    Examples
    --------
    >>> part_of("network/lstm1/MatMul:_MklMatMul"), part_of("adam/Sub_3:Sub"), part_of("network/add:AddV2")
    ('products', 'optimizer', 'other operations')
    """
    return next((part for part, marks in PARTS.items() if any(mark in name for mark in marks)), OTHER)
