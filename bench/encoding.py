"""What the events lose of real music: onsets moved by the grid of each style, and every file there and back again.

Every folder is read as a style, as `farm run` does. Of every piece the events are decoded and held against its notes:
the same notes and pitches, each onset within half a step of the style's grid, each duration by how much it differs.
Leading empty bars are no loss: a piece is aligned by the start of its first bar, a piece without bars by its first
onset. Of a silence of more than 64 beats whole beats go; they are counted and put back before the onsets are compared.

    python bench/encoding.py --corpora DIR [DIR ...] [--json FILE]
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

from machine import describe  # noqa: E402  the path must be set first

from farm.config import Filters, Source  # noqa: E402
from farm.corpus.batching import make_batches  # noqa: E402
from farm.corpus.clean import clean_style  # noqa: E402
from farm.corpus.reading_batches import read_batch  # noqa: E402
from farm.corpus.sandbox import Sandbox  # noqa: E402
from farm.corpus.sources import list_files  # noqa: E402
from farm.music.encoding import FREE, GRIDS, MAX_BEATS, STEPS_PER_BEAT, Encoding, decode, encode  # noqa: E402
from farm.storage import Storage  # noqa: E402
from farm.training.loading import load_music  # noqa: E402

Row = dict[str, Any]

_SHORTEST, _LONGEST = 1 / STEPS_PER_BEAT, 32
_COLUMNS = (
    ("pieces", "pieces", 8, ",d"),
    ("notes", "notes", 10, ",d"),
    ("seconds", "clock", 7, ",d"),
    ("grid", "grid", 6, "d"),
    *((f"moved_{grid}", f"at {grid}", 8, ".2%") for grid in GRIDS),
    ("mean_ms", "ms", 6, ".1f"),
    ("worst_onset_steps", "worst", 7, ".3f"),
    ("shortened", "cut", 5, "d"),
    ("durations_off", "length", 8, ".1%"),
    ("worst_duration", "worst", 7, ".1%"),
    ("lost", "lost", 6, "d"),
)


def read(folder: Path, storage: Storage) -> None:
    """Read a folder as a style into the tables."""
    sandbox = Sandbox()
    try:
        files = list_files(Source(folder=str(folder.absolute())), folder)
        for batch in make_batches(files):
            read_batch(batch, storage, sandbox)
    finally:
        sandbox.close()
    clean_style(folder.name, files, storage, filters=Filters(), heldout_share=0.1, seed=1)


def there_and_back(notes: np.ndarray, encoding: Encoding, time_signature: str) -> Row:
    """Return what one piece lost: `onset_steps` and durations, as arrays over its notes, and what differs."""
    back = decode(encode(notes, encoding, time_signature), encoding)
    places = np.rint(notes["onset_beat"] * encoding.grid)
    notes = notes[np.lexsort((notes["duration_beat"], notes["pitch"], places))]
    lost = abs(len(back) - len(notes))
    if lost or len(notes) == 0:
        return {"lost": lost, "onset_steps": np.zeros(0), "duration": np.zeros(0), "told": np.zeros(0), "shortened": 0}
    places = np.sort(places) / encoding.grid
    begin = places[0]
    if time_signature != FREE:
        bars = np.rint((notes["onset_beat"] - notes["beat_in_bar"]) * STEPS_PER_BEAT) / STEPS_PER_BEAT
        bars = np.append(bars, begin)
        begin = bars[np.abs(bars + back["onset_beat"][0] - begin).argmin()]
    cut = np.maximum(np.floor(np.diff(places, prepend=places[0]) + 1e-6) - MAX_BEATS, 0)
    onset = back["onset_beat"] + begin + np.cumsum(cut)
    return {
        "lost": int((back["pitch"] != notes["pitch"]).sum()),
        "onset_steps": np.abs(onset - notes["onset_beat"]) * encoding.grid,
        "duration": notes["duration_beat"],
        "told": back["duration_beat"],
        "shortened": int((cut > 0).sum()),
    }


def measure(folder: Path, storage: Storage) -> Row:
    """Read a style and return its row."""
    read(folder, storage)
    music = load_music(storage, folder.name)
    metres = music.pieces["time_signature"]
    pieces = [there_and_back(notes, music.encoding, metres[piece]) for piece, notes in music.notes.items()]
    steps, duration, told = (
        np.concatenate([piece[name] for piece in pieces]) for name in ("onset_steps", "duration", "told")
    )
    off, common = np.abs(told - duration), (duration >= _SHORTEST) & (duration <= _LONGEST)
    bases = music.pieces["time_base"].value_counts()
    return {
        "pieces": len(music.pieces),
        "notes": sum(len(notes) for notes in music.notes.values()),
        "beats": int(bases.get("beats", 0)),
        "seconds": int(bases.get("seconds", 0)),
        "grid": music.encoding.grid,
        **{f"moved_{grid}": loss.moved_share for grid, loss in music.losses.items()},
        "mean_ms": round(music.losses[music.encoding.grid].mean_seconds * 1000, 2),
        "worst_onset_steps": round(float(steps.max()), 4),
        "shortened": sum(piece["shortened"] for piece in pieces),
        "durations_off": round(float((off > 1 / STEPS_PER_BEAT + 1e-9).mean()), 4),
        "worst_duration": round(float((off[common] / duration[common]).max()), 4),
        "shorter": int((duration < _SHORTEST).sum()),
        "longer": int((duration > _LONGEST).sum()),
        "lost": sum(piece["lost"] for piece in pieces),
    }


def print_table(facts: Row) -> None:
    """Print what the README quotes."""
    where, styles = facts["machine"], facts["styles"]
    print(f"{where['cpu']}, {where['cores']} cores, {where['memory_gb']} GB, Python {where['python']}")
    print(
        "onsets moved by more than 15 ms at 12, 24 and 48 places to the beat; then mean and worst at the style's grid"
    )
    print(f"{'style':12}" + "".join(f"{heading:>{width}}" for _, heading, width, _ in _COLUMNS))
    for name, row in styles.items():
        print(f"{name:12}" + "".join(f"{row[key]:>{width}{form}}" for key, _, width, form in _COLUMNS))
    total = {
        key: sum(row[key] for row in styles.values()) for key in ("pieces", "notes", "seconds", "shorter", "longer")
    }
    short, long = (total[key] / total["notes"] for key in ("shorter", "longer"))
    print(f"{total['pieces']:,} pieces, {total['seconds']:,} told by the clock; {total['notes']:,} notes")
    print(f"durations outside of 1/48 to 32 beats, left out of the worst: {short:.2%} shorter, {long:.2%} longer")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpora", type=Path, nargs="+", required=True, help="folders with a folder for each style")
    parser.add_argument("--json", type=Path, default=ROOT / "bench" / "encoding.json")
    options = parser.parse_args()
    started = time.perf_counter()
    folders = sorted(path for corpora in options.corpora for path in corpora.iterdir() if path.is_dir())
    styles = {}
    for folder in folders:
        with tempfile.TemporaryDirectory(prefix="farm-encoding-") as scratch:
            styles[folder.name] = measure(folder, Storage(scratch))
    facts = {"machine": describe(), "styles": styles, "elapsed_seconds": round(time.perf_counter() - started, 1)}
    print_table(facts)
    options.json.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
