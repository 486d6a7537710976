"""The page that compares any two runs: of two styles, or of two recipes of one.

Conventions
-----------
The page holds no run itself: it lists them, and loads the scripts of `compare_data` for the pair in its address
(`compare.html#a=bach&b=chopin~2`). The second recipe of a style is `~2`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from farm.website.compare_data import data_name
from farm.website.evidence import Evidence
from farm.website.text import plural
from farm.website.wording import title_of


@dataclass(frozen=True)
class Choice:
    """One run that can be chosen: its name in the address, and what a person reads."""

    name: str
    text: str


@dataclass(frozen=True)
class ComparePage:
    """Everything on compare.html."""

    title: str
    root: str
    choices: tuple[Choice, ...]
    made_from: str


def compare_page(styles: Sequence[Evidence], runs: Sequence[Sequence[dict[str, Any]]]) -> ComparePage:
    """Return the page for all runs, given style by style."""
    choices = [
        Choice(f"{data_name(style.style)}{f'~{index}' if index > 1 else ''}", _text(style, run, len(own)))
        for style, own in zip(styles, runs, strict=True)
        for index, run in enumerate(own, start=1)
    ]
    return ComparePage("Compare two", "", tuple(choices), f"{plural(len(choices), 'run')} to compare.")


def _text(style: Evidence, run: dict[str, Any], n_runs: int) -> str:
    return title_of(style) + (f", recipe {run['recipe']}" if n_runs > 1 and run["recipe"] else "")
