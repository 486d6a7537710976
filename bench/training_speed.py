"""Notes trained per second: the farm's own LSTM against Keras's, JAX and torch, and against what the cores multiply.

Every contender lives in a process of its own with the same network, batch and threads; in a round each trains a few
steps, one after the other, so that all meet the same machine. Ratios are medians over rounds.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
STEPS = 128  # of a window
EMBEDDING, HEAD, DROPOUT = 128, 192, 0.2  # about those of the recipe compact
SQUARE = 2048


class Contender(NamedTuple):
    """`kind` is one of `training_step`'s; `library` is what its interpreter must have."""

    name: str
    kind: str
    products: str
    library: str


CONTENDERS = (
    Contender("ours", "ours", "float32", "tensorflow"),
    Contender("ours, bfloat16", "ours", "bfloat16", "tensorflow"),
    Contender("keras.layers.LSTM", "keras", "float32", "tensorflow"),
    Contender("ours on JAX", "ours", "float32", "jax"),
    Contender("keras.layers.LSTM on JAX", "keras", "float32", "jax"),
    Contender("torch.nn.LSTM", "torch", "float32", "torch"),
    Contender("torch.nn.LSTM, bfloat16", "torch", "bfloat16", "torch"),
    Contender("ours on torch, bfloat16", "ours", "bfloat16", "torch"),
    Contender("large products", "matrices", "float32", "tensorflow"),
    Contender("large products, bfloat16", "matrices", "bfloat16", "tensorflow"),
    Contender("the layers' products", "matrices", "float32", "tensorflow"),
    Contender("the layers' products, bfloat16", "matrices", "bfloat16", "tensorflow"),
)
PEER = {"float32": "torch.nn.LSTM", "bfloat16": "torch.nn.LSTM, bfloat16"}
MATRIX = {"float32": "large products", "bfloat16": "large products, bfloat16"}


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return one record per setting of threads, units and windows."""
    interpreters = {"tensorflow": sys.executable, "jax": options.jax_python, "torch": options.torch_python}
    there = [one for one in CONTENDERS if _has(interpreters[one.library], one.library)]
    if missing := {one.library for one in CONTENDERS if one not in there}:
        print(f"not measured, for want of the library: {', '.join(sorted(missing))}")
    found = []
    for threads in options.threads:
        for units in options.units:
            for windows in options.windows:
                record = _duel(there, interpreters, threads, units, windows, options.rounds, options.steps)
                found.append(record)
                print_table([record])
    return found


def _duel(
    contenders: Sequence[Contender],
    interpreters: Mapping[str, str],
    threads: int,
    units: int,
    windows: int,
    rounds: int,
    steps: int,
) -> dict[str, Any]:
    """Return the rates of all contenders in one setting, and where the time of the farm's steps goes."""
    seconds: dict[str, list[float]] = {one.name: [] for one in contenders}
    cpu_seconds: dict[str, list[float]] = {one.name: [] for one in contenders}
    asks = {one.name: _ask(one, threads, units, windows) for one in contenders}
    with _children(contenders, interpreters, asks) as children:
        for _ in range(rounds):
            for name, child in children.items():
                clock, used = _answer(child, str(steps))
                seconds[name].append(clock / steps)
                cpu_seconds[name].append(used / steps)
        parts = {name: _answer(children[name], "profile") for name in ("ours", "ours, bfloat16")}
    rates = {name: statistics.median(values) for name, values in seconds.items()}
    rows = []
    for one in contenders:
        flops = _flops(asks[one.name])
        row = {
            "name": one.name,
            "products": one.products,
            "cpu_ms": round(statistics.median(cpu_seconds[one.name]) * 1e3, 1),
        }
        row["gflops"] = round(flops / rates[one.name] / 1e9)
        if one.kind != "matrices":
            row["notes_per_second"] = round(windows * STEPS / rates[one.name])
            row["to_torch"] = _ratio(seconds.get(PEER[one.products]), seconds[one.name])
            row["of_matrix_rate"] = round(
                row["gflops"] / (_flops(asks[MATRIX[one.products]]) / rates[MATRIX[one.products]] / 1e9), 2
            )
        rows.append(row)
    return {"threads": threads, "units": units, "windows": windows, "rounds": rounds, "rows": rows, "parts_ms": parts}


def _ask(one: Contender, threads: int, units: int, windows: int) -> dict[str, Any]:
    """Return what a child is told."""
    from farm.music.encoding import Encoding
    from farm.music.features import Features

    encoding = Encoding()
    features = Features(encoding)
    ask: dict[str, Any] = {"contender": one.kind, "products": one.products, "threads": threads, "windows": windows}
    ask |= {"layers": [units, units], "embedding": EMBEDDING, "head": HEAD, "dropout": DROPOUT, "steps": STEPS}
    ask["columns"] = features.n_columns
    ask["classes"] = {field: encoding.n_classes[field] for field in encoding.fields}
    ask["known"] = {field: features.known(field) for field in encoding.fields}
    if one.kind == "matrices":
        large = one.name.startswith("large")
        ask["shapes"] = [(2, SQUARE, SQUARE, SQUARE)] if large else _layer_products(ask)
    return ask


def _layer_products(ask: Mapping[str, Any]) -> list[tuple[int, int, int, int]]:
    """Return the products of all LSTM layers in a step, (times, m, k, n): there, back, and for the weights."""
    found, notes, width = [], ask["windows"] * STEPS, ask["embedding"]
    for units in ask["layers"]:
        gates = 4 * units
        found += [
            (1, notes, width, gates),
            (1, notes, gates, width),
            (1, width, notes, gates),
            (1, units, notes, gates),
        ]
        found += [(STEPS, ask["windows"], units, gates), (STEPS, ask["windows"], gates, units)]
        width = units
    return found


def _flops(ask: Mapping[str, Any]) -> float:
    """Return the operations of a step: two per weight, note and product; what is read needs no gradient."""
    if "shapes" in ask:
        return 2.0 * sum(times * m * k * n for times, m, k, n in ask["shapes"])
    per_note = 2 * ask["columns"] * ask["embedding"]
    per_note += sum(m * k * n * times for times, m, k, n in _layer_products(ask)) // (ask["windows"] * STEPS)
    for field, classes in ask["classes"].items():
        known = ask["known"][field]
        if known:
            per_note += 3 * ask["layers"][-1] * ask["head"] + 2 * known * ask["head"]
        per_note += 3 * (ask["head"] if known else ask["layers"][-1]) * classes
    return 2.0 * per_note * ask["windows"] * STEPS


def _ratio(peer: Sequence[float] | None, own: Sequence[float]) -> float | None:
    if peer is None:
        return None
    return round(statistics.median(theirs / ours for theirs, ours in zip(peer, own, strict=True)), 2)


@contextmanager
def _children(
    contenders: Sequence[Contender], interpreters: Mapping[str, str], asks: Mapping[str, Any]
) -> Iterator[dict[str, subprocess.Popen]]:
    """Start all contenders, one after the other, and end them after the block."""
    children: dict[str, subprocess.Popen] = {}
    try:
        for one in contenders:
            environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "TF_CPP_MIN_LOG_LEVEL": "3"}
            environment["KERAS_BACKEND"] = one.library
            command = [interpreters[one.library], str(HERE / "training_step.py"), json.dumps(asks[one.name])]
            child = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            children[one.name] = child
            if child.stdout is None or not child.stdout.readline().startswith("ready"):
                raise SystemExit(f"{one.name} does not train; see KERAS_BACKEND={one.library} {' '.join(command)}")
        yield children
    finally:
        for child in children.values():
            child.stdin.close()
        for child in children.values():
            child.wait()


def _answer(child: subprocess.Popen, line: str) -> Any:
    child.stdin.write(line + "\n")
    child.stdin.flush()
    return json.loads(child.stdout.readline())


def _has(interpreter: str, library: str) -> bool:
    asked = f"import importlib.util as u, sys; sys.exit(u.find_spec({library!r}) is None)"
    return subprocess.run([interpreter, "-c", asked], check=False).returncode == 0


def print_table(records: Sequence[dict[str, Any]]) -> None:
    for record in records:
        threads = f"{record['threads']} thread{'s' if record['threads'] > 1 else ''}"
        size = f"2 x {record['units']} units, {record['windows']} windows of {STEPS} notes"
        print(f"{size}, {threads}, medians of {record['rounds']} rounds")
        print(f"  {'':31} {'notes/s':>8} {'to torch':>8} {'GFLOP/s':>8} {'of matrix rate':>14} {'CPU ms a step':>13}")
        for row in record["rows"]:
            notes = f"{row['notes_per_second']:,}" if "notes_per_second" in row else ""
            ratio = f"{row['to_torch']:.2f}" if row.get("to_torch") is not None else ""
            share = f"{row['of_matrix_rate']:.0%}" if "of_matrix_rate" in row else ""
            print(f"  {row['name']:31} {notes:>8} {ratio:>8} {row['gflops']:>8,} {share:>14} {row['cpu_ms']:>13,}")
        for name, parts in record["parts_ms"].items():
            told = ", ".join(f"{part} {value:.1f}" for part, value in parts.items())
            print(f"  {name}, ms a step: {told}")
