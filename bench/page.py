"""The page of a pack beside numpy: how fast it composes, whether the pieces are the same, how far its logits are off.

For each model in the page of a pack: pieces of 500 notes by the page's own button, from the press until the piece is
there, told for 500 notes since pieces end by themselves; what the first takes more, for its model is opened; how long a
5 ms timer had to wait meanwhile; 300 notes of each of 30 seeds, event by event as `farm compose` has them; and the
largest difference of a logit on 1,000 events of such pieces.

    farm ship PACK --precision int8
    python bench/page.py PACK [--seeds 30] [--json FILE]
"""

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

from machine import describe  # noqa: E402  the path must be set first
from playwright.sync_api import Browser, sync_playwright  # noqa: E402

from farm.catalog.model_file import Model, open_model  # noqa: E402
from farm.composing.player import Player  # noqa: E402
from farm.composing.sampling import compose  # noqa: E402
from tests.browser.worker import Network  # noqa: E402

TIMED_SEEDS = range(1, 10)
STEPS = 1000

# Watches the page from the press of the button to the piece, and a timer that a busy page would keep waiting.
WATCH = """() => {
  const gaps = (window.gaps = []);
  let last = performance.now();
  setInterval(() => { const now = performance.now(); gaps.push(now - last); last = now; }, 5);
  new MutationObserver(() => {
    if (document.body.classList.contains("composing")) window.begun ??= performance.now();
    else window.done ??= performance.now();
  }).observe(document.body, { attributes: true });
}"""


def timed(browser: Browser, pack: Path, style: str) -> dict[str, float]:
    """Return milliseconds for 500 notes, for opening the model the first time, and the longest wait of a timer."""
    page = browser.new_page()
    page.goto((pack / "compose.html").as_uri())
    page.evaluate(WATCH)
    page.evaluate("piano.ready")  # the tones are made when a page is opened; people take longer to press
    page.locator(f"input[value^={style}-]").check()
    page.fill("#length", "500")
    pieces, waits = [], []
    for seed in TIMED_SEEDS:
        page.fill("#seed", str(seed))
        page.evaluate("window.begun = window.done = undefined; gaps.length = 0")
        page.click("#compose")
        page.locator("body.playing").wait_for()
        milliseconds, wait = page.evaluate("[done - begun, Math.max(...gaps)]")
        notes = page.evaluate("piece.notes.length")
        pieces.append((milliseconds, notes))
        waits.append(wait)
    page.close()
    note_ms = statistics.median(milliseconds / notes for milliseconds, notes in pieces[1:])
    opening_ms = pieces[0][0] - pieces[0][1] * note_ms
    return {"ms": 500 * note_ms, "opening_ms": opening_ms, "longest_wait_ms": max(waits)}


def compared(network: Network, model: Model, seeds: int) -> dict[str, Any]:
    """Return how many pieces are the same event by event, and the largest difference of a logit."""
    player = Player(model.architecture, model.encoding, model.weights)
    metre = model.encoding.metre_class(model.card["composing"]["metre"])
    equal, notes = 0, 0
    rows = [model.encoding.start_row[None]]
    for seed in range(seeds):
        (piece,) = compose(player, model.encoding, notes=300, seed=seed, metre=metre)
        found = network.ask("compose", seed=str(seed), notes=300, temperature=1.0, topP=0.95, metre=metre)
        same = np.array_equal(np.array(found["events"]).reshape(-1, 7), piece.events[1:-1])
        equal += same and (found["stopped"], found["interventions"]) == (piece.stopped, piece.interventions)
        notes += len(piece.events) - 2
        rows.append(piece.events[1:-1])
    fed = np.concatenate(rows)[: STEPS + 1]
    state, worst = player.start(1), 0.0
    for at, found in enumerate(network.ask("logits", rows=fed.tolist())):
        state = player.feed(state, fed[at][None])
        after = fed[at + 1][None]
        expected = np.concatenate([player.logits(state, field, after)[0] for field in model.encoding.fields])
        worst = max(worst, float(np.abs(expected - found).max()))
    return {"pieces": seeds, "equal": equal, "notes": notes, "steps": len(fed) - 1, "largest_difference": worst}


def measure(pack: Path, seeds: int) -> dict[str, Any]:
    catalog = json.loads((pack / "catalog.json").read_text())
    facts: dict[str, Any] = {"machine": describe(), "models": []}
    facts["page_bytes"] = (pack / "compose.html").stat().st_size
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium")
        facts["browser"] = browser.version
        network = Network(browser.new_page(), pack)
        for entry in catalog["models"]:
            file, script = entry["files"][0], pack / "page" / f"{entry['style']}.js"
            if not script.exists():
                continue
            data = (pack / file["path"]).read_bytes()
            network.open(data)
            row = {"style": entry["style"], "precision": file["precision"], "bytes": len(data)}
            row |= {"script_bytes": script.stat().st_size} | timed(browser, pack, entry["style"])
            facts["models"].append(row | compared(network, open_model(data), seeds))
        browser.close()
    return facts


def print_table(facts: dict[str, Any]) -> None:
    print("| model | bytes, in the page | 500 notes | opening | longest wait | same pieces | logits differ by |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for row in facts["models"]:
        print(
            f"| {row['style']}, {row['precision']} | {row['bytes']:,}, {row['script_bytes']:,} "
            f"| {row['ms'] / 1000:.2f} s | {row['opening_ms'] / 1000:.2f} s | {row['longest_wait_ms']:.0f} ms "
            f"| {row['equal']} of {row['pieces']} | {row['largest_difference']:.1e} |"
        )
    machine = facts["machine"]
    where = f"Chromium {facts['browser']}, {machine['cpu']}, {machine['cores']} cores"
    print(f"\n{facts['page_bytes']:,} bytes of page; {where}.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", type=Path)
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--json", type=Path, default=ROOT / "bench" / "page.json")
    arguments = parser.parse_args()
    measured = measure(arguments.pack.resolve(), arguments.seeds)
    arguments.json.write_text(json.dumps(measured, indent=1) + "\n")
    print_table(measured)
