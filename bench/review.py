"""The review's server under attack and under kills: what it answers, what it keeps, and what it costs.

Every method, name and token against a page and a change; tricks with paths; forged requests; decisions sent while the
server is killed again and again; and how long a page and a piece take. On the small farm of the tests, whose networks
are tiny; the kills on a catalog of one model without its run, whose page is made quickly, so that they meet every part
of a decision and not the drawing of a page only.

    python bench/review.py [--decisions 200] [--json FILE]
"""

import argparse
import itertools
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from machine import describe

from farm import layout
from farm.catalog.publish import publish
from farm.scheduling.publishing import current_catalog
from farm.storage import Storage
from tests.finished_farm import copied_farm
from tests.served import Served, approve_under_kills, served
from tests.small_catalog import entry
from tests.test_review_guard import FORGED, HOSTS, METHODS, PAGE, STARTS, TOKENS, TRICKS, headers_of

EVERY = 10  # decisions until the next kill
ROUNDS = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decisions", type=int, default=200)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        storage = copied_farm(folder)
        began = time.monotonic()
        with served(storage.root) as one:
            facts = {"machine": describe(), "start_seconds": time.monotonic() - began}
            facts |= {"cells": cells(one), "paths": paths(one), "forged": forged(one, storage), "costs": costs(one)}
        only_model = Storage(f"{folder}/only-model")
        publish(only_model, [entry("hill")], [])
        facts["kills"] = kills(only_model, asked.decisions)
    if asked.json:
        asked.json.write_text(json.dumps(facts, indent=1) + "\n")
    print_table(facts)


def cells(one: Served) -> dict[str, Any]:
    """Return which of the cells were answered, for a page and for a change."""
    body = json.dumps({"style": "hill", "notes": 20}).encode()
    found: dict[str, Any] = {}
    for name, path in (("page", PAGE), ("change", "/review/compose")):
        asked = list(itertools.product(METHODS, HOSTS, TOKENS))
        good = [cell for cell in asked if one.ask(cell[0], path, headers_of(one, *cell[1:], cell[0]), body)[0] == 200]
        found[name] = {"asked": len(asked), "answered": [[method, token] for method, _, token in good]}
    return found


def paths(one: Served) -> dict[str, int]:
    asked = [start + trick for start, trick in itertools.product(STARTS, TRICKS)]
    cookie = f"Cookie: {one.cookie}"
    statuses = [one.raw_status(f"GET {path} HTTP/1.1", *([] if "/enter/" in path else [cookie])) for path in asked]
    return {"asked": len(asked), "answered": sum(status < 400 for status in statuses)}


def forged(one: Served, storage: Storage) -> dict[str, int]:
    before = storage.read_bytes(layout.DECISIONS)
    wish = {"style": "hill", "status": "approved", "why": "forged", "seen": seen_of(storage)}
    statuses = [one.post("/review/decide", wish, **changed)[0] for changed in FORGED]
    is_same = storage.read_bytes(layout.DECISIONS) == before
    return {"asked": len(statuses), "answered": sum(status < 400 for status in statuses), "recorded": int(not is_same)}


def costs(one: Served) -> dict[str, float]:
    """Return medians, milliseconds."""

    def median(ask: Any) -> float:
        spent = []
        for _ in range(ROUNDS):
            began = time.monotonic()
            ask()
            spent.append(time.monotonic() - began)
        return round(1000 * statistics.median(spent), 1)

    piece = {"style": "hill", "notes": 200}
    return {
        "a style's page": median(lambda: one.get(PAGE)),
        "status, kept for a second": median(lambda: one.get("/review/status")),
        "a piece of 200 notes": median(lambda: one.post("/review/compose", piece)),
    }


def kills(storage: Storage, n_decisions: int) -> dict[str, Any]:
    """Return what decisions came to that were sent while the server was killed again and again."""
    acknowledged, n_kills = approve_under_kills(storage.root, "hill", n_decisions, EVERY, seen_of(storage))
    kept = [line["why"] for line in storage.read_lines(layout.DECISIONS)]
    with served(storage.root) as one:
        wish = {"style": "hill", "status": "approved", "why": "the last", "seen": seen_of(storage)}
        is_whole = one.post("/review/decide", wish)[0] == 200
    told = (current_catalog(storage) or {})["models"][0]["decisions"]
    return {
        "sent": n_decisions,
        "kills": n_kills,
        "acknowledged": len(acknowledged),
        "lost": len(set(acknowledged) - set(kept)),
        "kept_unacknowledged": len(set(kept) - set(acknowledged)),
        "in_catalog": is_whole and [one["why"] for one in told] == [*kept, "the last"],
    }


def seen_of(storage: Storage) -> str:
    return str((current_catalog(storage) or {})["models"][0]["files"][0]["sha256"])


def print_table(facts: dict[str, Any]) -> None:
    machine, kills = facts["machine"], facts["kills"]
    print(f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, Python {machine['python']}")
    for name, found in facts["cells"].items():
        answered = ", ".join(" with the ".join(cell) for cell in found["answered"])
        print(f"{name + ': method × name × token':32}{found['asked']} asked, answered: {answered} token")
    print(f"{'tricks with paths':32}{facts['paths']['asked']} asked, {facts['paths']['answered']} answered")
    forged = facts["forged"]
    print(f"{'forged changes':32}{forged['asked']} asked, {forged['answered']} answered, {forged['recorded']} recorded")
    told = f"{kills['sent']} sent, {kills['kills']} kills, {kills['acknowledged']} acknowledged, {kills['lost']} lost"
    print(f"{'decisions under kill -9':32}{told}")
    rest = f"{kills['kept_unacknowledged']} more kept; the catalog tells {'all' if kills['in_catalog'] else 'NOT all'}"
    print(f"{'':32}{rest}")
    print(f"{'until the first page':32}{facts['start_seconds']:.1f} s")
    for name, milliseconds in facts["costs"].items():
        print(f"{name:32}{milliseconds:.0f} ms")


if __name__ == "__main__":
    main()
