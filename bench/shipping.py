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
    rounding    how far rounding moves what is drawn, and whether other processors compose the same
    pack        every fit model in one pack within 20 MB

Headers, hostile files and mutations are made; the rest is measured on the models of --artifacts. Prints tables and
writes JSON. What the file holds of other sections stays, if it is from the same machine.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

from farm.composing.threads import use_one_thread  # noqa: E402

use_one_thread()

import shipping_exact  # noqa: E402
import shipping_hostile  # noqa: E402
import shipping_models  # noqa: E402
import shipping_pack  # noqa: E402
import shipping_rounding  # noqa: E402
import shipping_speed  # noqa: E402
from sections import chosen_of, measure_sections, print_sections  # noqa: E402

SECTIONS = {
    "sizes": (shipping_models.measure_sizes, shipping_models.print_sizes),
    "cold": (shipping_speed.measure_cold, shipping_speed.print_cold),
    "warm": (shipping_speed.measure_warm, shipping_speed.print_warm),
    "exact": (shipping_exact.measure, shipping_exact.print_table),
    "rounding": (shipping_rounding.measure, shipping_rounding.print_table),
    "hostile": (shipping_hostile.measure_hostile, shipping_hostile.print_hostile),
    "headers": (shipping_hostile.measure_headers, shipping_hostile.print_headers),
    "mutations": (shipping_hostile.measure_mutations, shipping_hostile.print_mutations),
    "pieces": (shipping_models.measure_pieces, shipping_models.print_pieces),
    "pack": (shipping_pack.measure, shipping_pack.print_table),
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

    def measure(section: str) -> Any:
        with tempfile.TemporaryDirectory(prefix="farm-bench-") as scratch:
            return SECTIONS[section][0](options, Path(scratch))

    print_table(measure_sections(options.json, chosen_of(parser, options.sections, SECTIONS), measure))


def print_table(facts: dict[str, Any]) -> None:
    print_sections(facts, {section: show for section, (_, show) in SECTIONS.items()})


if __name__ == "__main__":
    main()
