"""Which snapshot is taken, by what the curve asks for and what the samples say, and which is nearest where none is fit.

Conventions
-----------
Epochs are those of the table, from 1 in the farm. Snapshots are those before any trouble, ordered by epoch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from farm.selection.candidates import Candidate, Onsets, faults, passes
from farm.selection.curve import Curve

_HEALTHY = ("healthy", "healthy-then-blowup", "healthy-then-divergence", "healthy-then-nan", "blowup-and-recovery")
_NEAR_SHARE = 0.2  # of the gap between two snapshots: the one before the target is taken when it is so near


@dataclass(frozen=True)
class Pick:
    """The outcome of the rule: an epoch or none, the class, and whether a musician may use it."""

    epoch: int | None
    verdict: str
    provisional: bool
    fit: bool
    why: str  # the one thing that kept it from being fit, or moved it; "" when nothing did
    nearest: Candidate | None = None  # without an epoch, what comes nearest to being fit


def choose(curve: Curve, candidates: Sequence[Candidate], onsets: Onsets) -> Pick:
    """Return the snapshot the rule takes.

    First the one the curve asks for: the first safe snapshot from the target on (the one before when it is nearly
    there), or the last safe one. Then the samples: before copying begins, after the loops end. Where the held-out loss
    turned up before the target, and samples can tell, that is where they are asked first: later epochs know more by
    heart and no more of the style.
    """
    safe = [candidate for candidate in candidates if candidate.safe]
    broken = curve.verdict in ("blew-up", "unstable", "not-converged")
    if curve.target is None:
        return Pick(None, curve.verdict, False, False, "curve")
    if not safe:
        return Pick(None, curve.verdict, False, False, "no-safe-snapshot")
    if not any(candidate.heard for candidate in safe):
        return Pick(_from_curve(safe, curve.target).epoch, curve.verdict, broken, not broken, "unheard")
    start = min(curve.target, curve.target if curve.turned is None else curve.turned)
    wanted = _from_curve(safe, start)
    good = [candidate for candidate in safe if passes(candidate, onsets) and _between(candidate, onsets)]
    if not good:
        return _unfit(curve, safe, onsets, wanted)
    later = [candidate for candidate in good if candidate.epoch >= wanted.epoch]
    taken = later[0] if later else good[-1]
    if start < curve.target and later:
        is_fit = curve.verdict not in ("blew-up", "unstable")  # what it would still learn, it would learn by heart
        verdict = "healthy" if curve.verdict == "not-converged" else curve.verdict
        return Pick(taken.epoch, verdict, not is_fit, is_fit, "turned")
    why = "" if taken is wanted else "later" if later else "earlier"
    return Pick(taken.epoch, curve.verdict, broken, not broken, why)


def _unfit(curve: Curve, safe: Sequence[Candidate], onsets: Onsets, wanted: Candidate) -> Pick:
    """Return no epoch, what the samples of the safe snapshots lack, and which of them lacks least."""
    memo, fluent = onsets.memo, onsets.fluent
    heard = [candidate for candidate in safe if candidate.heard]
    nearest = min(heard, key=lambda one: (one.copying, len(faults(one, onsets)), abs(one.epoch - wanted.epoch)))
    if memo is not None and (fluent is None or memo <= fluent):
        return Pick(None, "memorizes-before-fluent", False, False, "memo", nearest)
    if all(candidate.copying for candidate in heard if fluent is not None and candidate.epoch >= fluent) and any(
        candidate.copying for candidate in heard
    ):
        why = "copies"
    else:
        why = "too-random" if all(candidate.loose for candidate in heard) else "loops"
    return Pick(None, curve.verdict if curve.verdict not in _HEALTHY else why, False, False, why, nearest)


def _between(candidate: Candidate, onsets: Onsets) -> bool:
    after = onsets.fluent is not None and candidate.epoch >= onsets.fluent
    return after and (onsets.memo is None or candidate.epoch < onsets.memo)


def _from_curve(safe: Sequence[Candidate], target: int) -> Candidate:
    after = next((index for index, candidate in enumerate(safe) if candidate.epoch >= target), None)
    if after is None:
        return safe[-1]
    if after > 0:
        before = safe[after - 1]
        if target - before.epoch <= _NEAR_SHARE * (safe[after].epoch - before.epoch):
            return before
    return safe[after]
