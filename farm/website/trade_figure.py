"""The picture of a trade: for each recipe the size of its model file against its bits per note.

Conventions
-----------
As in `drawing`. Sizes are bytes, drawn in MB on a logarithmic axis; a recipe is a line from its smallest precision to
its largest, for the bits hardly change between them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from farm.website.drawing import GOOD, HELD, SETTINGS, finished

_MB = 1e6


@dataclass(frozen=True)
class Offer:
    """One recipe: the bytes of its smallest and its largest file, and its held-out bits a note."""

    recipe: str
    smallest: float
    largest: float
    bits: float
    chosen: bool


def trade_off(offers: Sequence[Offer]) -> Markup:
    """Return size against bits as an SVG element; empty markup for fewer than two offers."""
    if len(offers) < 2:
        return Markup("")
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(8, 2.6), dpi=72)
        axes = figure.subplots()
        figure.subplots_adjust(left=0.075, right=0.97, top=0.93, bottom=0.18)
        for offer in offers:
            colour, weight = (GOOD, "bold") if offer.chosen else (HELD, "normal")
            ends = (offer.smallest / _MB, offer.largest / _MB)
            axes.plot(ends, (offer.bits, offer.bits), "o-", color=colour, linewidth=1.4, markersize=5)
            axes.annotate(
                offer.recipe, (ends[0], offer.bits), (0, 6), textcoords="offset points", color=colour, weight=weight
            )
        known = [offer.bits for offer in offers]
        room = 0.25 * (max(known) - min(known)) or 0.5
        axes.set_ylim(min(known) - room, max(known) + room)
        axes.set_xscale("log")
        low, high = min(offer.smallest for offer in offers), max(offer.largest for offer in offers)
        axes.set_xlim(low / _MB / 1.2, high / _MB * 1.2)
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(lambda value, _position: f"{value:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.set_xlabel("model file, MB, from the smallest precision to the largest")
        axes.set_ylabel("bits per note")
        return finished(
            figure, "trade", "Size against bits per note of each recipe; the table beside it has the numbers"
        )
