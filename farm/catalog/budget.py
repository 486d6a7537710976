"""Which model ships in which precision within a number of bytes; pure.

Conventions
-----------
Lower precision is preferred to leaving a style out, and to leaving a model out of the page. A higher `priority` is more
important; of equal ones the name that comes first in the alphabet.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace


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


def inside_page(
    options: Sequence[Option], budget_bytes: int | None, script_bytes: Callable[[str, int], int]
) -> list[str]:
    """Return the styles whose model ships a second time, as a script of the page, the most important first.

    Parameters
    ----------
    script_bytes
        From a style and the size of its file to the size of its script.

    Examples
    --------
    >>> sizes = (("float32", 40), ("float16", 20), ("int8", 10))
    >>> inside_page([Option("bach", 1, sizes), Option("chopin", 0, sizes)], 35, lambda style, size: size + 2)
    ['bach']
    """
    order = ranked(options)
    if budget_bytes is None:
        return [option.style for option in order]
    room = budget_bytes - sum(option.sizes[-1][1] for option in order)
    inside = []
    for option in order:
        cost = script_bytes(option.style, option.sizes[-1][1])
        if cost <= room:
            inside.append(option.style)
            room -= cost
    return inside


def with_scripts(
    options: Sequence[Option], inside: Collection[str], script_bytes: Callable[[str, int], int]
) -> list[Option]:
    """Return the options with what each size costs where the model ships as a script too."""
    return [
        replace(option, sizes=tuple((name, size + script_bytes(option.style, size)) for name, size in option.sizes))
        if option.style in inside
        else option
        for option in options
    ]
