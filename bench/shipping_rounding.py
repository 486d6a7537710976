"""Whether rounding decides what is composed: how far it moves edges, how often draws are settled, other processors."""

import argparse
import hashlib
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import shipping_models

from farm.catalog.model_file import Model, open_model
from farm.composing.drawing import NOISE
from farm.composing.exact import Exact
from farm.composing.player import Player
from farm.composing.sampling import compose

NOTES = 300
AT_ONCE = 32
PIECES = 256
KINDS = {
    "Nehalem (SSE)": {"OPENBLAS_CORETYPE": "Nehalem"},
    "Haswell (AVX2)": {"OPENBLAS_CORETYPE": "Haswell"},
    "Zen, numpy without AVX512": {
        "OPENBLAS_CORETYPE": "Zen",
        "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR",
    },
}
"""Other processors: the environment in which numpy and its BLAS take their kernels."""


def measure(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Compare single with double precision on what each model composes, then compose as other processors would."""
    facts: dict[str, Any] = {"notes": NOTES, "noise": NOISE, "styles": {}, "processors": {}}
    files = []
    for style, model, data in shipping_models.models(options):
        files.append(scratch / f"{style}.farm.safetensors")
        files[-1].write_bytes(data)
        facts["styles"][style] = edges_of(model) | settled_of(model)
    own = composed(files, {})
    for kind, environment in KINDS.items():
        facts["processors"][kind] = sum(
            one != other for one, other in zip(composed(files, environment), own, strict=True)
        )
    facts["pieces"] = len(own)
    return facts


def edges_of(model: Model) -> dict[str, float]:
    """Return how far single precision moves the edges between classes, at temperature 1: usually and at most."""
    quick = Player(model.architecture, model.encoding, model.weights)
    pieces = compose(quick, model.encoding, notes=NOTES, seed=5, count=AT_ONCE)
    length = min(len(piece.events) for piece in pieces)
    events = np.stack([piece.events[:length] for piece in pieces], axis=1)
    states, moved = [quick.start(AT_ONCE), quick.exact.start(AT_ONCE)], []
    for rows, following in pairwise(events):
        states = [player.feed(state, rows) for player, state in zip((quick, quick.exact), states, strict=True)]
        for field in model.encoding.fields:
            edges = [
                shares(player.logits(state, field, following)).cumsum(axis=1)
                for player, state in zip((quick, quick.exact), states, strict=True)
            ]
            moved.append(np.abs(edges[0] - edges[1]).max(axis=1))
    return {"usual": float(np.median(moved)), "most": float(np.max(moved)), "draws": float(np.size(moved))}


def shares(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def settled_of(model: Model) -> dict[str, float]:
    """Return how many draws exact answers settled, and how many notes were composed."""
    asked = 0
    settle = Exact.settle

    def counting(self: Exact, field: str, rows: np.ndarray, logits: np.ndarray, pieces: np.ndarray) -> None:
        nonlocal asked
        asked += int(pieces.sum())
        settle(self, field, rows, logits, pieces)

    Exact.settle = counting  # type: ignore[method-assign]  # nothing in the farm counts, so this stands in its place
    try:
        player = Player(model.architecture, model.encoding, model.weights)
        pieces = compose(player, model.encoding, notes=NOTES, seed=1_000, count=128)
    finally:
        Exact.settle = settle  # type: ignore[method-assign]  # as it was
    return {"settled": asked, "composed_notes": sum(len(piece.events) - 2 for piece in pieces)}


def composed(files: list[Path], environment: dict[str, str]) -> list[str]:
    """Return the hash of every piece that a process composes of models in an environment."""
    command = [sys.executable, __file__, *map(str, files)]
    own = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), **environment}
    done = subprocess.run(command, env=own, capture_output=True, text=True, check=True)
    return done.stdout.split()


def print_table(facts: dict[str, Any]) -> None:
    print(f"rounding: pieces of {facts['notes']} notes; edges that may move by {facts['noise']:g} are reckoned with")
    for style, row in facts["styles"].items():
        moved = f"edges moved {row['usual']:.0e} usually, {row['most']:.1e} at most in {row['draws']:,.0f} draws"
        print(f"  {style:<12} {moved}; settled {row['settled']:.0f} draws in {row['composed_notes']:,.0f} notes")
    for kind, n_other in facts["processors"].items():
        print(f"  as {kind}: {n_other} of {facts['pieces']:,} pieces other than here")


def compose_all(files: list[str]) -> None:
    """Print the hash of every piece; half of them are composed alone, as by the command."""
    for file in files:
        model = open_model(Path(file))
        player = Player(model.architecture, model.encoding, model.weights)
        pieces = compose(player, model.encoding, notes=NOTES, seed=0, count=PIECES // 2)
        for seed in range(PIECES // 2, PIECES):
            pieces += compose(player, model.encoding, notes=NOTES, seed=seed)
        for piece in pieces:
            print(hashlib.sha256(piece.events.tobytes()).hexdigest())


if __name__ == "__main__":
    compose_all(sys.argv[1:])
