"""Families of near-duplicates, and the split that never separates them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_music import tune

from farm.music import split as splitting
from farm.music.encoding import NOTE
from farm.music.split import content_hash, families, families_of, fingerprint, split, thinning


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
    """Return the notes as hands play them: no two strike together."""
    random = np.random.default_rng(seed)
    played = notes.copy()
    played["onset_beat"] = played["onset_beat"] * 1.1 + random.uniform(0, 0.06, len(notes))
    return played


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


def test_pieces_that_share_scales_or_little_else_are_strangers():
    assert families([tune(seed) for seed in range(40)]) == list(range(40))
    scale = 60 + np.tile([0, 2, 4, 5, 7, 9, 11, 12, 11, 9, 7, 5, 4, 2], 5)
    for shared in (scale, melody(99, 20)["pitch"]):
        pieces = [melody(seed, 60 + len(shared)) for seed in (1, 2, 3)]
        for notes in pieces:
            notes["pitch"][60:] = shared
        assert families(pieces) == [0, 1, 2]


def test_an_excerpt_is_of_the_family_of_the_whole():
    assert families([melody(1, 100), melody(2, 100), melody(1, 100)[30:70]]) == [0, 1, 0]


def test_many_performances_are_one_family_though_each_is_compared_with_few():
    pieces = [performed(harmonised(melody(1), 2), seed) for seed in range(3 * splitting.NEIGHBOURS)]
    assert set(families(pieces)) == {0}


def test_too_little_to_tell():
    assert families([]) == []
    assert families([melody(1, 0), melody(1, 8), melody(1, 8)]) == [0, 1, 2]


def test_thinned_fingerprints_find_the_same_families():
    pieces = [harmonised(melody(seed // 2, 400), seed) for seed in range(20)]
    thin = 4
    prints = [fingerprint(notes, thin) for notes in pieces]
    assert sum(len(view) for view, _ in prints) < sum(len(fingerprint(notes)[0]) for notes in pieces) / 2
    assert families_of(prints, thin) == families(pieces) == [index // 2 * 2 for index in range(20)]
    assert (thinning(1000), thinning(8 * splitting.MOST_GRAMS)) == (1, 8)


CORPORA = st.lists(st.tuples(st.integers(0, 12), st.integers(16, 2000)), min_size=1, max_size=60)


@settings(deadline=None)
@given(CORPORA, st.floats(0.02, 0.5), st.integers(0, 5), st.randoms(use_true_random=False))
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
