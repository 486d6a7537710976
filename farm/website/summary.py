"""What a farm has done altogether: time, attempts, files read and left out with the reasons, sizes.

Conventions
-----------
Only what is known is told: a total over styles of which some lack a number is that of the others.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from farm import layout
from farm.corpus.tables import STATES
from farm.storage import Storage
from farm.website.evidence import Evidence, section
from farm.website.text import count, duration, number, plural, size
from farm.website.wording import model_file

_MOST_REASONS = 3


@dataclass(frozen=True)
class Attempts:
    """What the log of attempts says of all runs together; `last` is when the last stage ended, seconds since 1970."""

    started: int = 0
    done: int = 0
    failed: int = 0
    seconds: float = 0.0
    last: float | None = None


def read_attempts(storage: Storage) -> Attempts:
    """Return the totals of the log of attempts; zeros where there is none."""
    lines = storage.read_lines(layout.ATTEMPTS)
    outcomes = Counter(line.get("outcome") for line in lines)
    ended = [line for line in lines if line.get("outcome") in ("done", "failed")]
    times = [time for line in ended if (time := number(line.get("time"))) is not None]
    seconds = sum(number(line.get("seconds")) or 0.0 for line in ended)
    return Attempts(outcomes["started"], outcomes["done"], outcomes["failed"], seconds, max(times, default=None))


def summary(styles: Sequence[Evidence], attempts: Attempts) -> tuple[tuple[str, str], ...]:
    """Return the totals as names and values."""
    return (*_work(styles, attempts), *_music(styles), *_models(styles))


def _work(styles: Sequence[Evidence], attempts: Attempts) -> list[tuple[str, str]]:
    pairs = []
    costs = [number(section(style.model.get("cost")).get("seconds")) for style in styles]
    if known := [cost for cost in costs if cost is not None]:
        pairs.append(("Time, all models: reading to judging", duration(sum(known))))
    if attempts.started:
        pairs.append(("Time, all runs: every stage", duration(attempts.seconds)))
        pairs.append(("Stages tried", f"{count(attempts.started)}, of which {count(attempts.failed)} failed"))
    if attempts.last is not None:
        ended = datetime.fromtimestamp(attempts.last, UTC)
        pairs.append(("Last stage ended", f"{ended:%Y-%m-%d %H:%M} UTC"))
    tries = [number(section(style.model.get("cost")).get("attempts")) for style in styles]
    if again := sum(found - 1 for found in tries if found is not None and found > 1):
        pairs.append(("Trainings begun anew", count(again)))
    return pairs


def _music(styles: Sequence[Evidence]) -> list[tuple[str, str]]:
    corpora = [style.corpus for style in styles if style.corpus]
    if not corpora:
        return []
    states, reasons = Counter[str](), Counter[str]()
    for corpus in corpora:
        states.update(corpus.states)
        reasons.update({part.reason: part.files for part in corpus.left_out if part.state == "rejected"})
    pairs = [(f"Pieces {state}", count(states[state])) for state in STATES]
    if reasons:
        often = reasons.most_common(_MOST_REASONS)
        more = len(reasons) - len(often)
        told = [f"{reason} {count(files)}" for reason, files in often] + ([plural(more, "other reason")] * bool(more))
        pairs.append(("Rejected for", ", ".join(told)))
    pairs.append(("Notes read", count(sum(corpus.notes for corpus in corpora))))
    return [*pairs, ("Music read", duration(sum(corpus.seconds for corpus in corpora)))]


def _models(styles: Sequence[Evidence]) -> list[tuple[str, str]]:
    sizes = [number(model_file(style.model).get("bytes")) for style in styles]
    published = [n_bytes for n_bytes in sizes if n_bytes is not None]
    return [("Model files together", size(sum(published)))] if published else []
