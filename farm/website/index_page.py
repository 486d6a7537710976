"""The index page: every style with what decides about it, and what the reader should do next.

Conventions
-----------
A page is a frozen dataclass of finished texts and links that a template only sets in place; the functions here
are pure, from `Evidence` to page. Texts are not escaped here; the templates do that.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from farm.config import STYLE_NAME
from farm.corpus.tables import STATES
from farm.website.evidence import Evidence, section
from farm.website.text import MISSING, count, decimals, duration, number, plural, share, size, visible, whole
from farm.website.wording import (
    Mark,
    human,
    is_fit,
    message_lines,
    model_file,
    page_name,
    stage_of,
    status_mark,
    title_of,
    verdict_mark,
)


@dataclass(frozen=True)
class Step:
    """One thing to do, with the command that does it or an empty text."""

    text: str
    command: str


@dataclass(frozen=True)
class Failure:
    """A style that could not be finished."""

    title: str
    link: str
    stage: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """One style in the table; `*_value` are what its columns sort by, empty when missing."""

    style: str
    title: str
    link: str
    verdict: Mark
    status: Mark
    epoch: str
    of_epochs: str
    bits: str
    ngram: str
    bar: Markup
    copied: str
    copied_human: str
    repetition: str
    repetition_human: str
    size: str
    licence: str
    epoch_value: str
    bits_value: str
    copied_value: str
    repetition_value: str
    bytes_value: str


@dataclass(frozen=True)
class IndexPage:
    """Everything on index.html."""

    title: str
    heading: str
    root: str
    steps: tuple[Step, ...]
    failures: tuple[Failure, ...]
    rows: tuple[Row, ...]
    summary: tuple[tuple[str, str], ...]
    made_from: str


def index_page(catalog: dict[str, Any], styles: Sequence[Evidence]) -> IndexPage:
    """Return the index of a farm; an empty catalog gives a page that says how to begin."""
    trained = [style for style in styles if style.model]
    scale = max((bits for style in trained for bits in _both_bits(style)), default=1.0)
    number_of = whole(catalog.get("number"))
    made = ", ".join(f"{name} {version}" for name, version in sorted(section(catalog.get("generated_by")).items()))
    return IndexPage(
        title=plural(len(styles), "style"),
        heading="Your models" if trained else "Model farm",
        root="",
        steps=next_steps(styles),
        failures=tuple(_failure(style) for style in styles if style.failure),
        rows=tuple(_row(style, scale) for style in trained),
        summary=_summary(styles),
        made_from="Nothing published yet."
        if number_of is None
        else f"Catalog {number_of}" + (made and f", made with {made}"),
    )


def next_steps(styles: Sequence[Evidence]) -> tuple[Step, ...]:
    """Return what the reader should do now, the most pressing first."""
    waiting = [style for style in styles if style.model and status_mark(style.model).word == "candidate"]
    fit = [style for style in waiting if is_fit(section(style.model.get("verdict")))]
    approved = [style for style in styles if status_mark(style.model).word == "approved" and style.model]
    failed = [style for style in styles if style.failure]
    steps = []
    if fit:
        named = fit[0].style if STYLE_NAME.fullmatch(fit[0].style) else "STYLE"
        steps.append(
            Step(
                f"{plural(len(fit), 'model waits', 'models wait')} for your ears. Open a style, listen to what it "
                "composed, then say yes:",
                f'farm approve {named} --why "what you heard"',
            )
        )
    if approved:
        steps.append(Step(f"{plural(len(approved), 'model is', 'models are')} approved. Pack:", "farm ship OUT"))
    elif fit:
        steps.append(Step("Then pack what you approved:", "farm ship OUT"))
    if unfit := len(waiting) - len(fit):
        why = "its page says why" if unfit == 1 else "their pages say why"
        steps.append(Step(f"{plural(unfit, 'model is', 'models are')} not fit to ship; {why}.", ""))
    if failed:
        steps.append(
            Step(
                f"{plural(len(failed), 'style')} could not be finished. Mend what is said below, then:",
                "farm run corpora.yaml",
            )
        )
    if not styles:
        steps.append(Step("Nothing is published yet. Train the models of a farm with:", "farm run corpora.yaml"))
    return tuple(steps) or (Step("Every model is decided upon. Nothing to do.", ""),)


def _failure(style: Evidence) -> Failure:
    link = f"styles/{page_name(style.style)}"
    return Failure(title_of(style), link, stage_of(style.failure), message_lines(style.failure))


def _both_bits(style: Evidence) -> list[float]:
    quality = section(style.model.get("quality"))
    bits = (number(quality.get("val_bits_per_note")), number(quality.get("ngram_bits_per_note")))
    return [value for value in bits if value is not None and value > 0]


def _row(style: Evidence, scale: float) -> Row:
    model, quality = style.model, section(style.model.get("quality"))
    verdict = section(model.get("verdict"))
    epoch, n_bytes = whole(verdict.get("epoch")), number(model_file(model).get("bytes"))
    bits, ngram = number(quality.get("val_bits_per_note")), number(quality.get("ngram_bits_per_note"))
    last = style.history.epochs[-1] if style.history.epochs else None
    return Row(
        style=style.style,
        title=title_of(style),
        link=f"styles/{page_name(style.style)}",
        verdict=verdict_mark(verdict),
        status=status_mark(model),
        epoch=MISSING if epoch is None else str(epoch),
        of_epochs="" if last is None else f"of {last}",
        bits=decimals(bits),
        ngram=decimals(ngram),
        bar=bits_bar(bits, ngram, scale),
        copied=share(quality.get("copied")),
        copied_human=share(human(quality.get("copied_human"))),
        repetition=share(quality.get("repetition")),
        repetition_human=share(human(quality.get("repetition_human"))),
        size=size(n_bytes),
        licence=str(model.get("licence") or "unknown"),
        epoch_value=_sortable(epoch),
        bits_value=_sortable(bits),
        copied_value=_sortable(number(quality.get("copied"))),
        repetition_value=_sortable(number(quality.get("repetition"))),
        bytes_value=_sortable(n_bytes),
    )


def _sortable(value: float | None) -> str:
    return "" if value is None else f"{value:g}" if abs(value) < 1e5 else f"{value:.0f}"


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


def _summary(styles: Sequence[Evidence]) -> tuple[tuple[str, str], ...]:
    """Return the totals over all styles; only what is known."""
    pairs = []
    if corpora := [style.corpus for style in styles if style.corpus]:
        states = Counter[str]()
        for corpus in corpora:
            states.update(corpus.states)
        pairs += [(f"Pieces {state}", count(states[state])) for state in STATES]
        pairs.append(("Notes read", count(sum(corpus.notes for corpus in corpora))))
        pairs.append(("Music read", duration(sum(corpus.seconds for corpus in corpora))))
    costs = [number(section(style.model.get("cost")).get("seconds")) for style in styles]
    if known := [cost for cost in costs if cost is not None]:
        pairs.append(("Training time, all styles", duration(sum(known))))
    sizes = [number(model_file(style.model).get("bytes")) for style in styles]
    if published := [n_bytes for n_bytes in sizes if n_bytes is not None]:
        pairs.append(("Model files together", size(sum(published))))
    return tuple((visible(name), value) for name, value in pairs)
