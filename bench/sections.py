"""Benches of several sections: which are asked for, measuring them one after the other, and printing what is there.

What a JSON file holds of sections that are not measured now stays, if it is from the same machine.
"""

import argparse
import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import machine


def chosen_of(parser: argparse.ArgumentParser, asked: Collection[str], sections: Collection[str]) -> list[str]:
    """Return the sections that are asked for, all when none is, in their own order; an unknown one ends the program."""
    if unknown := set(asked) - set(sections):
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(sections)}")
    return [name for name in sections if name in (asked or sections)]


def measure_sections(path: Path, chosen: Collection[str], measure: Callable[[str], Any]) -> dict[str, Any]:
    """Measure sections, write the JSON after each, and return all that is in it."""
    where = machine.describe()
    kept = json.loads(path.read_text()) if path.exists() else {}
    if kept.get("machine") != where:
        kept = {}
    facts: dict[str, Any] = {"machine": where, "sections": kept.get("sections", {})}
    for section in chosen:
        facts["sections"][section] = measure(section)
        path.write_text(json.dumps(facts, indent=1) + "\n")
    return facts


def print_sections(facts: Mapping[str, Any], shows: Mapping[str, Callable[[Any], None]], more: str = "") -> None:
    """Print the machine, and by `shows` each section that was measured; `more` goes on with the first line."""
    where = facts["machine"]
    print(f"{where['cpu']}, {where['cores']} cores, {where['memory_gb']} GB, Python {where['python']}{more}")
    for section, show in shows.items():
        if section in facts["sections"]:
            print()
            show(facts["sections"][section])
