"""What scheduling costs, and how well it fills machines.

    python bench/scheduling.py [overhead ...] [--corpora FOLDER] [--json FILE]

Sections, each of which can run alone; without a name all of them run:

    overhead   1,000 styles with a trainer that does nothing: milliseconds a job with and without Ray, and the plan
    cores      14 folders of --corpora farmed on two cores: the clock against the sum of their jobs
    gpus       1,000 styles on 64 GPUs that fail, played through the queue: the makespan against its bound
    killed     a Ray cluster of three nodes on this machine, a node killed during reading and during training

Prints tables and writes JSON, and for gpus a picture. What the file holds of other sections stays, if it is from the
same machine.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import scheduling_cores
import scheduling_gpus
import scheduling_killed
import scheduling_overhead
from sections import chosen_of, measure_sections, print_sections

ROOT = Path(__file__).resolve().parent.parent
SECTIONS = {
    "overhead": scheduling_overhead,
    "cores": scheduling_cores,
    "gpus": scheduling_gpus,
    "killed": scheduling_killed,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"{', '.join(SECTIONS)}; default: all")
    parser.add_argument("--json", type=Path, default=ROOT / "bench" / "scheduling.json")
    parser.add_argument("--picture", type=Path, default=ROOT / "bench" / "scheduling_gpus.png")
    parser.add_argument("--corpora", type=Path, help="a folder of folders of music, for cores")
    parser.add_argument("--styles", type=int, default=1000, help="made for overhead and gpus")
    parser.add_argument("--farmed", type=int, default=14, help="folders farmed for cores, the smallest first")
    parser.add_argument("--recipe", default="quick", help="what they are farmed by")
    parser.add_argument("--cpus", type=int, default=2, help="for overhead and cores")
    parser.add_argument("--executors", nargs="*", default=["local", "ray"], choices=["local", "ray"])
    parser.add_argument("--kills", type=int, default=5, help="of each kind")
    options = parser.parse_args()
    chosen = chosen_of(parser, options.sections, SECTIONS)
    if options.corpora is None and "cores" in chosen:
        parser.error("cores are measured on --corpora FOLDER")

    def measure(section: str) -> Any:
        with tempfile.TemporaryDirectory(prefix="farm-bench-") as scratch:
            return SECTIONS[section].measure(options, Path(scratch))

    print_table(measure_sections(options.json, chosen, measure))


def print_table(facts: dict[str, Any]) -> None:
    shows = {name: module.print_table for name, module in SECTIONS.items()}
    print_sections(facts, shows, f", Ray {facts['machine']['ray']}")


if __name__ == "__main__":
    main()
