"""Content hashes, fingerprints, families of near-duplicates, and the split that never separates them."""

import hashlib
from collections import Counter, defaultdict
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_music import tune

from farm.music import families as kinship
from farm.music import fingerprints as printing
from farm.music.encoding import NOTE
from farm.music.families import families_of
from farm.music.fingerprints import fingerprints, join, thinning
from farm.music.split import content_hashes, split

CORPORA = Path(__file__).parent.parent.parent / "shared" / "corpora"


def content_hash(notes: np.ndarray) -> str:
    return content_hashes(notes, np.array([0, len(notes)]))[0]


def together(pieces: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the notes of many pieces one after another, and where each begins."""
    return np.concatenate(pieces or [np.zeros(0, NOTE)]), np.cumsum([0, *map(len, pieces)])


def families(pieces: list[np.ndarray], thin: int = 1) -> list[int]:
    return families_of(fingerprints(*together(pieces), thin))


def same(some: printing.Fingerprints, others: printing.Fingerprints) -> bool:
    return all(
        np.array_equal(one.grams, other.grams) and np.array_equal(one.bounds, other.bounds)
        for one, other in zip(some, others, strict=True)
    )


def melody(seed: int, n_notes: int = 40) -> np.ndarray:
    """Return a line of quarter notes, any pitch after any other."""
    random = np.random.default_rng(seed)
    notes = np.zeros(n_notes, NOTE)
    notes["onset_beat"], notes["duration_beat"] = np.arange(n_notes), 1.0
    notes["pitch"] = random.integers(60, 84, n_notes)
    return notes


def harmonised(line: np.ndarray, seed: int) -> np.ndarray:
    """Return a line over an accompaniment of its own, with notes that begin while the line's are held."""
    random = np.random.default_rng(seed)
    below = np.repeat(line, 2)
    below["onset_beat"] += np.tile([0.0, 0.5], len(line))
    below["duration_beat"] = 0.5
    below["pitch"] -= random.integers(12, 24, len(below)).astype(np.int16)
    return np.concatenate([line, below])


def performed(notes: np.ndarray, seed: int) -> np.ndarray:
    """Return the notes as hands play them: no two strike together, and fingers let go late."""
    random = np.random.default_rng(seed)
    played = notes.copy()
    played["onset_beat"] = played["onset_beat"] * 1.1 + random.uniform(0, 0.06, len(notes))
    played["duration_beat"] *= random.uniform(0.9, 1.4, len(notes))
    return played


def ornamented(line: np.ndarray, seed: int) -> np.ndarray:
    """Return a line whose every note of a beat is broken into itself, a neighbour and itself again, or two."""
    random = np.random.default_rng(seed)
    notes = np.repeat(line, 3)
    notes["onset_beat"] += np.tile([0, 1 / 3, 2 / 3], len(line))
    notes["duration_beat"] = 1 / 3
    notes["pitch"][1::3] += random.choice([-4, -2, -1, 1, 2, 3], len(line)).astype(np.int16)
    notes["pitch"][2::3] += random.choice([-2, 0, 1, 5], len(line)).astype(np.int16)
    return notes


def test_content_is_the_same_in_any_key_order_and_loudness():
    notes = tune(1)
    other = notes[::-1].copy()
    other["pitch"] += 5
    other["velocity"] = 9
    other["onset_beat"] += 3
    assert content_hash(other) == content_hash(notes)
    other["duration_beat"][0] += 0.5
    assert content_hash(other) != content_hash(notes)
    assert len(content_hash(notes[:0])) == 16


def test_content_hashes_of_a_batch_are_those_of_each_piece_as_first_defined():
    """The split is drawn by these hashes: another definition would draw every corpus anew."""
    random = np.random.default_rng(5)
    pieces = [tune(1), tune(2)[random.permutation(len(tune(2)))], tune(3)[:0], melody(4, 1), tune(1)]
    expected = []
    for notes in pieces:
        first, lowest = notes["onset_beat"].min(initial=np.inf), notes["pitch"].min(initial=127)
        rows = [
            (round(48 * (note["onset_beat"] - first)), note["pitch"] - lowest, round(48 * note["duration_beat"]))
            for note in notes
        ]
        expected.append(hashlib.sha256(np.array(sorted(rows), "<i4").tobytes()).hexdigest()[:16])
    notes, bounds = together(pieces)
    assert content_hashes(notes, bounds) == expected
    assert content_hashes(notes, bounds[1:4]) == expected[1:3]
    assert content_hashes(notes[:0], np.array([0])) == []


def test_a_tune_in_other_harmonies_keys_and_hands_is_one_family():
    pieces = [
        harmonised(melody(1), 5),
        melody(2),
        harmonised(melody(1), 6),
        melody(3),
        performed(harmonised(melody(1), 7), 1),
    ]
    pieces[2]["pitch"] -= 4
    assert families(pieces) == [0, 1, 0, 3, 0]


def test_a_tune_with_other_ornaments_is_one_family():
    assert families([ornamented(melody(1), 1), melody(2), ornamented(melody(1), 2), melody(1)]) == [0, 1, 0, 0]
    jigs = [melody(1), ornamented(melody(1), 3)]
    for notes in jigs:
        notes["onset_beat"] *= 1.5
        notes["duration_beat"] *= 1.5
    assert families([jigs[0], melody(2), jigs[1]]) == [0, 1, 0]


def test_pieces_that_share_scales_or_little_else_are_strangers():
    assert families([tune(seed) for seed in range(40)]) == list(range(40))
    scale = 60 + np.tile([0, 2, 4, 5, 7, 9, 11, 12, 11, 9, 7, 5, 4, 2], 2)
    for shared in (scale, melody(99, 20)["pitch"]):
        pieces = [melody(seed, 60 + len(shared)) for seed in (1, 2, 3)]
        for notes in pieces:
            notes["pitch"][60:] = shared
        assert families(pieces) == [0, 1, 2]


def test_an_excerpt_is_of_the_family_of_the_whole():
    assert families([melody(1, 100), melody(2, 100), melody(1, 100)[30:70]]) == [0, 1, 0]


def test_many_performances_are_one_family_though_each_is_compared_with_few():
    pieces = [performed(harmonised(melody(1), 2), seed) for seed in range(3 * kinship.NEIGHBOURS)]
    assert set(families(pieces)) == {0}


def test_too_little_to_tell():
    assert families([]) == []
    assert families([melody(1, 0), melody(1, 8), melody(1, 8)]) == [0, 1, 2]


def test_kin_are_found_however_common_what_they_share_is():
    """Half of what two pieces share, a crowd says too; those who share that only stay strangers."""
    crowd, theirs = melody(500, 36)["pitch"], melody(501, 36)["pitch"]
    pieces = [melody(seed, 160) for seed in range(300)]
    for notes in pieces:
        notes["pitch"][:36] = crowd
    for notes in pieces[100], pieces[200]:
        notes["pitch"][36:72] = theirs
    assert families(pieces) == [*range(200), 100, *range(201, 300)]


def test_families_do_not_depend_on_the_order_of_pieces_nor_on_the_slabs_that_bound_memory(monkeypatch):
    pieces = [harmonised(melody(seed % 37, 60), seed) for seed in range(120)]
    expected = families(pieces)
    assert expected == [index % 37 for index in range(120)]
    order = np.random.default_rng(1).permutation(120)
    shuffled = families([pieces[index] for index in order])
    assert [order[family] % 37 for family in shuffled] == [index % 37 for index in order]
    monkeypatch.setattr(kinship, "MOST_PAIRS", 100)
    monkeypatch.setattr(kinship, "_SLAB_GRAMS", 50)
    assert families(pieces) == expected


def test_fingerprints_do_not_depend_on_the_batch_nor_on_the_order_of_notes(monkeypatch):
    random = np.random.default_rng(3)
    pieces = [harmonised(melody(seed, 10 * seed), seed) for seed in range(12)] + [melody(1, 0), tune(3), tune(4)[:1]]
    for notes in pieces:
        notes["onset_beat"] += random.integers(0, 9)
    pieces += [melody(9, 11), melody(8)]  # the one ends high, late in its third bar of three beats
    pieces[-2]["onset_beat"] += 2
    pieces[-2]["pitch"] += 36
    alone = [fingerprints(*together([notes])) for notes in pieces]
    assert same(join(alone), fingerprints(*together(pieces)))
    assert same(alone[4], fingerprints(*together([random.permutation(pieces[4])])))
    notes, bounds = together(pieces)
    assert same(join(alone[3:9]), fingerprints(notes, bounds[3:10]))
    monkeypatch.setattr(printing, "_BLOCK_NOTES", 100)
    assert same(join(alone), fingerprints(notes, bounds))


def test_the_line_on_top_is_what_a_plain_loop_finds():
    random = np.random.default_rng(2)
    onset = np.cumsum(random.integers(100, 2000, 300))
    end, pitch = onset + random.integers(100, 6000, 300), random.integers(40, 80, 300)
    line = []
    for at in range(300):
        late = onset[at] + min((end[at] - onset[at]) // 2, round(printing.LEGATO_BEATS * 960))
        before = range(max(at - printing.LOOK_BACK, 0), at)
        if not any(end[other] > late and pitch[other] > pitch[at] for other in before):
            line.append(at)
    assert printing._on_top(onset, end, pitch).tolist() == line
    assert 30 < len(line) < 270


def test_thinned_fingerprints_find_the_same_families():
    pieces = [harmonised(melody(seed // 2, 400), seed) for seed in range(20)]
    thick, thinned = fingerprints(*together(pieces)), fingerprints(*together(pieces), 4)
    for view, other in zip(thick, thinned, strict=True):
        assert len(other.grams) < 0.7 * len(view.grams)
        assert set(other.grams.tolist()) < set(view.grams.tolist())
    assert families_of(thinned) == families_of(thick) == [index // 2 * 2 for index in range(20)]
    assert (thinning(1000), thinning(8 * printing.MOST_NOTES)) == (1, 8)


def test_thousands_of_pieces_with_stock_phrases_fall_into_their_families():
    random = np.random.default_rng(1)
    phrases = [melody(1000 + number, 16)["pitch"] for number in range(8)]
    sizes = [2, 45, 7, 17, 3] + [1] * 2000
    pieces, expected = [], []
    for number, size in enumerate(sizes):
        notes = melody(2000 + number, 120)
        for start in (20, 80):
            notes["pitch"][start : start + 16] = phrases[random.integers(8)]
        expected += [len(pieces)] * size
        pieces += [harmonised(notes, len(pieces) + copy) for copy in range(size)]
    assert families(pieces) == expected


def near_identical(lines: list[list[int]]) -> list[tuple[int, int]]:
    """Return the pairs of melodies of which the shorter stands almost wholly in the other, in any key.

    Shares no code with the families: runs of four or more equal intervals, in order, that make up seven tenths.
    """
    steps = [np.diff(line).tolist() for line in lines]
    sayers = defaultdict(set)
    for index, line in enumerate(steps):
        for start in range(len(line) - 7):
            sayers[tuple(line[start : start + 8])].add(index)
    said = Counter(index for indices in sayers.values() for index in indices)
    shared = Counter((a, b) for indices in sayers.values() for a in indices for b in indices if a < b)
    found = []
    for (a, b), count in shared.items():
        if count >= 0.2 * min(said[a], said[b]):
            runs = SequenceMatcher(None, steps[a], steps[b], autojunk=False).get_matching_blocks()
            if sum(run.size for run in runs if run.size >= 4) >= 0.7 * min(len(steps[a]), len(steps[b])):
                found.append((a, b))
    return found


def leaks(pairs: list[tuple[int, int]], kin: list[int], pieces: list[np.ndarray]) -> int:
    """Return how many pairs the splits of ten seeds tear apart."""
    hashes, sizes = content_hashes(*together(pieces)), [len(notes) for notes in pieces]
    sides = [split(kin, sizes, hashes, 0.1, seed) for seed in range(10)]
    return sum(side[a] != side[b] for side in sides for a, b in pairs)


def collected(random: np.random.Generator) -> tuple[list[np.ndarray], list[list[int]]]:
    """Return a book of tunes as collectors leave it, and the melody of each: some stand in it twice or three times.

    In another key or octave, with the repeats written out, over another accompaniment, with a few notes changed.
    """
    pieces, lines = [], []
    for number in range(120):
        base = melody(number, 64)
        for _ in range(int(random.choice([1, 1, 1, 2, 3]))):
            line = base.copy()
            line["pitch"][random.integers(0, 64, 2)] += np.int16(2)
            if random.random() < 0.5:
                again = line.copy()
                again["onset_beat"] += 64
                line = np.concatenate([line, again])
            line["pitch"] += random.choice([-12, -5, 0, 2, 12]).astype(np.int16)
            pieces.append(harmonised(line, len(pieces)))
            lines.append(line["pitch"].astype(int).tolist())
    return pieces, lines


def test_no_heldout_tune_has_a_near_identical_one_in_training():
    pieces, lines = collected(np.random.default_rng(4))
    pairs = near_identical(lines)
    kin = families(pieces)
    assert len(pairs) > 50
    assert leaks(pairs, kin, pieces) == 0 < leaks(pairs, list(range(len(pieces))), pieces)
    assert len(set(kin)) == 120


def read(style: str) -> tuple[list[str], list[np.ndarray]]:
    """Return the names of a style's files and the rows of each, drums left out; skips where there are none."""
    if not (CORPORA / style).is_dir():
        pytest.skip(f"the development corpus {style} is not beside the checkout")
    from farm.config import Filters
    from farm.corpus.describing import describe
    from farm.corpus.readers import read_file

    paths = sorted((CORPORA / style).iterdir())
    readings = [reading for path in paths for reading in read_file(path.read_bytes(), path.name)]
    assert len(readings) == len(paths)
    described = describe(readings, Filters())
    rows = np.zeros(
        described.bounds[-1], [("onset_beat", float), ("duration_beat", float), ("pitch", int), ("track", int)]
    )
    for name in rows.dtype.names or ():
        rows[name] = described.notes[name]
    return [path.stem for path in paths], np.split(rows, described.bounds[1:-1])


def families_of_rows(pieces: list[np.ndarray]) -> list[int]:
    return families_of(fingerprints(np.concatenate(pieces), np.cumsum([0, *map(len, pieces)])))


def test_nottingham_does_not_leak():
    names, pieces = read("folk")
    kin = families_of_rows(pieces)
    lines = []
    for rows in pieces:
        highest = {row["onset_beat"]: int(row["pitch"]) for row in rows[rows["track"] == rows["track"].min()]}
        lines.append([pitch for _, pitch in sorted(highest.items())])
    pairs = near_identical(lines)
    assert len(pairs) > 40
    assert [(names[a], names[b]) for a, b in pairs if kin[a] != kin[b]] == []
    assert leaks(pairs, kin, pieces) == 0 < leaks(pairs, list(range(len(pieces))), pieces)
    assert max(Counter(kin).values()) <= 5, "strangers stand in one family"
    together_by_ear = "jigs27 jigs28, jigs215 jigs216, jigs218 jigs228, reelsr-t34 reelsr-t35, hpps56 reelsr-t12"
    for one, other in (pair.split() for pair in together_by_ear.split(", ")):
        assert kin[names.index(one)] == kin[names.index(other)]


def test_the_performances_of_one_ballade_are_one_family():
    _, pieces = read("own")
    assert len(pieces) == 45
    assert set(families_of_rows(pieces)) == {0}


@pytest.mark.parametrize(
    ("style", "kindred"),
    [
        ("anthems", {"Estonia Finland", "South_Africa Tanzania Zambia", "Guam United_States"}),
        ("chopin", set()),
        ("scarlatti", set()),
    ],
)
def test_pieces_of_different_music_stay_strangers(style, kindred):
    names, pieces = read(style)
    kin = families_of_rows(pieces)
    found = defaultdict(list)
    for name, family in zip(names, kin, strict=True):
        found[family].append(name.removeprefix("National_Anthems_-_"))
    several = {" ".join(members) for members in found.values() if len(members) > 1}
    assert kindred <= several
    assert len(pieces) - len(found) <= 6


STYLES = st.lists(st.tuples(st.integers(0, 12), st.integers(16, 2000)), min_size=1, max_size=60)


@settings(deadline=None)
@given(STYLES, st.floats(0.02, 0.5), st.integers(0, 5), st.randoms(use_true_random=False))
def test_a_split_is_whole_families_and_depends_on_content_only(corpus, share, seed, random):
    kin = [family for family, _ in corpus]
    sizes = [size for _, size in corpus]
    hashes = [f"{index:04d}" for index in range(len(corpus))]
    sides = split(kin, sizes, hashes, share, seed)
    by_family = {family: {side for other, side in zip(kin, sides, strict=True) if other == family} for family in kin}
    assert all(len(found) == 1 for found in by_family.values())
    weight = {family: sum(size for other, size in corpus if other == family) for family in set(kin)}
    heldout = [family for family, side in by_family.items() if side == {"heldout"}]
    assert bool(heldout) == (len(weight) > 1)
    assert len(heldout) < len(weight)
    assert all(weight[family] <= max(weight.values()) for family in heldout)
    if len(weight) == len(corpus) >= 20:
        assert sides.count("heldout") >= 4
    order = random.sample(range(len(corpus)), len(corpus))
    names = [f"family {kin[index]}" for index in order]
    shuffled = split(names, [sizes[i] for i in order], [hashes[i] for i in order], share, seed)
    assert shuffled == [sides[index] for index in order]


@pytest.mark.parametrize("share", [0.05, 0.1, 0.3])
def test_the_share_is_met(share):
    sizes = np.random.default_rng(1).integers(50, 400, 300).tolist()
    sides = split(list(range(300)), sizes, [f"{index:03d}" for index in range(300)], share, 2019)
    held = sum(size for size, side in zip(sizes, sides, strict=True) if side == "heldout")
    assert held / sum(sizes) == pytest.approx(share, abs=0.01)
    assert sides != split(list(range(300)), sizes, [f"{index:03d}" for index in range(300)], share, 2020)


def test_the_giant_family_is_never_held_out():
    kin, sizes = [0] * 40 + [1, 2], [100] * 42
    sides = split(kin, sizes, [str(index) for index in range(42)], 0.1, 1)
    assert sides == ["train"] * 40 + ["heldout"] * 2
