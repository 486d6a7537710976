"""Which models may ship, and why the others may not; pure.

Conventions
-----------
A model ships when it is approved, when its verdict calls it fit or a person overruled that, and when the licence
of everything it learnt from is known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from farm.catalog.budget import Option
from farm.catalog.entry import is_fit, unknown_licences
from farm.catalog.precision import PRECISIONS
from farm.catalog.publish import SHIPPABLE
from farm.errors import FarmError


@dataclass(frozen=True)
class LeftOut:
    """A style that does not ship, and why."""

    style: str
    why: str


def shippable(
    catalog: Mapping[str, Any], styles: Sequence[str] | None
) -> tuple[dict[str, dict[str, Any]], list[LeftOut]]:
    """Return the entry of every style that may ship, by style, and the styles that may not, with the reason.

    Of each style the newest approved version counts. Raises FarmError for a style that the catalog does not have.
    """
    newest = {model["style"]: model for model in catalog["models"]}
    earlier = {model["style"]: model for model in catalog["earlier"]}
    unknown = [style for style in styles or () if style not in newest]
    if unknown:
        raise FarmError(f"{', '.join(unknown)}: not in the catalog, which has {', '.join(newest) or 'no style'}")
    ready, left_out = {}, []
    for style in sorted(newest if styles is None else set(styles)):
        candidates = (newest[style], earlier.get(style))
        entry = next((model for model in candidates if model and model["status"] in SHIPPABLE), None)
        if entry is None:
            status = newest[style]["status"]
            left_out.append(LeftOut(style, f"its status is {status}; listen, then 'farm approve {style} --why ...'"))
        elif unlicensed := unknown_licences(entry):
            names = ", ".join(unlicensed)
            left_out.append(LeftOut(style, f"the licence of {names} is unknown; add it to corpora.yaml and run again"))
        elif not is_fit(entry) and not _overruled(entry):
            left_out.append(
                LeftOut(style, f"its verdict is {entry['verdict']['verdict']}; approve it again to overrule")
            )
        else:
            ready[style] = entry
    return ready, left_out


def _overruled(entry: Mapping[str, Any]) -> bool:
    own = [decision for decision in entry["decisions"] if decision["sha256"] == entry["files"][0]["sha256"]]
    return any(decision.get("overrules") for decision in own)


def options_of(ready: Mapping[str, dict[str, Any]], precision: str) -> tuple[list[Option], list[LeftOut]]:
    """Return the sizes in which each style may ship, and the styles that have none small enough."""
    wanted = PRECISIONS[PRECISIONS.index(precision) :]
    options, left_out = [], []
    for style, entry in ready.items():
        largest = entry.get("max_bytes")
        sizes = {file["precision"]: file["bytes"] for file in entry["files"] if file["role"] == "model"}
        fitting: list[tuple[str, int]] = []
        for name in wanted:
            smaller = name in sizes and (not fitting or sizes[name] < fitting[-1][1])
            if smaller and (largest is None or sizes[name] <= largest):
                fitting.append((name, sizes[name]))
        if fitting:
            options.append(Option(style, int(entry.get("priority") or 0), tuple(fitting)))
        else:
            why = f"no file of at most {precision} fits max_bytes {largest}; its sizes are {sizes}"
            left_out.append(LeftOut(style, why))
    return options, left_out
