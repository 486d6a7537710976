"""How well networks are trained.

    python bench/training.py [speed ...] [--torch-python FILE] [--json FILE]

Sections, each of which can run alone; without a name all of them run:

    speed     notes trained per second against Keras's LSTM, JAX and torch, and where a step's time goes
    base      every folder of --corpora farmed with and without a common base
    memory    ten million made notes: memory, and what share of a step the input takes

Prints tables and writes JSON. What the file holds of other sections stays, if it is from the same machine.
torch comes with `pip install -e '.[bench]'`; with --torch-python it may live in an environment of its own.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import training_base
import training_memory
import training_speed
from sections import chosen_of, measure_sections, print_sections

ROOT = Path(__file__).resolve().parent.parent
SECTIONS = {"speed": training_speed, "base": training_base, "memory": training_memory}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"{', '.join(SECTIONS)}; default: all")
    parser.add_argument("--json", type=Path, default=ROOT / "bench" / "training.json")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=5, help="of each contender in a round")
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--units", type=int, nargs="*", default=[256, 512])
    parser.add_argument("--windows", type=int, nargs="*", default=[16, 32, 64])
    parser.add_argument("--torch-python", default=sys.executable, help="an interpreter that has torch")
    parser.add_argument("--jax-python", default=sys.executable, help="an interpreter that has JAX")
    parser.add_argument("--corpora", type=Path, help="a folder of folders of music, for the base")
    parser.add_argument("--recipe", default="compact", help="what the base and its styles are trained by")
    parser.add_argument("--notes", type=int, default=10_000_000, help="made to measure the memory")
    parser.add_argument("--scratch", type=Path, help="a folder for what is made on the way; kept when given")
    options = parser.parse_args()
    chosen = chosen_of(parser, options.sections, SECTIONS)
    if options.corpora is None and "base" in chosen:
        parser.error("the base is measured on --corpora FOLDER")
    facts = measure_sections(options.json, chosen, lambda section: SECTIONS[section].measure(options))
    print()
    print_table(facts)


def print_table(facts: dict[str, Any]) -> None:
    print_sections(facts, {name: module.print_table for name, module in SECTIONS.items()})


if __name__ == "__main__":
    main()
