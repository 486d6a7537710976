"""Whether a pack may take the place of another: of the same farm, and not older; pure.

Conventions
-----------
A pack's *number* is how many decisions the farm had when the pack was made; lines of an append-only file, so it never
falls. Its *origin* is the hash of the farm's first catalog.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

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
        Hash of the farm's first catalog.
    """

    number: int
    origin_sha256: str


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
    number, origin = catalog.get("number"), catalog.get("origin_sha256")
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise FarmError(f"{name}: number is {str(number)[:40]!r}, expected a whole number from 0; get the pack again")
    if not isinstance(origin, str) or not re.fullmatch("[0-9a-f]{64}", origin):
        raise FarmError(f"{name}: origin_sha256 is {str(origin)[:40]!r}, expected a hash; get the pack again")
    return Edition(number, origin)


def why_not_after(new: Edition, old: Edition) -> str | None:
    """Return why a pack may not take the place of an old one; None when it may.

    A model's version may well be lower: going back to an earlier one is a decision too.

    Examples
    --------
    >>> why_not_after(Edition(3, "ab"), Edition(4, "ab"))
    'is older: its number is 3, that of the old pack 4'
    >>> why_not_after(Edition(4, "ab"), Edition(4, "ab"))
    """
    if new.origin_sha256 != old.origin_sha256:
        origins = [one.origin_sha256[:_SHOWN] for one in (new, old)]
        return f"is from another farm: its origin is {origins[0]}, that of the old pack {origins[1]}"
    if new.number < old.number:
        return f"is older: its number is {new.number}, that of the old pack {old.number}"
    return None
