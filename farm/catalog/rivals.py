"""Which of a style's trained recipes becomes its model; pure.

Conventions
-----------
First comes what is fit, then what is not larger than the style allows, then the fewest held-out bits a note, then the
order of corpora.yaml. Bits can only be compared between networks of one kind, for another kind may predict other
things of a note: those of another kind than the first recipe's come after.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Rival:
    """What one recipe came to.

    Attributes
    ----------
    sizes
        Bytes of its model file by precision; not empty where it can be published.
    bits
        Held-out bits a note at the picked epoch.
    trouble
        Why nothing can be published of it: training failed, or no epoch is fit to use; empty where something can.
    """

    recipe: str
    kind: str
    fit: bool
    sizes: Mapping[str, int]
    bits: float | None
    trouble: str = ""


@dataclass(frozen=True)
class Choice:
    """The recipe that is published, None when none can be, and a sentence about each recipe."""

    recipe: str | None
    why: dict[str, str]


def choose(rivals: Sequence[Rival], max_bytes: int | None) -> Choice:
    """Return which of the rivals is published, and why or why not, for each.

    Parameters
    ----------
    max_bytes
        The largest model file that the style allows, in its smallest precision; None for any.

    Examples
    --------
    >>> small = Rival("small", "lstm", True, {"int8": 400}, 4.9)
    >>> large = Rival("large", "lstm", True, {"int8": 900}, 4.6)
    >>> choose([small, large], None).recipe, choose([small, large], 500).recipe
    ('large', 'small')
    """
    there = [rival for rival in rivals if not rival.trouble]
    why = {rival.recipe: f"Nothing to publish: {rival.trouble}" for rival in rivals if rival.trouble}
    if not there:
        return Choice(None, why)
    kind = there[0].kind
    best = min(there, key=lambda rival: _rank(rival, max_bytes, kind))
    for rival in there:
        why[rival.recipe] = _praise(best, there, max_bytes) if rival is best else _blame(rival, best, max_bytes)
    return Choice(best.recipe, why)


def _rank(rival: Rival, max_bytes: int | None, kind: str) -> tuple[bool, bool, bool, float]:
    bits = float("inf") if rival.bits is None else rival.bits
    return not rival.fit, _is_too_large(rival, max_bytes), rival.kind != kind, bits


def _is_too_large(rival: Rival, max_bytes: int | None) -> bool:
    return max_bytes is not None and min(rival.sizes.values()) > max_bytes


def _praise(best: Rival, there: Sequence[Rival], max_bytes: int | None) -> str:
    if len(there) == 1:
        return "Published: the only one with an epoch to use."
    fit = "fit" if best.fit else "unfit like the others"
    room = "" if max_bytes is None else ", larger than allowed like the others"
    if max_bytes is not None and not _is_too_large(best, max_bytes):
        room = f", within {max_bytes:,} bytes"
    return f"Published: {fit}{room}, with {_bits(best)} a note on held-out music."


def _blame(rival: Rival, best: Rival, max_bytes: int | None) -> str:
    """Return the first thing in which a rival is behind the best."""
    if best.fit and not rival.fit:
        return f"Not fit, {best.recipe} is."
    if _is_too_large(rival, max_bytes) and not _is_too_large(best, max_bytes):
        return f"Its smallest file has {min(rival.sizes.values()):,} bytes, {max_bytes:,} are allowed."
    if rival.kind != best.kind:
        return f"A network of another kind than {best.recipe}: their bits cannot be compared."
    return f"{_bits(rival)} a note on held-out music, {best.recipe} has {_bits(best)}."


def _bits(rival: Rival) -> str:
    return "no measured bits" if rival.bits is None else f"{rival.bits:.2f} bits"
