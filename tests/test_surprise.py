"""How strange music is to its style, on music where the answer is known."""

from functools import partial

import numpy as np
import pytest
from small_music import tune

from farm.music import baselines
from farm.music.encoding import Encoding, encode
from farm.selection import surprise

ENCODING = Encoding()
REACH = {"down": 5, "up": 6}
LEARNT = [encode(tune(seed), ENCODING, "4/4") for seed in range(12)]
ASKED = [encode(tune(seed), ENCODING, "4/4") for seed in range(50, 56)]
sample_bits = partial(surprise.sample_bits, LEARNT, encoding=ENCODING, **REACH)


def noise(seed: int) -> np.ndarray:
    notes, random = tune(seed), np.random.default_rng(seed)
    notes["pitch"] = random.integers(30, 100, len(notes))
    notes["duration_beat"] = random.choice([0.25, 0.5, 1.5, 3.0], len(notes))
    return encode(notes, ENCODING, "4/4")


def test_random_music_costs_more_bits_than_people_and_learnt_music_fewer() -> None:
    usual, strangest = surprise.people_bits(LEARNT, ASKED, ENCODING, 40, **REACH) or (0.0, 0.0)
    learnt, akin, random = sample_bits([LEARNT[:3], ASKED[:3], [noise(seed) for seed in range(3)]])
    assert learnt is not None
    assert akin is not None
    assert random is not None
    assert learnt < akin < strangest < random
    assert usual == pytest.approx(akin, rel=0.1)


def test_the_bits_are_those_of_the_baseline() -> None:
    whole = baselines.evaluate(LEARNT, ASKED, ENCODING, **REACH)["bits_per_note"]
    each = baselines.bits_of_each(LEARNT, ASKED, ENCODING, **REACH)
    n_notes = [len(events) - 2 for events in ASKED]
    assert whole == pytest.approx(np.average(each, weights=n_notes))


def test_samples_without_notes_have_no_bits() -> None:
    silent = encode(tune(0)[:0], ENCODING, "4/4")
    bits = sample_bits([[silent], [], [ASKED[0], silent]])
    assert bits[:2] == [None, None]
    assert bits[2] == pytest.approx(sample_bits([[ASKED[0]]])[0], rel=0.05)
    assert sample_bits([]) == []
    assert surprise.people_bits(LEARNT, [silent], ENCODING, 40, **REACH) is None


def test_a_short_remainder_is_no_window() -> None:
    long = ASKED[0]
    windows = surprise._windows(long, 40)
    assert [len(window) - 1 for window in windows] == [40] * ((len(long) - 2) // 40) + (
        [(len(long) - 2) % 40] if 2 * ((len(long) - 2) % 40) >= 40 else []
    )
    assert all((window[0] == long[0]).all() for window in windows)
