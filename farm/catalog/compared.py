"""A model against the one of its style that ships now: better, worse, and by how much; pure.

Conventions
-----------
*Then* is the newest version that may ship, *now* the model about to be published. Differences are now minus then, so
a positive one is worse. Bits a note count as equal within `NOISE_BITS`, which is what int8 may lose as well; shares of
notes within `NOISE_SHARE`, and below what people do themselves no share is a fault.
"""

from collections.abc import Mapping
from typing import Any

BETTER, SAME, WORSE, NOT_COMPARABLE = OUTCOMES = ("better", "same", "worse", "not comparable")

NOISE_BITS = 0.02
NOISE_SHARE = 0.05

_SHARES = {"repetition": "repeats itself", "copied": "copies"}


def compared(now: Mapping[str, Any], then: Mapping[str, Any], then_bits: float | None) -> dict[str, Any]:
    """Return what an entry's `compared` says.

    Parameters
    ----------
    now, then
        Entries of the catalog.
    then_bits
        Bits a note of the earlier model on the held-out music of today; None where the two encode music differently,
        so that their notes do not hold the same.

    Returns
    -------
    `version` and `sha256` of the earlier model, `comparable` (whether the bits are), `val_bits_per_note` (the earlier
    one's), `delta_bits`, `delta_repetition`, `delta_copied`, `outcome` (one of `OUTCOMES`) and `why`, in words.
    """
    quality_now, quality_then = now["quality"], then["quality"]
    bits = quality_now["val_bits_per_note"]
    delta = None if then_bits is None else round(bits - then_bits, 5)
    deltas = {name: round(quality_now[name] - quality_then[name], 5) for name in _SHARES}
    faults = [
        f"it {told} more, {quality_now[name]:.0%} of the notes against {quality_then[name]:.0%}"
        for name, told in _SHARES.items()
        if deltas[name] > NOISE_SHARE and quality_now[name] > _of_people(quality_now[f"{name}_human"])
    ]
    if then["verdict"]["fit"] and not now["verdict"]["fit"]:
        faults.append(f"its verdict is {now['verdict']['verdict']}")
    outcome = _outcome(delta, bool(faults))
    return {
        "version": then["version"],
        "sha256": then["files"][0]["sha256"],
        "comparable": delta is not None,
        "val_bits_per_note": None if then_bits is None else round(then_bits, 5),
        "delta_bits": delta,
        **{f"delta_{name}": value for name, value in deltas.items()},
        "outcome": outcome,
        "why": _words(outcome, bits, then_bits, faults, now, then),
    }


def _outcome(delta_bits: float | None, is_faulty: bool) -> str:
    if is_faulty or (delta_bits is not None and delta_bits > NOISE_BITS):
        return WORSE
    if delta_bits is None:
        return NOT_COMPARABLE
    return BETTER if delta_bits < -NOISE_BITS else SAME


def _words(
    outcome: str,
    bits: float,
    then_bits: float | None,
    faults: list[str],
    now: Mapping[str, Any],
    then: Mapping[str, Any],
) -> str:
    name = f"version {then['version']}, which ships now"
    found = {
        BETTER: f"Better than {name}",
        SAME: f"As good as {name}",
        WORSE: f"Worse than {name}",
        NOT_COMPARABLE: f"No worse in what it composes than {name}, as far as that can be told",
    }
    if then_bits is None:
        told = "the two encode music differently, so their bits a note do not compare"
    else:
        told = f"{bits:.3f} bits a note against {then_bits:.3f} on the held-out music of today"
        if now["lineage"]["split_sha256"] != then["lineage"]["split_sha256"]:
            told += ", which the earlier one may have learnt from"
    return f"{found[outcome]}: {'; '.join([told, *faults])}."


def _of_people(reference: Any) -> float:
    """Return the mean of people's pieces, which stands first; 0 where nobody was measured."""
    first = reference[0] if isinstance(reference, list | tuple) else reference
    return float(first or 0)
