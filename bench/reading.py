"""How fast, how completely and how safely folders of music are read.

    python bench/reading.py [folk|scale|corpora|hostile|workers ...] [--shared ../shared] [--json FILE]

Sections, each of which can run alone; without a name all of them run:

    folk      the folk set on one core against music21, mido and symusic, stage by stage; what isolation costs
    scale     100,000 made files against 10,000 and 1,000: files/s and memory of every process
    corpora   every folder of the corpora: notes that are unaccounted for, states, repairs
    hostile   odd files from parsers' test suites, and 500 files damaged with a fixed seed
    workers   one worker and two, with Ray and without: the same bytes?

Prints tables and writes JSON. What the file holds of other sections stays, if it is from the same machine.
"""

import argparse
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import reading_corpora
import reading_folk
import reading_hostile
import reading_scale
import reading_workers
from sections import chosen_of, measure_sections, print_sections

ROOT = Path(__file__).resolve().parent.parent
SECTIONS = {
    "folk": reading_folk,
    "scale": reading_scale,
    "corpora": reading_corpora,
    "hostile": reading_hostile,
    "workers": reading_workers,
}


def run(section: str, options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Return the facts of one section."""
    corpora, hostile = options.shared / "corpora", options.shared / "hostile"
    if section == "folk":
        return reading_folk.measure(corpora / "folk", scratch, options.rounds, options.files)
    if section == "scale":
        return reading_scale.measure(options.files or 100_000, scratch, options.rounds, options.executors)
    if section == "corpora":
        return reading_corpora.measure(corpora, scratch, options.folders)
    if section == "hostile":
        return reading_hostile.measure(corpora, hostile, scratch, options.files or 500)
    return reading_workers.measure(corpora, hostile, scratch, options.folders)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"{', '.join(SECTIONS)}; default: all")
    parser.add_argument("--json", type=Path, default=ROOT / "bench" / "reading.json")
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared", help="folder with corpora/ and hostile/")
    parser.add_argument("--scratch", type=Path, help="a folder on a real disk for what is made on the way")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--files", type=int, help="a smaller measurement: so many files in folk, scale or hostile")
    parser.add_argument("--folders", nargs="*", help="a smaller measurement: only these corpora in corpora and workers")
    parser.add_argument("--executors", nargs="*", default=["local", "ray"], choices=["local", "ray"])
    options = parser.parse_args()
    chosen = chosen_of(parser, options.sections, SECTIONS)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was made on the way is cleaned up

    def measure(section: str) -> dict[str, Any]:
        scratch = Path(tempfile.mkdtemp(prefix=f"farm-reading-{section}-", dir=options.scratch))
        try:
            return run(section, options, scratch)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    print_table(measure_sections(options.json, chosen, measure))


def print_table(facts: dict[str, Any]) -> None:
    print_sections(facts, {name: module.print_table for name, module in SECTIONS.items()})


if __name__ == "__main__":
    main()
