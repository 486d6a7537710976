"""The pictures of what a style learned from: bars over pitches, note values, keys, metres, tempos, lengths.

Conventions
-----------
Drawn by hand as SVG that stands inside a page: a page has six of them, and a library takes longer for one than for all
the rest of the page. All are drawn to one small size, so that they stand side by side on a desk and one below the other
on a phone with letters as large as the page's small print. Colours come from the page's style sheet.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from farm.website.scales import ticks
from farm.website.text import visible

_WIDTH, _HEIGHT = 266, 144
_LEFT, _RIGHT, _TOP, _FOOT = 32, 262, 7, 117


@dataclass(frozen=True)
class Bars:
    """What one picture shows.

    `lefts` and `heights` go together, all bars being `width` wide; `pale` are the indices of those that stand back.
    `ticks` are places and names on the axis. Heights are shares of 1 where `is_share`, else whole numbers.
    """

    lefts: tuple[float, ...]
    heights: tuple[float, ...]
    width: float
    span: tuple[float, float]
    ticks: tuple[tuple[float, str], ...]
    is_share: bool
    pale: frozenset[int] = frozenset()


def bars(shown: Bars, label: str) -> Markup:
    """Return bars as an SVG element; `label` is the text alternative."""
    top = 1.06 * (max(shown.heights, default=0) or 1)
    strong = [index for index in range(len(shown.lefts)) if index not in shown.pale]
    return Markup('<svg class="bars" role="img" aria-label="{}" viewBox="0 0 {} {}">{}{}{}{}</svg>').format(
        visible(label), _WIDTH, _HEIGHT, _grid(shown, top),
        _drawn(shown, top, strong, "strong"), _drawn(shown, top, sorted(shown.pale), "pale"), _names(shown),
    )  # fmt: skip


def _grid(shown: Bars, top: float) -> Markup:
    """Return the levels that bars reach up to: shares in per cent, or whole numbers."""
    levels = [level for level in ticks(0.0, top, 3) if shown.is_share or level == int(level)]
    return Markup("").join(
        Markup('<path d="M{} {}H{}"/><text class="level" x="{}" y="{}">{}</text>').format(
            _LEFT, f"{_y(level, top):.1f}", _RIGHT, _LEFT - 4, f"{_y(level, top) + 3:.1f}",
            f"{100 * level:g} %" if shown.is_share else f"{level:,.0f}",
        )
        for level in levels
    )  # fmt: skip


def _drawn(shown: Bars, top: float, chosen: Sequence[int], kind: str) -> Markup:
    """Return all chosen bars as one path: a hundred elements of their own would be most of the page."""
    parts = []
    for index in chosen:
        left, right = (_x(shown.lefts[index] + wide, shown.span) for wide in (0.0, shown.width))
        if shown.heights[index] > 0:
            parts.append(f"M{left:.1f} {_FOOT}V{_y(shown.heights[index], top):.1f}H{right:.1f}V{_FOOT}z")
    return Markup('<path class="{}" d="{}"/>').format(kind, "".join(parts)) if parts else Markup("")


def _names(shown: Bars) -> Markup:
    line = Markup('<path class="foot" d="M{} {}H{}"/>').format(_LEFT, _FOOT, _RIGHT)
    return line + Markup("").join(
        Markup('<text x="{}" y="{}">{}</text>').format(f"{_x(place, shown.span):.1f}", _FOOT + 10 + 10 * row, part)
        for place, name in shown.ticks
        for row, part in enumerate(visible(line) for line in name.split("\n"))
    )


def _x(place: float, span: tuple[float, float]) -> float:
    return _LEFT + (place - span[0]) / (span[1] - span[0]) * (_RIGHT - _LEFT)


def _y(height: float, top: float) -> float:
    return _FOOT - height / top * (_FOOT - _TOP)
