"""How often the key estimate is the key that the music states, and how often it is what music21's analysis says.

Stated keys: the key signatures with a mode of Bach's chorales, the `K:` fields of O'Neill's and Ryan's tunes (all three
come inside the music21 package; every second chorale, every sixth and fourth file of tunes; pieces with one stated
key), and, where a folder of corpora is at hand, the key signatures of MIDI files: with their mode in Nottingham's
tunes, without it in the piano pieces, where the key or its relative counts as right. A modal tune counts as minor where
its third is minor. music21 analyses the same pieces by the same method with its own code ('key.krumhansl'), and by its
default.

    python bench/keys.py [--corpora DIR] [--json FILE]
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import symusic
from music21 import converter, corpus, key

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

from machine import describe  # noqa: E402  the path must be set first

from farm.corpus.tonality import ALBRECHT_SHANAHAN, KEYS, keys  # noqa: E402

CORPUS = Path(corpus.__file__).parent
TUNES = {
    "chorales": sorted(CORPUS.glob("bach/bwv*.mxl"))[::2],
    "O'Neill": sorted(CORPUS.glob("oneills1850/*.abc"))[::6],
    "Ryan": sorted(CORPUS.glob("ryansMammoth/*.abc"))[::4],
}
PIANO = "albeniz bach beethoven borodin brahms burgmueller chopin debussy granados grieg haydn liszt mendelssohn mozart"
PIANO_FOLDERS = tuple(f"{PIANO} mussorgsky schubert schumann tchaikovsky".split())
FEWEST_NOTES = 8
MINOR_MODES = ("minor", "dorian", "phrygian", "aeolian")
ERRORS = ("right", "fifth", "relative", "parallel", "other")

# As music21 10.5 has them (analysis/discrete.py), but for Temperley's of 1999 and Albrecht's and Shanahan's of 2013.
PROFILES = {
    "Krumhansl, Kessler 1982": np.array(
        [
            [6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88],
            [6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17],
        ]
    ),
    "Aarden, Essen 2003": np.array(
        [
            [17.7661, 0.1456, 14.9265, 0.1602, 19.8049, 11.3587, 0.2912, 22.062, 0.1456, 8.1549, 0.233, 4.9512],
            [18.2648, 0.7376, 14.0499, 16.8599, 0.7025, 14.4362, 0.7025, 18.6161, 4.5662, 1.9319, 7.3762, 1.7562],
        ]
    ),
    "Sapp, simple weights": np.array(
        [
            [2, 0, 1, 0, 1, 1, 0, 2, 0, 1, 0, 1],
            [2, 0, 1, 1, 0, 1, 0, 2, 1, 0, 0.5, 0.5],
        ]
    ),
    "Bellman, Budge 2005": np.array(
        [
            [16.8, 0.86, 12.95, 1.41, 13.49, 11.93, 1.25, 20.28, 1.8, 8.04, 0.62, 10.57],
            [18.16, 0.69, 12.99, 13.34, 1.07, 11.15, 1.38, 21.07, 7.49, 1.53, 0.92, 10.21],
        ]
    ),
    "Temperley 1999": np.array(
        [
            [5, 2, 3.5, 2, 4.5, 4, 2, 4.5, 2, 3.5, 1.5, 4],
            [5, 2, 3.5, 4.5, 2, 4, 2, 4.5, 3.5, 2, 1.5, 4],
        ]
    ),
    "Temperley, Kostka, Payne": np.array(
        [
            [0.748, 0.06, 0.488, 0.082, 0.67, 0.46, 0.096, 0.715, 0.104, 0.366, 0.057, 0.4],
            [0.712, 0.084, 0.474, 0.618, 0.049, 0.46, 0.105, 0.747, 0.404, 0.067, 0.133, 0.33],
        ]
    ),
    "Albrecht, Shanahan 2013": ALBRECHT_SHANAHAN,
}
OURS, MUSIC21 = "Albrecht, Shanahan 2013", "Krumhansl, Kessler 1982"

Row = dict[str, Any]
"""One piece: source, pitches, weights, stated key (index in KEYS), music21's two answers."""


def index_of(tonic: int, is_minor: bool) -> int:
    """Return the place in KEYS of a key given by the pitch class of its tonic."""
    return tonic % 12 + 12 * is_minor


def scores() -> Iterator[Row]:
    """Yield the pieces of music21's corpus that state one key, with music21's analyses of them."""
    for source, paths in TUNES.items():
        for path in paths:
            parsed = converter.parse(path, forceSource=True)
            for score in getattr(parsed, "scores", [parsed]):
                signatures = list(score.recurse().getElementsByClass(key.KeySignature))
                stated = {
                    index_of(each.tonic.pitchClass, each.mode in MINOR_MODES) if isinstance(each, key.Key) else None
                    for each in signatures
                }
                notes = [(p.midi, float(n.quarterLength)) for n in score.flatten().notes for p in n.pitches]
                if len(stated) != 1 or None in stated or len(notes) < FEWEST_NOTES:
                    continue
                answers = [score.analyze(method) for method in ("key.krumhansl", "key")]
                pitch, weight = np.array(notes).T
                yield {
                    "source": source,
                    "pitch": pitch.astype(int),
                    "weight": weight,
                    "stated": stated.pop(),
                    "music21": [index_of(each.tonic.pitchClass, each.mode == "minor") for each in answers],
                }


def midi(corpora: Path) -> Iterator[Row]:
    """Yield the MIDI files that state one key signature; its mode is trusted in the folk tunes alone."""
    for folder in ("folk", *PIANO_FOLDERS):
        for path in sorted((corpora / folder).glob("*")):
            score = symusic.Score(path)
            stated = {(signature.key, signature.tonality) for signature in score.key_signatures}
            tracks = [track.notes.numpy() for track in score.tracks if not track.is_drum]
            pitch, ticks = (np.concatenate([track[name] for track in tracks]) for name in ("pitch", "duration"))
            if len(stated) != 1 or len(pitch) < FEWEST_NOTES:
                continue
            sharps, is_minor = stated.pop()
            yield {
                "source": "Nottingham" if folder == "folk" else "piano",
                "pitch": pitch,
                "weight": ticks / score.tpq,
                "stated": index_of(7 * sharps + 9 * is_minor, bool(is_minor)),
            }


def estimates(pieces: list[Row], profiles: np.ndarray) -> list[int]:
    """Return the place in KEYS of every piece's estimate."""
    bounds = np.cumsum([0, *(len(piece["pitch"]) for piece in pieces)])
    pitch, weight = (np.concatenate([piece[name] for piece in pieces]) for name in ("pitch", "weight"))
    return [KEYS.index(name) if name else -1 for name in keys(pitch, weight, bounds, profiles)]


def error(truth: int, estimate: int, without_mode: bool = False) -> str:
    """Return which of ERRORS an estimate is: the kinds that MIREX tells apart."""
    major = [index if index < 12 else (index + 3) % 12 for index in (truth, estimate)]
    if without_mode:
        truth, estimate = major
    if truth == estimate:
        return "right"
    if truth // 12 == estimate // 12:
        return "fifth" if (truth - estimate) % 12 in (5, 7) else "other"
    return "relative" if major[0] == major[1] else "parallel" if truth % 12 == estimate % 12 else "other"


def shares(truths: Iterable[int], estimates: Iterable[int], without_mode: bool = False) -> dict[str, float]:
    """Return the share of each of ERRORS among estimates."""
    kinds = [error(truth, estimate, without_mode) for truth, estimate in zip(truths, estimates, strict=True)]
    counts = Counter(kinds)
    return {kind: round(counts[kind] / len(kinds), 4) for kind in ERRORS}


def measure(pieces: list[Row]) -> Row:
    """Return the tables: by profile and source against the stated key, and against music21's analyses."""
    stated = np.array([piece["stated"] for piece in pieces])
    found = {name: np.array(estimates(pieces, profiles)) for name, profiles in PROFILES.items()}
    names = np.array([piece["source"] for piece in pieces])
    sources = {source: np.flatnonzero(names == source) for source in dict.fromkeys(names.tolist())}
    analysed = [index for index, piece in enumerate(pieces) if "music21" in piece]
    same_profile, default = np.array([pieces[index]["music21"] for index in analysed]).T
    ours = found[OURS][analysed]
    return {
        "pieces": {source: len(there) for source, there in sources.items()},
        "stated": {
            name: {
                source: shares(stated[there], found[name][there], source == "piano")
                for source, there in sources.items()
            }
            for name in PROFILES
        },
        "analysed": len(analysed),
        "same_profile": shares(same_profile, found[MUSIC21][analysed]),
        "default": shares(default, ours),
        "default_on_stated": shares(stated[analysed], default),
        "ours_on_stated": shares(stated[analysed], ours),
    }


def print_table(facts: Row) -> None:
    """Print what the README quotes."""
    sources = facts["pieces"]
    print(f"{'right key, by profile':26}" + "".join(f"{source:>12}" for source in sources))
    print(f"{'pieces':26}" + "".join(f"{count:>12}" for count in sources.values()))
    for name, row in facts["stated"].items():
        print(f"{name:26}" + "".join(f"{row[source]['right']:>12.1%}" for source in sources))
    lines = {
        "music21's profile, its analysis": facts["same_profile"],
        "ours, music21's default": facts["default"],
        "music21's default, stated": facts["default_on_stated"],
        "ours, stated": facts["ours_on_stated"],
    }
    print(f"\n{facts['analysed']} pieces{'':22}" + "".join(f"{kind:>10}" for kind in ERRORS))
    for name, row in lines.items():
        print(f"{name:32}" + "".join(f"{row[kind]:>10.1%}" for kind in ERRORS))


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the key estimate against stated keys and music21's analysis.")
    parser.add_argument(
        "--corpora", type=Path, default=ROOT.parent / "shared" / "corpora", help="folders of MIDI files"
    )
    parser.add_argument("--json", type=Path, help="write the numbers here too")
    arguments = parser.parse_args()
    started = time.perf_counter()
    pieces = list(scores())
    if arguments.corpora.exists():
        pieces += midi(arguments.corpora)
    facts = measure(pieces)
    print_table(facts)
    if arguments.json:
        facts |= {"machine": describe(), "seconds": round(time.perf_counter() - started, 1)}
        arguments.json.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
