"""The beginning of a sample as a score: engraved by Verovio when the page is made, as SVG that stands inside it.

Conventions
-----------
The only door to Verovio. Beats are quarter notes from the start of the first bar. What is engraved was written by
`farm.composing.score`, so it holds no text from outside. A score shows at most `MOST_BARS` bars and `MOST_NOTES` notes;
no score is larger than `MOST_BYTES`. Verovio gets one style's music after the other and keeps none of it.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from farm.composing.notation import Sheet
from farm.composing.score import musicxml
from farm.music.encoding import FREE, NOTE
from farm.website.pianoroll import Note, bar_beats, end_beat
from farm.website.score_svg import Score, for_page

MOST_BARS = 16
MOST_NOTES = 500
MOST_BYTES = 120_000
_OPTIONS = {
    "scale": 40,
    "pageWidth": 2100,
    "pageHeight": 60_000,  # one page, however many systems
    "adjustPageHeight": True,
    "pageMarginTop": 20,
    "pageMarginBottom": 20,
    "pageMarginLeft": 20,
    "pageMarginRight": 20,
    "svgRemoveXlink": True,
    "header": "none",
    "footer": "none",
    "mnumInterval": 0,  # a number at each new system
}


def engrave(notes: Sequence[Note], metre: str, name: str, label: str) -> Score | None:
    """Return the first bars of a sample as a score; None for no notes, and for music without bars.

    Parameters
    ----------
    metre
        Such as '3/4'; music in free metre is told by the clock, and its beats are no beats.
    name
        Begins every identifier inside; no two scores of a page may share it.
    label
        What a screen reader says; the bars that are shown are added.
    """
    if metre == FREE or not notes:
        return None
    bar = bar_beats(metre)
    n_bars = min(MOST_BARS, int(-(-end_beat(notes) // bar)))
    while n_bars:
        shown = [note for note in notes if note[0] < n_bars * bar - 1e-6]
        if len(shown) <= MOST_NOTES:
            score = _engraved(shown, metre, name, f"{label}, bars 1 to {n_bars}")
            if score is None or len(score.svg) <= MOST_BYTES:
                return score
        n_bars //= 2
    return None


def _engraved(notes: Sequence[Note], metre: str, name: str, label: str) -> Score | None:
    if not notes:
        return None
    xml = musicxml(np.array([(*note, 0.0) for note in notes], NOTE), Sheet(title="", time_signature=metre))
    verovio = _toolkit()
    if not verovio.loadData(xml.decode()):
        return None
    onsets = [(float(moment["qstamp"]), list(moment.get("on", ()))) for moment in verovio.renderToTimemap({})]
    return for_page(verovio.renderToSVG(1), onsets, name, label)


@cache
def _toolkit() -> Any:
    import verovio

    verovio.enableLog(verovio.LOG_OFF)
    toolkit = verovio.toolkit()
    toolkit.setOptions(_OPTIONS)
    return toolkit
