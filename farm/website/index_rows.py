"""The table of the index: a row for every style, with a model, at work, or not finished.

Conventions
-----------
As in `index_page`: finished texts. `*_value` are what a column is sorted by, empty when missing; a missing value
goes last. Bits are those of held-out music, lower is better.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from farm.website.at_work import WAITS, AtWork
from farm.website.evidence import Evidence, section
from farm.website.text import MISSING, decimals, number, share, shortened, size, whole
from farm.website.wording import Mark, human, model_file, page_name, stage_of, status_mark, title_of, verdict_mark

_AT_WORK = Mark("at work", "warn", 6)
_WAITING = Mark("waiting", "", 7)
_NO_VERDICT = Mark("none yet", "", 4)
_UNFINISHED = Mark("not finished", "bad", 5)
_NO_BAR = Markup("")
_LONGEST_LICENCE = 60  # characters; the style's page has all of it
_OUTCOMES = {"better": "good", "same": "", "worse": "bad"}


@dataclass(frozen=True)
class Row:
    """One style in the table; `link` is empty where it has no page yet, `doing` where nothing is at work on it."""

    style: str
    title: str
    link: str
    verdict: Mark
    status: Mark
    doing: str
    epoch: str = MISSING
    of_epochs: str = ""
    bits: str = MISSING
    ngram: str = MISSING
    bar: Markup = _NO_BAR
    shipped: Mark | None = None
    shipped_under: str = ""
    copied: str = MISSING
    copied_human: str = MISSING
    repetition: str = MISSING
    repetition_human: str = MISSING
    size: str = MISSING
    licence: str = MISSING
    epoch_value: str = ""
    bits_value: str = ""
    shipped_value: str = ""
    copied_value: str = ""
    repetition_value: str = ""
    bytes_value: str = ""


def rows(styles: Sequence[Evidence], at_work: AtWork | None) -> tuple[Row, ...]:
    """Return a row for each style of the catalog in its order, then for those that it does not have yet."""
    doing = dict(at_work.styles) if at_work else {}
    scale = max((bits for style in styles for bits in _both_bits(style)), default=1.0)
    told = [_row(style, scale, doing.pop(style.style, "")) for style in styles]
    there = {style.style for style in styles}
    waiting = [style for style in (at_work.read if at_work else ()) if style not in there]
    return (
        *told,
        *(Row(style, style, "", _NO_VERDICT, _AT_WORK, words) for style, words in doing.items()),
        *(Row(style, style, "", _NO_VERDICT, _WAITING, WAITS) for style in waiting),
    )


def _row(style: Evidence, scale: float, doing: str) -> Row:
    title, link = title_of(style), f"styles/{page_name(style.style)}"
    if not style.model:
        stopped = Mark(f"stopped: {stage_of(style.failure)}", "bad", 5)
        return Row(style.style, title, link, _UNFINISHED, _AT_WORK if doing else stopped, doing)
    model, quality = style.model, section(style.model.get("quality"))
    verdict = section(model.get("verdict"))
    epoch, n_bytes = style.pick, number(model_file(model).get("bytes"))
    bits, ngram = number(quality.get("val_bits_per_note")), number(quality.get("ngram_bits_per_note"))
    last = style.history.epochs[-1] if style.history.epochs else None
    compared = section(model.get("compared"))
    mark, under = shipped(compared)
    return Row(
        style=style.style,
        title=title,
        link=link,
        verdict=verdict_mark(verdict),
        status=status_mark(model),
        doing=doing,
        epoch=MISSING if epoch is None else str(epoch),
        of_epochs="" if last is None else f"of {last}",
        bits=decimals(bits),
        ngram=decimals(ngram),
        bar=bits_bar(bits, ngram, scale),
        shipped=mark,
        shipped_under=under,
        copied=share(quality.get("copied")),
        copied_human=share(human(quality.get("copied_human"))),
        repetition=share(quality.get("repetition")),
        repetition_human=share(human(quality.get("repetition_human"))),
        size=size(n_bytes),
        licence=shortened(str(model.get("licence") or "unknown"), _LONGEST_LICENCE),
        epoch_value=_sortable(epoch),
        bits_value=_sortable(bits),
        shipped_value=_sortable(number(compared.get("delta_bits"))),
        copied_value=_sortable(number(quality.get("copied"))),
        repetition_value=_sortable(number(quality.get("repetition"))),
        bytes_value=_sortable(n_bytes),
    )


def shipped(compared: dict[str, Any]) -> tuple[Mark | None, str]:
    """Return how a model does against the version that ships, and against which; None where none ships.

    Examples
    --------
    >>> shipped({"version": 2, "delta_bits": -0.125, "outcome": "better"})
    (Mark(word='better', tone='good', rank=0), '−0.12 bits against version 2')
    """
    if not compared:
        return None, ""
    outcome, version = str(compared.get("outcome") or "not comparable"), whole(compared.get("version"))
    delta = number(compared.get("delta_bits"))
    against = "the version that ships" if version is None else f"version {version}"
    why = str(compared.get("why") or "")
    if outcome not in _OUTCOMES:
        return Mark("not comparable", "warn", 3), why or f"with {against}"
    if outcome == "worse" and why and (delta is None or delta <= 0):
        return Mark(outcome, _OUTCOMES[outcome], 2), why  # by something else than bits
    gain = "" if delta is None else f"{delta:+.2f} bits ".replace("-", "−")
    return Mark(outcome, _OUTCOMES[outcome], list(_OUTCOMES).index(outcome)), f"{gain}against {against}"


def bits_bar(bits: float | None, ngram: float | None, scale: float) -> Markup:
    """Return a bar as long as `bits` is of `scale`, with a mark where the n-gram model stands; empty without bits."""
    if bits is None:
        return Markup("")
    width = min(max(100 * bits / scale, 0.0), 100.0)
    mark = Markup("")
    if ngram is not None:
        place = min(max(100 * ngram / scale, 1.0), 99.0)
        mark = Markup('<path class="mark" vector-effect="non-scaling-stroke" d="M{0:.1f} 0V10"/>').format(place)
    return Markup(
        '<svg class="bits" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="road" y="2" width="100" height="6"/><rect class="ours" y="2" width="{:.1f}" height="6"/>{}</svg>'
    ).format(width, mark)


def _both_bits(style: Evidence) -> list[float]:
    quality = section(style.model.get("quality"))
    bits = (number(quality.get("val_bits_per_note")), number(quality.get("ngram_bits_per_note")))
    return [value for value in bits if value is not None and value > 0]


def _sortable(value: float | None) -> str:
    return "" if value is None else f"{value:g}" if abs(value) < 1e5 else f"{value:.0f}"
