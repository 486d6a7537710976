"""Whether a pack may take the place of another: of the same farm, and not older; pure.

Conventions
-----------
A pack's *number* is how many decisions the farm had when the pack was made; lines of an append-only file, so it never
falls. Its *origin* is the hash of the farm's first catalog. A pack that was made before there were numbers counts as
number 0 and of unknown origin; where an origin is unknown the two are not told apart by it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from farm.catalog.publish import APPROVED, REJECTED, RETIRED
from farm.errors import FarmError

_COUNTED = (APPROVED, REJECTED, RETIRED)  # not `shipped`: shipping again must give the same pack
_SHOWN = 12


@dataclass(frozen=True)
class Edition:
    """The place of a pack among the packs of its farm.

    Attributes
    ----------
    number
        Decisions before it, from 0.
    origin_sha256
        Hash of the farm's first catalog; None when unknown.
    versions
        The version of each style's model, from 1.
    """

    number: int
    origin_sha256: str | None
    versions: Mapping[str, int]


def pack_number(decisions: Iterable[Mapping[str, Any]]) -> int:
    """Return the number of a pack that is made now, from all decisions there are.

    Examples
    --------
    >>> pack_number([{"status": "approved"}, {"status": "shipped"}, {"status": "rejected"}])
    2
    """
    return sum(decision.get("status") in _COUNTED for decision in decisions)


def edition(catalog: Mapping[str, Any], name: str) -> Edition:
    """Return the edition that a pack's catalog.json tells, which may be anybody's.

    Raises
    ------
    FarmError
        When it tells none; the message begins with `name`.
    """
    number, origin, models = catalog.get("number", 0), catalog.get("origin_sha256"), catalog.get("models")
    if not _is_count(number, 0):
        raise FarmError(f"{name}: number is {str(number)[:40]!r}, expected a whole number from 0; get the pack again")
    if origin is not None and not (isinstance(origin, str) and re.fullmatch("[0-9a-f]{64}", origin)):
        raise FarmError(f"{name}: origin_sha256 is {str(origin)[:40]!r}, expected a hash; get the pack again")
    versions = {}
    for model in models if isinstance(models, list) else [None]:
        told = model if isinstance(model, dict) else {}
        style, version = told.get("style"), told.get("version")
        if not isinstance(style, str) or not _is_count(version, 1):
            raise FarmError(f"{name}: models do not all name a style and its version; get the pack again")
        versions[style] = version
    return Edition(number, origin, versions)


def why_not_after(new: Edition, old: Edition) -> list[str]:
    """Return why a pack may not take the place of an old one; empty when it may.

    Examples
    --------
    >>> why_not_after(Edition(3, None, {"bach": 1}), Edition(4, None, {"bach": 2}))
    ['is older: its number is 3, that of the old pack 4', 'is older: it has version 1 of bach, the old pack version 2']
    >>> why_not_after(Edition(4, None, {}), Edition(4, None, {"bach": 2}))
    []
    """
    if None not in (new.origin_sha256, old.origin_sha256) and new.origin_sha256 != old.origin_sha256:
        origins = [str(one.origin_sha256)[:_SHOWN] for one in (new, old)]
        return [f"is from another farm: its origin is {origins[0]}, that of the old pack {origins[1]}"]
    reasons = []
    if new.number < old.number:
        reasons.append(f"is older: its number is {new.number}, that of the old pack {old.number}")
    return reasons + [
        f"is older: it has version {new.versions[style]} of {style}, the old pack version {version}"
        for style, version in sorted(old.versions.items())
        if new.versions.get(style, version) < version
    ]


def _is_count(value: Any, least: int) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
