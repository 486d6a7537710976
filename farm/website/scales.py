"""Round numbers for the axes of pictures that are drawn without a library."""

import math


def ticks(low: float, high: float, about: int) -> list[float]:
    """Return round numbers from `low` to `high`, ascending, about so many; none for an empty range.

    Examples
    --------
    >>> ticks(0.0, 0.073, 3), ticks(2.2, 4.7, 4), ticks(1.0, 1.0, 4)
    ([0.0, 0.02, 0.04, 0.06], [2.5, 3.0, 3.5, 4.0, 4.5], [])
    """
    if not high > low:
        return []
    rough = (high - low) / about
    ten = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * ten for factor in (1, 2, 5, 10) if factor * ten >= rough * 0.75)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(place * step, 10) for place in range(first, last + 1)]
