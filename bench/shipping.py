"""What ships: how large, how fast, how exact, and what it withstands.

    python bench/shipping.py [sizes ...] [--artifacts FOLDER] [--json FILE]

Sections, each of which can run alone; without a name all of them run:

    sizes       every model of the catalog in every precision: bytes, and the bits a note lost on held-out music
    cold        500 notes from a command to a file, in a process of its own: `farm compose`, `python compose.pyz`
    warm        notes a second on one core, one piece and 32 at once, against the network's products alone
    exact       the logits of 1,000 steps: the numpy player and the exports against each other and against Keras
    hostile     model files that attack who loads them, each known way one
    headers     model files with damaged headers
    mutations   signed packs with one damage each, and mixed ones
    pieces      pieces of every style: valid MIDI, distinct, none empty, none of one note

The first four and the last are measured on the models of --artifacts. Prints tables and writes JSON. What the file
holds of other sections stays, if it is from the same machine.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

from farm.composing.threads import use_one_thread  # noqa: E402

use_one_thread()

import machine  # noqa: E402
import shipping_exact  # noqa: E402
import shipping_hostile  # noqa: E402
import shipping_models  # noqa: E402
import shipping_speed  # noqa: E402

SECTIONS = {
    "sizes": (shipping_models.measure_sizes, shipping_models.print_sizes),
    "cold": (shipping_speed.measure_cold, shipping_speed.print_cold),
    "warm": (shipping_speed.measure_warm, shipping_speed.print_warm),
    "exact": (shipping_exact.measure, shipping_exact.print_table),
    "hostile": (shipping_hostile.measure_hostile, shipping_hostile.print_hostile),
    "headers": (shipping_hostile.measure_headers, shipping_hostile.print_headers),
    "mutations": (shipping_hostile.measure_mutations, shipping_hostile.print_mutations),
    "pieces": (shipping_models.measure_pieces, shipping_models.print_pieces),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"{', '.join(SECTIONS)}; default: all")
    parser.add_argument("--json", type=Path, default=ROOT / "bench" / "shipping.json")
    parser.add_argument("--artifacts", type=Path, default=ROOT / "artifacts", help="a farm with published models")
    parser.add_argument("--styles", default="", help="only these of its styles, with commas between")
    parser.add_argument("--headers", type=int, default=10_000)
    parser.add_argument("--mutations", type=int, default=2_200)
    parser.add_argument("--pieces", type=int, default=1_000, help="of each style")
    parser.add_argument("--steps", type=int, default=1_000, help="whose logits are compared")
    options = parser.parse_args()
    chosen = options.sections or list(SECTIONS)
    if unknown := set(chosen) - set(SECTIONS):
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    where = machine.describe()
    kept = json.loads(options.json.read_text()) if options.json.exists() else {}
    if kept.get("machine") != where:
        kept = {}
    facts: dict[str, Any] = {"machine": where, "sections": kept.get("sections", {})}
    for section in [name for name in SECTIONS if name in chosen]:
        with tempfile.TemporaryDirectory(prefix="farm-bench-") as scratch:
            facts["sections"][section] = SECTIONS[section][0](options, Path(scratch))
        options.json.write_text(json.dumps(facts, indent=1) + "\n")
    print_table(facts)


def print_table(facts: dict[str, Any]) -> None:
    where = facts["machine"]
    print(f"{where['cpu']}, {where['cores']} cores, {where['memory_gb']} GB, Python {where['python']}")
    for section, (_, show) in SECTIONS.items():
        if section in facts["sections"]:
            print()
            show(facts["sections"][section])


if __name__ == "__main__":
    main()
