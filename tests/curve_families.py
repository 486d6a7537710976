"""Made training curves of every kind a run takes, each with what a good rule must say of it.

Conventions
-----------
A curve is a list of records as in metrics.jsonl, epochs from 1. `expect` is the range of epochs the pick must
lie in, both ends included, or None when nothing may be picked. The same seed gives the same curve.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Made:
    """One made curve."""

    family: str
    records: list[dict[str, Any]]
    expect: tuple[int, int] | None
    broken_from: int | None = None  # first epoch that is lost


def _records(loss: np.ndarray, heldout: np.ndarray | None = None, accuracy: bool = True) -> list[dict[str, Any]]:
    """Return the table of a loss; accuracy follows it as it does in small networks."""
    rows = []
    for index, value in enumerate(loss.tolist()):
        row: dict[str, Any] = {"epoch": index + 1, "loss": value if np.isfinite(value) else None}
        if accuracy:
            row["accuracy"] = float(np.exp(-0.28 * max(value, 0) ** 1.5)) if np.isfinite(value) else None
        if heldout is not None:
            row["val_loss"] = float(heldout[index]) if np.isfinite(heldout[index]) else None
        rows.append(row)
    return rows


def _fall(rng: np.random.Generator, n: int, tau: float, low: float = 0.1, noise: float = 0.01) -> np.ndarray:
    epochs = np.arange(n)
    return low + 4.2 * np.exp(-epochs / tau) + noise * rng.standard_normal(n)


def healthy(rng: np.random.Generator) -> Made:
    tau = rng.uniform(15, 60)
    return Made("healthy", _records(_fall(rng, 500, tau)), (int(1.2 * tau), int(3.5 * tau)))


def no_accuracy(rng: np.random.Generator) -> Made:
    tau = rng.uniform(15, 60)
    return Made("no accuracy", _records(_fall(rng, 500, tau), accuracy=False), (int(1.2 * tau), int(3.5 * tau)))


def noisy(rng: np.random.Generator) -> Made:
    tau = rng.uniform(20, 50)
    return Made("noisy", _records(_fall(rng, 400, tau, low=0.5, noise=0.08)), (int(1.1 * tau), int(4 * tau)))


def late_drop(rng: np.random.Generator) -> Made:
    start, tau = int(rng.integers(80, 200)), rng.uniform(15, 40)
    loss = np.concatenate((4.3 + 0.02 * rng.standard_normal(start), _fall(rng, 500 - start, tau)))
    return Made("late drop", _records(loss), (start + int(1.2 * tau), start + int(3.8 * tau)))


def rate_steps(rng: np.random.Generator) -> Made:
    step = int(rng.integers(100, 160))
    loss = np.concatenate((_fall(rng, step, 15, low=1.2), 0.3 + 0.9 * np.exp(-np.arange(400 - step) / 4)))
    return Made("learning-rate steps", _records(loss + 0.005 * rng.standard_normal(400)), (20, step + 40))


def power_tail(rng: np.random.Generator) -> Made:
    power = rng.uniform(0.4, 0.8)
    loss = 4.3 * np.arange(1, 501) ** -power + 0.005 * rng.standard_normal(500)
    return Made("power tail", _records(loss), (4, 350))


def early_blow_up(rng: np.random.Generator) -> Made:
    at = int(rng.integers(20, 40))
    loss = np.concatenate((_fall(rng, at, 60), 4.5 + 0.3 * rng.standard_normal(300 - at)))
    return Made("early blow-up", _records(loss), (max(1, at - 15), at - 1), at + 1)


def late_blow_up(rng: np.random.Generator) -> Made:
    at, tau = int(rng.integers(200, 400)), rng.uniform(15, 50)
    loss = np.concatenate((_fall(rng, at, tau), 5.0 + 0.3 * rng.standard_normal(500 - at)))
    return Made("late blow-up", _records(loss), (int(1.2 * tau), int(3.5 * tau)), at + 1)


def slow_divergence(rng: np.random.Generator) -> Made:
    at, tau = int(rng.integers(150, 300)), rng.uniform(15, 40)
    loss = _fall(rng, 500, tau)
    loss[at:] += 0.012 * np.arange(500 - at)
    return Made("slow divergence", _records(loss), (int(1.2 * tau), int(3.5 * tau)), at + 60)


def oscillation(rng: np.random.Generator) -> Made:
    at, tau = int(rng.integers(150, 250)), rng.uniform(15, 40)
    loss = _fall(rng, 500, tau)
    loss[at:] += 1.5 * (1 - np.cos(2 * np.pi * np.arange(500 - at) / 40))
    return Made("oscillation", _records(loss), (int(1.2 * tau), int(3.5 * tau)), at + 20)


def spike(rng: np.random.Generator) -> Made:
    at, tau = int(rng.integers(150, 350)), rng.uniform(15, 50)
    loss = _fall(rng, 500, tau)
    loss[at : at + 6] += np.array([3.0, 2.5, 1.8, 1.0, 0.5, 0.2])
    return Made("spike and recovery", _records(loss), (int(1.2 * tau), int(3.5 * tau)))


def long_recovery(rng: np.random.Generator) -> Made:
    at, tau = int(rng.integers(25, 40)), 60.0
    loss = _fall(rng, 600, tau)
    loss[at:] = np.concatenate((np.full(60, 4.6), _fall(rng, 540 - at, tau)))
    return Made("blow-up and recovery", _records(loss), (at + 60 + int(1.1 * tau), at + 60 + int(3.5 * tau)))


def nan_first(rng: np.random.Generator) -> Made:
    return Made("NaN first", _records(np.full(int(rng.integers(1, 50)), np.nan)), None, 1)


def nan_late(rng: np.random.Generator) -> Made:
    at, tau = int(rng.integers(200, 400)), rng.uniform(15, 40)
    loss = _fall(rng, 500, tau)
    loss[at:] = np.nan
    return Made("NaN late", _records(loss), (int(1.2 * tau), int(3.5 * tau)), at + 1)


def never_learns(rng: np.random.Generator) -> Made:
    return Made("never learns", _records(4.4 + 0.02 * rng.standard_normal(300)), None)


def diverges_at_once(rng: np.random.Generator) -> Made:
    loss = np.concatenate(([4.4, 4.3, 4.35], 9 + rng.standard_normal(200)))
    return Made("diverges at once", _records(loss), None, 4)


def still_falling(rng: np.random.Generator) -> Made:
    loss = np.linspace(4.4, rng.uniform(1.5, 3), 100) + 0.01 * rng.standard_normal(100)
    return Made("still falling", _records(loss), (90, 100))


def short(rng: np.random.Generator) -> Made:
    n = int(rng.integers(1, 4))
    return Made("1 to 3 epochs", _records(np.array([4.4, 3.1, 2.5])[:n]), (n, n))


def large_corpus(rng: np.random.Generator) -> Made:
    """A large corpus, transposed: held-out loss creeps down to the end and never turns up."""
    n = int(rng.integers(30, 80))
    epochs = np.arange(1, n + 1)
    heldout = 2.9 + 4.1 * epochs ** -rng.uniform(0.65, 0.9)
    loss = heldout - 0.004 * epochs + 0.15 + 0.01 * rng.standard_normal(n)
    return Made("large corpus", _records(loss, heldout + 0.008 * rng.standard_normal(n)), (n // 3, n))


def overfits(rng: np.random.Generator) -> Made:
    """A small corpus: held-out loss turns up early, the music is good at the shoulder of the training loss."""
    tau = rng.uniform(20, 50)
    loss = _fall(rng, 500, tau)
    epochs = np.arange(500)
    heldout = 3.0 + 1.2 * np.exp(-epochs / (0.3 * tau)) + 0.009 * np.maximum(0, epochs - 0.6 * tau)
    return Made("overfits", _records(loss, heldout), (int(1.2 * tau), int(3.5 * tau)))


FAMILIES: tuple[Callable[[np.random.Generator], Made], ...] = (
    healthy, no_accuracy, noisy, late_drop, rate_steps, power_tail, early_blow_up, late_blow_up, slow_divergence,
    oscillation, spike, long_recovery, nan_first, nan_late, never_learns, diverges_at_once, still_falling, short,
    large_corpus, overfits,
)  # fmt: skip


def made(seed: int, per_family: int) -> list[Made]:
    """Return `per_family` curves of every family."""
    return [
        family(np.random.Generator(np.random.PCG64([seed, index, number])))
        for index, family in enumerate(FAMILIES)
        for number in range(per_family)
    ]
