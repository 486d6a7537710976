"""Whether copies are found in all music, and people's own music is not called copied.

Quotes are planted: an excerpt of a training piece, 16 to 24 notes or two to four bars, stands in the midst of 200 notes
of a held-out piece (of another style's piece where none is held out). It is left as it is, transposed, has one note
altered (any but its first and last), both, or the whole sample is played with a jitter of 20 ms either way, other
lengths and velocities. It is planted whole, or its tune over what the other piece plays below the tune. A quote is
*found* when a view names its piece and bars, or another place where the same notes stand; it is *flagged* when the
sample goes beyond people's line. People's own pieces are held against levels and line of the other pieces, all windows
of a piece left out at once; their families are not searched.

    python bench/copies.py --corpora DIR [--styles NAME ...] [--json FILE]
    python bench/copies.py --artifacts DIR [--styles NAME ...] [--json FILE]

DIR of --corpora has a folder of music for each style, that of --artifacts was written by `farm run --until read`.
Prints tables and writes JSON after every style; styles measured before stay.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

from encoding import read  # noqa: E402  the path must be set first
from machine import describe  # noqa: E402

from farm.config import Selection  # noqa: E402
from farm.selection import traces  # noqa: E402
from farm.selection.copying import FIXED, FIXED_LINE, CopyLevels, copy_levels, excess, weights  # noqa: E402
from farm.selection.exact import View  # noqa: E402
from farm.selection.measures import cut_windows  # noqa: E402
from farm.selection.near import MOST_ALTERED, NearView  # noqa: E402
from farm.selection.originality import Index  # noqa: E402
from farm.selection.quotes import Corpus, find_quotes  # noqa: E402
from farm.selection.tokens import VIEWS, bars  # noqa: E402
from farm.storage import Storage  # noqa: E402
from farm.training.loading import Music, load_music  # noqa: E402

LENGTH = 200
WINDOWS = 120  # of held-out pieces, and of training pieces
PLANTED = 10  # of each kind in a style
SEED = 2026  # not the one with which views and levels were tuned
RULE = Selection()
CHANGES = ("exact", "transposed", "altered", "both", "jittered")
PARTS = ("whole", "tune")

Row = dict[str, Any]


class Planted(NamedTuple):
    """A sample with a quote in it: which piece it is from, its bars there, and how many notes it has."""

    notes: np.ndarray
    piece: str
    bars: range
    length: int
    source: np.ndarray  # the excerpt as it was


def near_index(pieces: Mapping[str, np.ndarray]) -> Corpus:
    """Return a corpus as quotes are looked for."""
    found = [traces.read(notes) for notes in pieces.values()]
    views = {name: NearView.build([one[name] for one in found], MOST_ALTERED[name]) for name in traces.VIEWS}
    return list(pieces), views, None


def quotes_of(notes: np.ndarray, corpus: Corpus) -> dict[str, list[Row]]:
    found = find_quotes(notes, [corpus], ()).quotes
    return {name: [quote._asdict() for quote in listed] for name, listed in found.items()}


def people(music: Music, corpus: Corpus, rng: np.random.Generator) -> list[tuple[str, bool, dict[str, int]]]:
    """Return piece, whether it was held out, and the weights of its quotes, for windows of people's pieces."""
    families, rows = music.families(), []
    for split in ("heldout", "train"):
        arrays = music.note_arrays(split)
        windows = [(piece, cut) for piece, notes in arrays.items() for cut in cut_windows(notes, LENGTH)]
        for number in sorted(rng.permutation(len(windows))[:WINDOWS].tolist()):
            piece, cut = windows[number]
            akin = np.array([name in families[piece] for name in corpus[0]], bool)
            rows.append((piece, split == "heldout", weights(quotes_of(cut, (*corpus[:2], akin)))))
    return rows


def levels_of(rows: list[tuple[str, bool, dict[str, int]]]) -> CopyLevels:
    told = {name: [row[2][name] for row in rows] for name in FIXED}
    found = copy_levels({"pieces": len({piece for piece, *_ in rows}), "weights": told}, RULE)
    assert found is not None
    return found


def alarms(rows: list[tuple[str, bool, dict[str, int]]]) -> Row:
    """Return how often people's pieces go beyond the levels of the others: by view and together, by windows."""
    found: Row = {"windows": len(rows), "heldout": sum(held for _, held, _ in rows)}
    found |= {"together": 0, "together_heldout": 0}
    found["by_view"] = dict.fromkeys(FIXED, 0)
    for left_out in {piece for piece, *_ in rows}:
        against = levels_of([row for row in rows if row[0] != left_out])
        for _, held, weight in (row for row in rows if row[0] == left_out):
            is_alarm = excess(weight, against)[0] > against.line
            found["together"] += is_alarm
            found["together_heldout"] += is_alarm and held
            for name, level in against.views.items():
                found["by_view"][name] += weight[name] > level
    return found


def excerpt(notes: np.ndarray, part: str, rng: np.random.Generator) -> tuple[np.ndarray, range] | None:
    """Return notes of a piece and the bars they stand in; None where the piece is too short."""
    ordered = notes[np.lexsort((notes["pitch"], notes["onset_beat"]))]
    chosen = np.arange(len(ordered)) if part == "whole" else np.sort(traces.read(ordered)["tune"].notes)
    where = bars(ordered)[chosen]
    if rng.random() < 0.5 and where.max(initial=0) > 6:
        begin = int(rng.integers(0, where.max() - 4))
        taken = np.flatnonzero((where >= begin) & (where < begin + rng.integers(2, 5)))
        if not 16 <= len(taken) <= 80:
            return None
    else:
        length = int(rng.integers(16, 25))
        if len(chosen) <= length:
            return None
        taken = int(rng.integers(0, len(chosen) - length)) + np.arange(length)
    return ordered[chosen[taken]].copy(), range(int(where[taken[0]]), int(where[taken[-1]]) + 1)


def change(quote: np.ndarray, how: str, rng: np.random.Generator) -> None:
    """Change an excerpt in place."""
    if how in ("transposed", "both"):
        move = int(rng.integers(1, 7)) * (1 if quote["pitch"].max() < 110 else -1)
        quote["pitch"] += move
    if how in ("altered", "both"):
        at = int(rng.integers(1, len(quote) - 1))
        together = set(quote["pitch"][np.abs(quote["onset_beat"] - quote["onset_beat"][at]) < 0.01].tolist())
        moves = [move for move in (-4, -3, -2, -1, 1, 2, 3, 4) if int(quote["pitch"][at]) + move not in together]
        quote["pitch"][at] += rng.choice(moves)


def plant(host: np.ndarray, quote: np.ndarray, part: str) -> np.ndarray:
    """Return a host with a quote in its midst: instead of what it plays there, or above that."""
    middle = host["onset_beat"][len(host) // 2]
    quote["onset_beat"] += np.floor(middle) + 4 - np.floor(quote["onset_beat"][0])
    begin, end = quote["onset_beat"][0], float((quote["onset_beat"] + quote["duration_beat"]).max())
    before, after = host[host["onset_beat"] < begin - 0.2].copy(), host[host["onset_beat"] >= begin - 0.2].copy()
    before["duration_beat"] = np.minimum(before["duration_beat"], begin - before["onset_beat"])
    if part == "whole":
        after["onset_beat"] += end - begin + 0.5
    else:
        beside = after["onset_beat"] < end
        after = after[~beside | (after["pitch"].astype(int) < int(quote["pitch"].min()))]
    return np.concatenate([before, quote, after])


def jitter(notes: np.ndarray, tempo_bpm: float, rng: np.random.Generator) -> None:
    """Play a sample less exactly, in place."""
    notes["onset_beat"] += rng.uniform(-0.02, 0.02, len(notes)) * tempo_bpm / 60
    notes["onset_beat"] -= min(0.0, float(notes["onset_beat"].min()))
    notes["duration_beat"] *= rng.uniform(0.85, 1.1, len(notes))
    notes["velocity"] = rng.integers(40, 100, len(notes))


def make(music: Music, hosts: list[np.ndarray], part: str, how: str, rng: np.random.Generator) -> Planted:
    """Return a sample with a quote of a training piece."""
    ids = music.ids("train")
    for _ in range(1000):
        piece = ids[int(rng.integers(len(ids)))]
        found = excerpt(music.notes[piece], part, rng)
        if found is not None and len(np.unique(found[0]["pitch"])) > 2:
            quote, where = found
            source = quote.copy()
            change(quote, how, rng)
            sample = plant(hosts[int(rng.integers(len(hosts)))].copy(), quote, part)
            if how == "jittered":
                jitter(sample, float(music.pieces["tempo_bpm"][piece]), rng)
            return Planted(sample, piece, where, len(quote), source)
    raise SystemExit("no piece is long enough to quote")


def look(planted: Planted, corpus: Corpus, against: CopyLevels) -> Row:
    """Return whether a planted quote is found where it is from, where the same notes stand too, and flagged."""
    quotes = quotes_of(planted.notes, corpus)
    near = range(planted.bars.start - 1, planted.bars.stop)
    listed = [(name, quote) for name, several in quotes.items() for quote in several]
    right = any(quote["piece"] == planted.piece and quote["bar"] in near for _, quote in listed)
    twin = any(stands_at(planted.source, quote, corpus, name) for name, quote in listed)
    multiple, _ = excess(weights(quotes), against)
    return {"right": right, "found": right or twin, "flagged": multiple > against.line}


def stands_at(source: np.ndarray, quote: Row, corpus: Corpus, view: str) -> bool:
    """Tell whether an excerpt stands where a quote was said to be from, as far as it was quoted."""
    found = corpus[1][view].search(traces.read(source)[view])
    long = found.at[found.notes >= quote["notes"] - 1]
    places = {corpus[1][view].place(int(at)) for at in long}
    return any(corpus[0][piece] == quote["piece"] and abs(bar - quote["bar"]) <= 1 for piece, bar in places)


def measure(storage: Storage, style: str, hosts: list[np.ndarray]) -> Row:
    """Return all that is measured of one style."""
    rng = np.random.default_rng(SEED)
    music = load_music(storage, style)
    corpus = near_index(music.note_arrays("train"))
    rows = people(music, corpus, rng)
    against = levels_of(rows)
    own = [cut for notes in music.note_arrays("heldout").values() for cut in cut_windows(notes, LENGTH)]
    found: Row = {"pieces": len({piece for piece, *_ in rows}), "by_people": against.by_people}
    found |= {"levels": {name: against.views.get(name) for name in FIXED}, "line": round(against.line, 3)}
    found |= {"alarms": alarms(rows), "planted": {}}
    found["weights"] = ";".join(" ".join(str(row[2][name]) for name in FIXED) for row in rows)
    for part in PARTS:
        for how in CHANGES:
            looked = [look(make(music, own or hosts, part, how, rng), corpus, against) for _ in range(PLANTED)]
            kind = {name: sum(row[name] for row in looked) for name in ("right", "found", "flagged")}
            found["planted"][f"{part} {how}"] = {"of": PLANTED, **kind}
    return found


def cost(storage: Storage, styles: list[str]) -> Row:
    """Return what it costs to index and search corpora of about 100,000 and of a million notes, in seconds of one core.

    Searched is for the last windows of the last style, which the corpora do not hold, and for one note 200 times.
    """
    arrays = {}
    for style in styles:
        arrays |= {f"{style}/{piece}": notes for piece, notes in load_music(storage, style).notes.items()}
    sizes = np.cumsum([len(notes) for notes in arrays.values()])
    queries = [cut for cut in cut_windows(list(arrays.values())[-1], LENGTH) if len(cut) == LENGTH]
    stuck = np.repeat(queries[0][:1], LENGTH)
    stuck["onset_beat"] = np.arange(LENGTH) / 2
    found: Row = {}
    for about, most in (("small", 100_000), ("large", 1_000_000)):
        pieces = dict(list(arrays.items())[: int(np.searchsorted(sizes, most)) + 1])
        times = [time.process_time()]
        exact = [View.build(list(pieces.values()), name) for name in VIEWS]
        times.append(time.process_time())
        index = Index.build(pieces)
        times.append(time.process_time())
        for query in queries:
            index.measure(query)
        times.append(time.process_time())
        index.measure(stuck)
        times.append(time.process_time())
        found[about] = {
            "notes": int(sum(map(len, pieces.values()))),
            "build_two_exact_views_seconds": round(times[1] - times[0], 2),
            "build_seconds": round(times[2] - times[1], 2),
            "search_seconds": round((times[3] - times[2]) / len(queries), 4),
            "search_one_note_seconds": round(times[4] - times[3], 3),
            "index_mb": round(sum(part.nbytes for part in index.to_arrays().values()) / 1e6, 1),
            "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        }
        del exact, index
    return found


def show(results: Row) -> None:
    """Print the tables."""
    styles = results["styles"]
    heads = f"{'style':<13}{'levels: ' + ' '.join(FIXED):<40}{'line':>5}{'windows':>9}{'alarms':>8}{'held out':>10}"
    print(f"{heads}  by view")
    total = np.zeros(2)
    for style, row in styles.items():
        levels = " ".join("-" if level is None else f"{level:.0f}" for level in row["levels"].values())
        levels += "" if row["by_people"] else " fixed"
        alarm = row["alarms"]
        total += (alarm["together"], alarm["windows"])
        share = f"{alarm['together'] / max(1, alarm['windows']):.1%}"
        held = f"{alarm['together_heldout']} of {alarm['heldout']}"
        by_view = " ".join(f"{count / max(1, alarm['windows']):.1%}" for count in alarm["by_view"].values())
        print(f"{style:<13}{levels:<40}{row['line']:>5.2f}{alarm['windows']:>9}{share:>8}{held:>10}  {by_view}")
    print(f"all: {total[0]:.0f} of {total[1]:.0f} windows, {total[0] / max(1, total[1]):.1%}\n")
    show_fixed(styles)
    print_table(results)
    for about, row in results.get("cost", {}).items():
        print(about, json.dumps(row))


def print_table(results: Row) -> None:
    """Print how many of the planted quotes were found and flagged, all styles together."""
    styles = results["styles"]
    print(f"{'planted':<20}{'of':>6}{'found':>8}{'flagged':>9}")
    for kind in next(iter(styles.values()))["planted"] if styles else ():
        told = {name: sum(row["planted"][kind][name] for row in styles.values()) for name in ("of", "found", "flagged")}
        print(f"{kind:<20}{told['of']:>6}{told['found']:>8}{told['flagged']:>9}")


def show_fixed(styles: Row) -> None:
    """Print what the fixed levels are and do: percentiles where every style counts the same, and alarms of each."""
    told = {style: row["weights"].split(";") for style, row in styles.items()}
    found = {style: np.array([one.split() for one in rows], float) for style, rows in told.items()}
    fixed = np.array(list(FIXED.values()))
    rng = np.random.default_rng(SEED)
    known = [weight for style, weight in found.items() if styles[style]["by_people"]]
    if not known:
        return
    pooled = np.concatenate([weight[rng.integers(0, len(weight), 1000)] for weight in known])
    usual = np.percentile(pooled, 95, axis=0)
    line = np.percentile((pooled / np.maximum(usual, RULE.copy_floor_notes)).max(axis=1), 95)
    print(f"95th percentiles over {len(known)} styles: {usual.tolist()}, of the excess over them {line:.2f}")
    far = {style: np.mean((weight / fixed).max(axis=1) > FIXED_LINE) for style, weight in found.items()}
    print("alarms with the fixed levels: " + ", ".join(f"{style} {share:.1%}" for style, share in far.items()) + "\n")


def main() -> None:
    """Measure style by style."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--corpora", type=Path, help="a folder with a folder of music for each style")
    source.add_argument("--artifacts", type=Path, help="what 'farm run --until read' wrote")
    parser.add_argument("--styles", nargs="*", help="only these")
    parser.add_argument("--cost", action="store_true", help="measure only what it costs")
    parser.add_argument("--json", type=Path, help="also write the results here")
    asked = parser.parse_args()
    results: Row = {"machine": describe(), "styles": {}}
    if asked.json and asked.json.exists():
        results = json.loads(asked.json.read_text())
    with tempfile.TemporaryDirectory() as scratch:
        storages = storages_of(asked, Path(scratch))
        hosts = [cut for cut in cut_windows(load_music(*next(iter(storages.items()))[::-1]).notes.popitem()[1], LENGTH)]
        if asked.cost:
            (storage,) = set(storages.values())
            results["cost"] = cost(storage, list(storages))
        for style, storage in storages.items():
            if not asked.cost and style not in results["styles"]:
                results["styles"][style] = measure(storage, style, hosts)
                if asked.json:
                    asked.json.write_text(json.dumps(results, indent=1) + "\n")
    if asked.json:
        asked.json.write_text(json.dumps(results, indent=1) + "\n")
    show(results)


def storages_of(asked: argparse.Namespace, scratch: Path) -> dict[str, Storage]:
    """Return where each style was read to, reading it first where only its files are there."""
    if asked.artifacts:
        names = sorted(path.stem for path in (asked.artifacts / "pieces").glob("*.parquet"))
        return dict.fromkeys(asked.styles or names, Storage(asked.artifacts))
    found = {}
    for folder in sorted(path for path in asked.corpora.iterdir() if path.is_dir()):
        if not asked.styles or folder.name in asked.styles:
            found[folder.name] = Storage(scratch)
            read(folder, found[folder.name])
    return found


if __name__ == "__main__":
    main()
