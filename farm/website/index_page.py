"""The index page: every style with what decides about it, and what the reader should do next.

Conventions
-----------
A page is a frozen dataclass of finished texts and links that a template only sets in place; the functions here
are pure, from `Evidence` to page. Texts are not escaped here; the templates do that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from farm.config import STYLE_NAME
from farm.website.at_work import AtWork
from farm.website.evidence import Evidence, section
from farm.website.index_rows import Row, rows
from farm.website.summary import Attempts, summary
from farm.website.text import plural, whole
from farm.website.wording import Mark, is_fit, message_lines, page_name, stage_of, status_mark, title_of


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
class IndexPage:
    """Everything on index.html; `verdicts` and `statuses` are the words that rows can be chosen by."""

    title: str
    heading: str
    root: str
    steps: tuple[Step, ...]
    at_work: tuple[str, ...]
    failures: tuple[Failure, ...]
    rows: tuple[Row, ...]
    verdicts: tuple[str, ...]
    statuses: tuple[str, ...]
    has_shipped: bool
    compares: bool
    summary: tuple[tuple[str, str], ...]
    made_from: str


def index_page(
    catalog: dict[str, Any],
    styles: Sequence[Evidence],
    at_work: AtWork | None = None,
    attempts: Attempts | None = None,
) -> IndexPage:
    """Return the index of a farm; an empty catalog gives a page that says how to begin.

    Parameters
    ----------
    at_work
        What the farm is doing; None when nothing is at work.
    """
    trained = [style for style in styles if style.model]
    number_of = whole(catalog.get("number"))
    made = ", ".join(f"{name} {version}" for name, version in sorted(section(catalog.get("generated_by")).items()))
    table = rows(styles, at_work)
    return IndexPage(
        title=plural(len(styles), "style"),
        heading="Your models" if trained else "Model farm",
        root="",
        steps=next_steps(styles, is_at_work=at_work is not None),
        at_work=_at_work(at_work, table, trained) if at_work is not None else (),
        failures=tuple(_failure(style) for style in styles if style.failure),
        rows=table,
        verdicts=_choices([row.verdict for row in table]),
        statuses=_choices([row.status for row in table]),
        has_shipped=any(row.shipped for row in table),
        compares=any(style.history.epochs for style in styles),
        summary=summary(styles, attempts or Attempts()),
        made_from="Nothing published yet."
        if number_of is None
        else f"Catalog {number_of}" + (made and f", made with {made}"),
    )


def _choices(marks: Sequence[Mark]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(mark.word for mark in sorted(marks, key=lambda mark: (mark.rank, mark.word))))


def _at_work(at_work: AtWork, table: Sequence[Row], trained: Sequence[Evidence]) -> tuple[str, ...]:
    """Return the sentences about a farm at work: how many styles are finished, how many not, and the common base."""
    busy = sum(bool(row.doing) for row in table)
    finished = sum(style.style not in at_work.styles for style in trained)
    lines = [f"The farm is at work: {plural(finished, 'style')} finished, {busy} at work or waiting."]
    lines += [f"The common base: {told}." for told in at_work.base]
    return (*lines, "This page is written anew whenever a style is finished; load it again to see.")


def next_steps(styles: Sequence[Evidence], *, is_at_work: bool = False) -> tuple[Step, ...]:
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
    if failed and not is_at_work:
        steps.append(
            Step(
                f"{plural(len(failed), 'style')} could not be finished. Mend what is said below, then:",
                "farm run corpora.yaml",
            )
        )
    if is_at_work and not steps:
        steps.append(Step("Wait: the farm is at work.", ""))
    if not styles and not is_at_work:
        steps.append(Step("Nothing is published yet. Train the models of a farm with:", "farm run corpora.yaml"))
    return tuple(steps) or (Step("Every model is decided upon. Nothing to do.", ""),)


def _failure(style: Evidence) -> Failure:
    link = f"styles/{page_name(style.style)}"
    return Failure(title_of(style), link, stage_of(style.failure), message_lines(style.failure))
