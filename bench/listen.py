"""Listens to the published models by program: does what they compose hold up as music?

    python bench/listen.py [--artifacts DIR] [--pieces N] [--json FILE]

For every model of the catalog N pieces of 200 notes are composed with seeds the farm has not used. Checked for each:
notes in the range of the corpus, more than a few pitches, no pitch for more than a fifth of the notes or eight times
in a row, gaps of two bars at most, all pieces distinct; and against the training pieces the longest match in notes.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from farm.composing.player import Player
from farm.composing.sampling import compose
from farm.music.encoding import decode
from farm.piece import open_named
from farm.scheduling.publishing import current_catalog
from farm.selection.originality import Index
from farm.selection.repetition import measure
from farm.storage import Storage
from farm.training.loading import load_music

NOTES = 200
FIRST_SEED = 1_000_000


def faults(notes: np.ndarray, low: int, high: int, bar_beats: float) -> list[str]:
    """Return what is wrong with a piece, in words; empty when nothing is."""
    if len(notes) == 0:
        return ["empty"]
    pitches, counts = np.unique(notes["pitch"], return_counts=True)
    ends = np.maximum.accumulate(notes["onset_beat"] + notes["duration_beat"])
    gaps = notes["onset_beat"][1:] - ends[:-1]
    checks = {
        "out of range": notes["pitch"].min() < low or notes["pitch"].max() > high,
        "few pitches": len(pitches) < 5,
        "one pitch dominates": counts.max() > max(8, 0.35 * len(notes)),
        "one pitch hammered": measure(notes)["longest_run"] > 8,
        "long silence": len(gaps) > 0 and gaps.max() > 2 * bar_beats,
    }
    return [name for name, wrong in checks.items() if wrong]


def listen(storage: Storage, style: str, pieces: int) -> dict:
    """Return what was found in so many pieces of a style."""
    model = open_named(style, storage)
    music = load_music(storage, style)
    index = Index.build(music.note_arrays("train"))
    pitches = np.concatenate([notes["pitch"] for notes in music.notes.values()])
    low, high = int(pitches.min()) - 12, int(pitches.max()) + 12
    metre = model.encoding.metre_class(model.card["composing"]["metre"])
    player = Player(model.architecture, model.encoding, model.weights)
    composed = compose(player, model.encoding, notes=NOTES, metre=metre, seed=FIRST_SEED, count=pieces)
    arrays = [decode(piece.events, model.encoding) for piece in composed]
    bar_beats = model.encoding.bar_steps(metre) / model.encoding.steps_per_beat
    wrong = [faults(notes, low, high, bar_beats) for notes in arrays]
    longest = [index.measure(notes)["lcs"] for notes in arrays]
    return {
        "pieces": pieces,
        "without_fault": sum(not one for one in wrong),
        "faults": sorted({name for one in wrong for name in one}),
        "distinct": len({notes.tobytes() for notes in arrays}),
        "ended_by_themselves": sum(piece.stopped for piece in composed),
        "longest_match_median_notes": float(np.median(longest)),
        "longest_match_worst_notes": float(max(longest)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--artifacts", type=Path, default=Path("artifacts"))
    parser.add_argument("--pieces", type=int, default=50)
    parser.add_argument("--json", type=Path, default=Path("bench/listen.json"))
    options = parser.parse_args()
    storage = Storage(options.artifacts)
    catalog = current_catalog(storage)
    if catalog is None:
        raise SystemExit(f"{options.artifacts}: nothing is published; run the farm first")
    found = {model["style"]: listen(storage, model["style"], options.pieces) for model in catalog["models"]}
    options.json.write_text(json.dumps(found, indent=1) + "\n")
    print_table(found)


def print_table(found: dict) -> None:
    print(
        f"{'style':<14}{'pieces':>7}{'no fault':>10}{'distinct':>10}{'ended':>7}{'longest match, median / worst':>32}"
    )
    for style, row in found.items():
        matches = f"{row['longest_match_median_notes']:.0f} / {row['longest_match_worst_notes']:.0f} notes"
        counts = f"{row['pieces']:>7}{row['without_fault']:>10}{row['distinct']:>10}{row['ended_by_themselves']:>7}"
        print(f"{style:<14}{counts}{matches:>32}  {', '.join(row['faults'])}".rstrip())


if __name__ == "__main__":
    main()
