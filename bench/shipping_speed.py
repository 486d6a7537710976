"""How fast a model composes: from a command to a file, and inside a program that goes on."""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import shipping_models

from farm.catalog.compose_zip import compose_zip
from farm.catalog.composer import usual_time
from farm.composing.player import Player
from farm.composing.sampling import compose

RUNS = 15
ROUNDS = 7
NOTES = 500


def measure_cold(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Compose a piece of full length in processes of their own, as a person does."""
    style, data, seed = long_piece(options)
    file = scratch / f"{style}-1.farm.safetensors"
    file.write_bytes(data)
    (scratch / "compose.pyz").write_bytes(compose_zip())
    ways = {
        "farm compose": [str(Path(sys.executable).with_name("farm")), "compose"],
        "python compose.pyz": [sys.executable, "compose.pyz"],
    }
    facts: dict[str, Any] = {"style": style, "seconds": {}}
    for name, command in ways.items():
        asked = [*command, file.name, "-o", "piece.mid", "--notes", str(NOTES), "--seed", str(seed)]
        seconds = []
        for _ in range(RUNS):
            started = time.perf_counter()
            done = subprocess.run(asked, cwd=scratch, capture_output=True, text=True, check=True)
            seconds.append(time.perf_counter() - started)
            assert f"{NOTES} notes" in done.stdout
        facts["seconds"][name] = [min(seconds), statistics.median(seconds), max(seconds)]
    return facts


def long_piece(options: argparse.Namespace) -> tuple[str, bytes, int]:
    """Return style, model file and seed of a piece that does not end by itself before it is as long as asked."""
    for style, model, data in shipping_models.models(options):
        player = Player(model.architecture, model.encoding, model.weights)
        metre = model.encoding.metre_class(usual_time(model)[0])
        pieces = compose(player, model.encoding, notes=NOTES, metre=metre, count=32)
        for seed, piece in enumerate(pieces):
            if len(piece.events) - 2 == NOTES:
                return style, data, seed
    raise SystemExit(f"no model composes {NOTES} notes with any of 32 seeds; give --artifacts of other models")


def print_cold(facts: dict[str, Any]) -> None:
    print(f"cold: {NOTES} notes of {facts['style']} from a command to a MIDI file, {RUNS} runs; target 0.6 s")
    for name, (least, median, most) in facts["seconds"].items():
        print(f"  {name:<20} {median:.2f} s, from {least:.2f} to {most:.2f}")


def measure_warm(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Compose in this process, on one core, and take the fastest of several rounds; then the products alone."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    style, model, _ = next(shipping_models.models(options))
    player = Player(model.architecture, model.encoding, model.weights)
    layers, head = model.architecture["layers"], model.architecture["head"]
    widths = [model.architecture["embedding"], *layers]
    shapes = [(widths[number] + units, 4 * units) for number, units in enumerate(layers)]
    later = model.encoding.fields[1:]
    sizes = model.encoding.n_classes
    shapes.append((layers[-1], sizes["beats"] + head * len(later)))
    shapes += [(head, sizes[field]) for field in later]
    weights = sum(one * other for one, other in shapes)
    facts: dict[str, Any] = {"style": style, "weights_read": weights, "counts": {}}
    for count in (1, 32):
        steps, n_notes, seconds = 0, 0, float("inf")
        for _ in range(ROUNDS):
            started = time.perf_counter()
            pieces = compose(player, model.encoding, notes=NOTES, seed=0, count=count)
            seconds = min(seconds, time.perf_counter() - started)
            n_notes = sum(len(piece.events) - 2 for piece in pieces)
            steps = max(len(piece.events) - 1 for piece in pieces)
        floor = seconds_of(products(shapes, count)) * steps
        facts["counts"][count] = {"notes": n_notes, "steps": steps, "seconds": seconds, "floor_seconds": floor}
    return facts


def products(shapes: list[tuple[int, int]], count: int) -> Callable[[], None]:
    """Return what multiplies matrices of these shapes once, each a weight that was not in use the moment before."""
    random = np.random.default_rng(0)
    pairs = [
        (random.normal(size=(count, n_in)).astype(np.float32), random.normal(size=(n_in, n_out)).astype(np.float32))
        for n_in, n_out in shapes
    ]

    def multiply() -> None:
        for flow, kernel in pairs:
            flow @ kernel

    return multiply


def seconds_of(work: Callable[[], None], times: int = 200) -> float:
    """Return the seconds that a piece of work takes, the fastest of several rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for _ in range(times):
            work()
        best = min(best, (time.perf_counter() - started) / times)
    return best


def print_warm(facts: dict[str, Any]) -> None:
    weights = facts["weights_read"]
    told = f"{2 * weights / 1e6:.1f} million operations and {4 * weights / 1e6:.1f} MB a note"
    print(f"warm: {facts['style']} on one core; the network's products alone, the floor, are {told}")
    targets = {"1": 2_000, "32": 10_000}
    for count, row in ((str(key), value) for key, value in facts["counts"].items()):
        rate = row["notes"] / row["seconds"]
        times = row["seconds"] / row["floor_seconds"]
        step = f"{1e6 * row['seconds'] / row['steps']:,.0f} us a step, {times:.1f} times the floor"
        print(f"  {count:>2} at once  {rate:>7,.0f} notes/s  {step}; target {targets[count]:,}")
