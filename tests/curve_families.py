"""Made training curves of every kind a run takes, each with what a good rule must say of it (see `made_curves`).

Where a run starts from trained weights, good are the epochs whose held-out loss is within half a hundredth of the
whole way of the best.

Conventions
-----------
Times are shares of the run, so that every family has every length. The same seed gives the same curve.
"""

from collections.abc import Callable, Iterable

import numpy as np
from made_curves import TOP, Made, Setting, make, records_of, way

_UNTRAINED = 12.8  # nats, of a whole note; what runs from trained weights count from
LENGTHS = (20, 30, 50, 100, 200, 300, 500)
NOISES = (0.001, 0.005, 0.015)  # of the fall

Family = Callable[[np.random.Generator, Setting], Made]


def _fall(n: int, tau: float, low: float = 0.1, top: float = TOP) -> np.ndarray:
    return low + (top - low) * np.exp(-np.arange(n) / tau)


def healthy(rng: np.random.Generator, setting: Setting) -> Made:
    return make("healthy", rng, setting, _fall(setting.n, rng.uniform(0.04, 0.14) * setting.n))


def noisy(rng: np.random.Generator, setting: Setting) -> Made:
    loud = Setting(setting.n, float(rng.uniform(0.02, 0.04)), setting.accuracy, setting.heldout)
    return make("noisy", rng, loud, _fall(setting.n, rng.uniform(0.05, 0.12) * setting.n, low=0.5))


def late_drop(rng: np.random.Generator, setting: Setting) -> Made:
    """It sits at the level of mere frequencies first."""
    start = int(rng.uniform(0.15, 0.4) * setting.n)
    fall = _fall(setting.n - start, rng.uniform(0.04, 0.09) * setting.n)
    return make("late drop", rng, setting, np.concatenate((np.full(start, TOP), fall)))


def rate_steps(rng: np.random.Generator, setting: Setting) -> Made:
    """Two drops of the learning rate, each followed by a fall of its own."""
    n = setting.n
    first, second = (int(rng.uniform(*share) * n) for share in ((0.2, 0.3), (0.45, 0.6)))
    middle, low = rng.uniform(1.0, 1.8), rng.uniform(0.3, 0.6)
    trend = _fall(n, 0.03 * n, low=middle)
    trend[first:] = _fall(n - first, 0.01 * n, low=low, top=trend[first - 1])
    trend[second:] = _fall(n - second, 0.01 * n, low=low - 0.15, top=trend[second - 1])
    return make("learning-rate steps", rng, setting, trend)


def double_descent(rng: np.random.Generator, setting: Setting) -> Made:
    """The loss rises again for a while, by less than a blow-up, and then falls further than before."""
    n = setting.n
    time = np.arange(n) / n
    at, width, height = rng.uniform(0.2, 0.3), rng.uniform(0.03, 0.06), rng.uniform(0.1, 0.6)
    low = rng.uniform(1.5, 2.2)
    trend = low + (TOP - low) * np.exp(-time / 0.05) + height * np.exp(-(((time - at) / width) ** 2))
    trend -= (low - 0.3) / (1 + np.exp(-(time - at - 2 * width) / 0.025))
    return make("double descent", rng, setting, trend)


def heldout_double_descent(rng: np.random.Generator, setting: Setting) -> Made:
    """The held-out loss rises for a while and then falls to its best, where it stays."""
    n = setting.n
    time = np.arange(n) / n
    made = make(
        "held-out double descent",
        rng,
        Setting(n, setting.noise, setting.accuracy, "tracks"),
        _fall(n, rng.uniform(0.08, 0.12) * n, low=1.0),
    )
    hump = rng.uniform(0.4, 0.9) * np.exp(-(((time - 0.2) / 0.06) ** 2))
    records = [
        {**row, "val_loss": row["val_loss"] + more} for row, more in zip(made.records, hump.tolist(), strict=True)
    ]
    clean = 0.3 + 1.02 * _fall(n, 0.1 * n, low=1.0) + hump
    first = int(np.flatnonzero(way(clean) < 0.95)[-1]) + 2
    assert made.expect is not None
    return Made(made.family, records, (max(first, made.expect[0]), n))


def power_tail(rng: np.random.Generator, setting: Setting) -> Made:
    trend = TOP * np.arange(1, setting.n + 1) ** -rng.uniform(0.4, 0.9)
    return make("power tail", rng, setting, trend)


def early_blow_up(rng: np.random.Generator, setting: Setting) -> Made:
    """It breaks while it still falls fast: the last epochs before are the best there are."""
    n = setting.n
    at = max(6, int(rng.uniform(0.2, 0.5) * n))
    trend = np.concatenate((np.linspace(TOP, rng.uniform(1.5, 3), at), np.full(n - at, 4.6)))
    made = make("early blow-up", rng, setting, trend, broken_at=at, levels=False)
    return Made(made.family, made.records, (int(np.ceil(0.9 * at)), at), made.broken_from, levels=False)


def late_blow_up(rng: np.random.Generator, setting: Setting) -> Made:
    n = setting.n
    at = int(rng.uniform(0.5, 0.9) * n)
    trend = _fall(n, rng.uniform(0.03, 0.1) * n)
    trend[at:] = rng.uniform(2.0, 8.0)
    return make("late blow-up", rng, setting, trend, broken_at=at)


def slow_divergence(rng: np.random.Generator, setting: Setting) -> Made:
    """Lost is what is above its best by a tenth of the fall."""
    n = setting.n
    at, slope = int(rng.uniform(0.4, 0.6) * n), rng.uniform(3, 7) / n
    trend = _fall(n, rng.uniform(0.03, 0.08) * n)
    trend[at:] += slope * np.arange(n - at)
    return make("slow divergence", rng, setting, trend, broken_at=min(n - 1, at + int(0.42 / slope)), turns_at=at)


def oscillation(rng: np.random.Generator, setting: Setting) -> Made:
    n = setting.n
    at = int(rng.uniform(0.4, 0.6) * n)
    trend = _fall(n, rng.uniform(0.03, 0.08) * n)
    period = max(4.0, rng.uniform(0.05, 0.12) * n)
    trend[at:] += rng.uniform(0.8, 1.5) * (1 - np.cos(2 * np.pi * np.arange(n - at) / period))
    return make("oscillation", rng, setting, trend, broken_at=min(n - 1, at + int(period / 2)), turns_at=at)


def spike(rng: np.random.Generator, setting: Setting) -> Made:
    n = setting.n
    at = int(rng.uniform(0.3, 0.7) * n)
    trend = _fall(n, rng.uniform(0.03, 0.1) * n)
    known = trend.copy()
    shape = np.array([3.0, 2.5, 1.8, 1.0, 0.5, 0.2])[: max(1, min(6, n // 12))]
    trend[at : at + len(shape)] += shape
    made = make("spike and recovery", rng, setting, trend)
    return Made(made.family, made.records, make("", rng, setting, known).expect)


def long_recovery(rng: np.random.Generator, setting: Setting) -> Made:
    """It breaks early for more epochs than a spike has, starts again at the beginning and gets much further."""
    n = max(setting.n, 50)
    at = int(rng.uniform(0.06, 0.1) * n) + 3
    back = at + 12 + int(0.1 * n)
    trend = np.full(n, 4.6)
    trend[:at] = np.linspace(TOP, 2.8, at)
    trend[back:] = _fall(n - back, rng.uniform(0.04, 0.08) * n, top=4.6)
    return make("blow-up and recovery", rng, setting, trend)


def nan_first(rng: np.random.Generator, setting: Setting) -> Made:
    """The first loss is no number; what follows was trained on from there."""
    trend = _fall(setting.n, 0.1 * setting.n)
    trend[: 1 if rng.random() < 0.5 else setting.n] = np.nan
    return make("NaN first", rng, setting, trend, broken_at=0, nothing=True, levels=False)


def nan_late(rng: np.random.Generator, setting: Setting) -> Made:
    n = setting.n
    at = int(rng.uniform(0.5, 0.9) * n)
    trend = _fall(n, rng.uniform(0.03, 0.09) * n)
    trend[at : at + (1 if rng.random() < 0.5 else n)] = np.nan
    return make("NaN late", rng, setting, trend, broken_at=at, levels=False)


def never_learns(rng: np.random.Generator, setting: Setting) -> Made:
    n = setting.n
    trend = TOP + np.linspace(0, rng.uniform(-0.05, 0.05), n) * TOP
    made = make("never learns", rng, setting, trend, nothing=True)
    noise = setting.noise * TOP * rng.standard_normal(n)
    records = [{**row, "loss": row["loss"] + more} for row, more in zip(made.records, noise.tolist(), strict=True)]
    return Made(made.family, records, None)


def diverges_at_once(rng: np.random.Generator, setting: Setting) -> Made:
    trend = np.full(setting.n, rng.uniform(8, 12))
    trend[:3] = 4.4, 4.3, 4.35
    return make("diverges at once", rng, setting, trend, broken_at=3, nothing=True)


def still_falling(rng: np.random.Generator, setting: Setting) -> Made:
    made = make("still falling", rng, setting, np.linspace(TOP, rng.uniform(1.5, 3), setting.n), levels=False)
    return Made(made.family, made.records, (int(np.ceil(0.95 * setting.n)), setting.n), levels=False)


def short(rng: np.random.Generator, setting: Setting) -> Made:
    n = int(rng.integers(1, 4))
    few = Setting(n, setting.noise, setting.accuracy, setting.heldout if n > 1 else "none")
    made = make("1 to 3 epochs", rng, few, np.array([4.4, 3.1, 2.5])[:n], levels=False)
    return Made(made.family, made.records, (n, n), levels=False)


def creeping(rng: np.random.Generator, setting: Setting) -> Made:
    """A large corpus, transposed: the held-out loss creeps down to the end and never turns up."""
    n = min(setting.n, 100)
    epochs = np.arange(1, n + 1)
    heldout = 2.9 + 4.1 * epochs ** -rng.uniform(0.65, 0.9)
    noise = setting.noise * rng.standard_normal((2, n))
    columns = {"loss": heldout - 0.004 * epochs + 0.15 + noise[0], "val_loss": heldout + noise[1]}
    if setting.accuracy:
        columns["accuracy"] = 0.45 * way(heldout)
    first = int(np.flatnonzero(way(heldout) < 0.95)[-1]) + 2
    return Made("held-out loss creeps down", records_of(columns), (first, n))


def _from_trained(name: str, rng: np.random.Generator, setting: Setting, heldout: np.ndarray, loss: np.ndarray) -> Made:
    n = len(heldout)
    noise = setting.noise * rng.standard_normal((2, n))
    columns = {"loss": loss + noise[0], "val_loss": heldout + noise[1]}
    if setting.accuracy:
        columns["accuracy"] = np.exp(-0.12 * loss**1.5)
    near = np.flatnonzero(heldout <= heldout.min() + 0.005 * (_UNTRAINED - heldout.min()))
    return Made(name, records_of(columns), (int(near[0]) + 1, int(near[-1]) + 1), None, _UNTRAINED)


def trained_levels(rng: np.random.Generator, setting: Setting) -> Made:
    """From trained weights: the held-out loss levels within an epoch or two, the training loss creeps on."""
    epochs = np.arange(min(setting.n, 60))
    heldout = rng.uniform(3, 4) + rng.uniform(0.2, 0.6) * np.exp(-epochs / rng.uniform(0.5, 1.5))
    loss = heldout[-1] + 0.4 * np.exp(-epochs / 2) - 0.3 * (1 - np.exp(-epochs / 30))
    return _from_trained("from trained weights, levels", rng, setting, heldout, loss)


def trained_turns(rng: np.random.Generator, setting: Setting) -> Made:
    """From trained weights: the held-out loss levels within an epoch or two and then rises a little."""
    epochs = np.arange(min(setting.n, 60))
    slope = rng.uniform(0.1, 0.4) / len(epochs)
    heldout = rng.uniform(3, 4) + rng.uniform(0.2, 0.6) * np.exp(-epochs / rng.uniform(0.5, 1.5)) + slope * epochs
    loss = heldout[0] - 1.2 * (1 - np.exp(-epochs / (0.4 * len(epochs))))
    return _from_trained("from trained weights, turns up", rng, setting, heldout, loss)


def trained_by_heart(rng: np.random.Generator, setting: Setting) -> Made:
    """From trained weights, very little music: it is learnt by heart while the held-out loss climbs."""
    epochs = np.arange(min(setting.n, 60))
    rise = rng.uniform(1.0, 3.0)
    heldout = rng.uniform(3, 4) + 0.4 * np.exp(-epochs / rng.uniform(0.5, 1)) + rise * (epochs / len(epochs)) ** 1.3
    loss = 0.3 + (heldout[0] - 0.3) * np.exp(-epochs / (rng.uniform(0.3, 0.8) * len(epochs)))
    return _from_trained("from trained weights, by heart", rng, setting, heldout, loss)


FAMILIES: tuple[Family, ...] = (
    healthy, noisy, late_drop, rate_steps, double_descent, heldout_double_descent, power_tail, early_blow_up,
    late_blow_up, slow_divergence, oscillation, spike, long_recovery, nan_first, nan_late, never_learns,
    diverges_at_once, still_falling, short, creeping, trained_levels, trained_turns, trained_by_heart,
)  # fmt: skip


def plainly(family: Family, *, n: int = 500, heldout: str = "none", accuracy: bool = True, seed: int = 5) -> Made:
    """Return a curve of a family with little noise, of this length and with these columns."""
    return family(np.random.Generator(np.random.PCG64(seed)), Setting(n, 0.003, accuracy, heldout))


def one(family: Family, seed: int | Iterable[int]) -> Made:
    """Return a curve of a family: length, noise and columns are drawn too."""
    rng = np.random.Generator(np.random.PCG64(seed if isinstance(seed, int) else list(seed)))
    setting = Setting(
        n=int(rng.choice(LENGTHS)),
        noise=float(rng.choice(NOISES)),
        accuracy=bool(rng.random() < 0.5),
        heldout=str(rng.choice(("none", "tracks", "overfits"))),
    )
    return family(rng, setting)


def made(seed: int, per_family: int) -> list[Made]:
    """Return `per_family` curves of every family."""
    return [one(family, (seed, index, number)) for index, family in enumerate(FAMILIES) for number in range(per_family)]
