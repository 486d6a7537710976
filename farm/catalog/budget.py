"""Which model ships in which precision within a number of bytes; pure.

Conventions
-----------
Lower precision is preferred to leaving a style out. A higher `priority` is more important; of equal ones the
name that comes first in the alphabet.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Option:
    """A style that may ship, and the sizes it comes in.

    Attributes
    ----------
    sizes
        (precision, bytes), from the most precise to the smallest, each smaller than the one before; at least one.
    """

    style: str
    priority: int
    sizes: tuple[tuple[str, int], ...]


def ranked(options: Sequence[Option]) -> list[Option]:
    """Return the options, the most important first."""
    return sorted(options, key=lambda option: (-option.priority, option.style))


def choose(options: Sequence[Option], budget_bytes: int | None) -> dict[str, str]:
    """Return the precision of every style that ships; styles for which there is no room are not in it.

    While not even the smallest sizes fit together, the least important style is left out. The room that is then
    left raises precision, one step at a time, the most important style first.

    Examples
    --------
    >>> sizes = (("float32", 40), ("float16", 20), ("int8", 10))
    >>> choose([Option("bach", 1, sizes), Option("chopin", 0, sizes)], 35)
    {'bach': 'float16', 'chopin': 'int8'}
    >>> choose([Option("bach", 1, sizes), Option("chopin", 0, sizes)], 15)
    {'bach': 'int8'}
    """
    taken = ranked(options)
    if budget_bytes is None:
        return {option.style: option.sizes[0][0] for option in taken}
    while taken and sum(option.sizes[-1][1] for option in taken) > budget_bytes:
        taken.pop()
    at = {option.style: len(option.sizes) - 1 for option in taken}
    room = budget_bytes - sum(option.sizes[-1][1] for option in taken)
    for _ in range(max((len(option.sizes) for option in taken), default=0)):
        for option in taken:
            step = at[option.style]
            if step > 0 and (cost := option.sizes[step - 1][1] - option.sizes[step][1]) <= room:
                at[option.style] = step - 1
                room -= cost
    return {option.style: option.sizes[at[option.style]][0] for option in taken}
