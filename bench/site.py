"""The report of a large farm: how large its pages are, how soon they answer, and how long they take to make.

100 styles with 40 snapshots each, made by `site_farm` without training. The report is built on two processors, built
again with nothing changed, then opened from the file manager in Chromium, without a network: *interactive* is the time
from asking for the page until its script has run and a column was sorted.

    python bench/site.py [--styles 100] [--snapshots 40] [--paired 14] [--folder DIR] [--json FILE]
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

from machine import describe  # noqa: E402  the path must be set first
from playwright.sync_api import Browser, sync_playwright  # noqa: E402
from site_farm import COMPACT, add_heat, make_farm  # noqa: E402

from farm import layout  # noqa: E402
from farm.catalog.publish import current  # noqa: E402
from farm.scheduling.heat import measure_missing  # noqa: E402
from farm.storage import Storage  # noqa: E402
from farm.website.write import write_site  # noqa: E402

CHROMIUM = "/usr/bin/chromium"
CORES = 2
OPENINGS = 5
TARGETS = {"index_bytes": 500_000, "index_seconds": 1.0, "style_bytes": 2_000_000, "build_seconds": 60.0}


def built(storage: Storage) -> dict[str, Any]:
    """Return how long the whole report takes to make, how long when nothing has changed, and what was written then."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    began = time.perf_counter()
    first = write_site(storage)
    middle = time.perf_counter()
    again = write_site(storage)
    facts = {"pages": first["pages"], "build_seconds": middle - began, "again_seconds": time.perf_counter() - middle}
    return facts | {"rebuilt": len(again["written"])}


def sizes(site: Path) -> dict[str, Any]:
    """Return the bytes of the pages, and of the scripts that the comparing page loads."""
    styles = [path.stat().st_size for path in (site / "styles").glob("*.html")]
    scripts = [path.stat().st_size for path in (site / "data").glob("*.js")]
    named = {name: (site / f"{name}.html").stat().st_size for name in ("index", "compare", "heat")}
    whole = sum(path.stat().st_size for path in site.rglob("*") if path.is_file())
    found = {"style_bytes": max(styles), "script_bytes": max(scripts), "site_bytes": whole}
    return found | {f"{name}_bytes": n_bytes for name, n_bytes in named.items()}


def seconds_until(browser: Browser, page_file: Path, act: str) -> float:
    """Return the median time from asking for a page until `act`, an expression that waits for its answer, is done."""
    times = []
    for _ in range(OPENINGS):
        context = browser.new_context(offline=True)
        page = context.new_page()
        began = time.perf_counter()
        page.goto(page_file.as_uri(), wait_until="commit")
        page.wait_for_function(act)
        times.append(time.perf_counter() - began)
        context.close()
    return statistics.median(times)


SORTED = """() => {
  const button = document.querySelector('#styles-table th[data-key=bits] button');
  if (!button) return false;
  button.click();
  return button.parentElement.hasAttribute('aria-sort');
}"""
COMPARED = "() => document.querySelectorAll('#pairs .sample').length > 1"
READ = "() => document.readyState === 'complete'"


def opened(site: Path) -> dict[str, float]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        style = sorted((site / "styles").glob("*.html"))[0]
        found = {
            "index_seconds": seconds_until(browser, site / "index.html", SORTED),
            "compare_seconds": seconds_until(browser, site / "compare.html", COMPARED),
            "heat_seconds": seconds_until(browser, site / "heat.html", READ),
            "style_seconds": seconds_until(browser, style, READ),
        }
        browser.close()
    return found


def asked(storage: Storage, styles: int) -> dict[str, float]:
    """Return how long it takes to ask networks of the usual size about each other's music."""
    if not storage.exists(layout.CURRENT):
        make_farm(storage, styles, 1, 2, COMPACT)
    models = (current(storage) or {})["models"]
    for model in models:
        storage.delete(layout.heat(model["style"]))
    began = time.perf_counter()
    measure_missing(storage, models, most_seconds=3600)
    return {"pairs": len(models) ** 2, "pairs_seconds": time.perf_counter() - began}


def measure(folder: Path, styles: int, snapshots: int, paired: int) -> dict[str, Any]:
    facts: dict[str, Any] = {"machine": describe(), "styles": styles, "snapshots": snapshots}
    facts |= asked(Storage(folder / "pairs"), paired)
    storage = Storage(folder / "artifacts")
    if not storage.exists(layout.CURRENT):
        make_farm(storage, styles, snapshots)
        add_heat(storage)
    facts |= built(storage)
    site = folder / "artifacts" / "site"
    return facts | sizes(site) | opened(site)


ROWS = (
    ("index page", "index_bytes", "index_seconds"),
    ("largest style page", "style_bytes", "style_seconds"),
    ("comparing page, with two styles loaded", "compare_bytes", "compare_seconds"),
    ("table of models and music", "heat_bytes", "heat_seconds"),
)


def print_table(facts: dict[str, Any]) -> None:
    machine = facts["machine"]
    print(
        f"{machine['cpu']}, {CORES} of {machine['cores']} cores; "
        f"{facts['styles']} styles x {facts['snapshots']} snapshots"
    )
    print(f"{'page':<40}{'bytes':>12}{'ready in s':>12}")
    for name, n_bytes, seconds in ROWS:
        print(f"{name:<40}{facts[n_bytes]:>12,}{facts[seconds]:>12.2f}")
    print(
        f"largest script of the comparing page: {facts['script_bytes']:,} bytes; "
        f"whole site {facts['site_bytes'] / 1e6:.1f} MB"
    )
    print(
        f"{facts['pages']} pages made in {facts['build_seconds']:.1f} s; with nothing changed "
        f"{facts['again_seconds']:.1f} s, {facts['rebuilt']} written"
    )
    print(f"{facts['pairs']:,} pairs of a compact model and a style's music measured in {facts['pairs_seconds']:.0f} s")
    missed = [name for name, most in TARGETS.items() if facts[name] > most]
    wanted = "index below 500 kB, in 1 s; style page below 2 MB; 100 pages in 60 s on 2 cores; nothing rebuilt"
    print(f"targets: {wanted}; missed: {', '.join(missed) or 'none'}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--styles", type=int, default=100)
    parser.add_argument("--snapshots", type=int, default=40)
    parser.add_argument("--paired", type=int, default=14, help="styles whose models are asked about each other's music")
    parser.add_argument(
        "--folder", type=Path, help="where to leave the farm; a temporary one that is deleted if not given"
    )
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="farm-site-"))
    measured = measure(folder, arguments.styles, arguments.snapshots, arguments.paired)
    if arguments.folder is None:
        shutil.rmtree(folder)
    if arguments.json:
        arguments.json.write_text(json.dumps(measured, indent=1) + "\n")
    print_table(measured)
