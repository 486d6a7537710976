"""The n-gram baseline: against a slow model that is plain to read, on music where the answer is known."""

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_music import tune

from farm.music import baselines
from farm.music.baselines import ESCAPE_WEIGHT, MAX_ORDER, evaluate
from farm.music.encoding import (
    BEATS,
    DURATION,
    PITCH,
    POSITION,
    STEP,
    STEPS_PER_BEAT,
    VELOCITY,
    Encoding,
    encode,
    transpose,
)

ENCODING = Encoding()
LOUD = Encoding(has_velocity=True)
OUTSIDE = -1_000


def pieces(seeds, encoding=ENCODING):
    return [encode(tune(seed, bars=6, velocity=encoding.has_velocity), encoding, "4/4") for seed in seeds]


def bits(train, heldout, encoding=ENCODING, **transposed):
    return evaluate(train, heldout, encoding, **{"down": 5, "up": 6, **transposed})


class Slow:
    """Interpolated Witten-Bell as the formula reads, with dicts."""

    def __init__(self, chance):
        self.chance = chance
        self.counts = defaultdict(Counter)

    def learn(self, contexts, symbol):
        for level, _ in enumerate(contexts):
            self.counts[tuple(contexts[: level + 1])][symbol] += 1

    def price(self, contexts, symbol, register):
        p = self.chance if register is None else register
        told = []
        for level, _ in enumerate(contexts):
            seen = self.counts.get(tuple(contexts[: level + 1]))
            if seen:
                escape = ESCAPE_WEIGHT * len(seen)
                p = (seen[symbol] + escape * p) / (sum(seen.values()) + escape)
            told.append(-np.log2(p))
        return told[-MAX_ORDER:]


def slow_contexts(events, at):
    """(context levels, symbol) of every field of one event, as the module's docstring has them."""

    def value(column, back):
        return int(events[at - back, column]) if at - back >= 0 else OUTSIDE

    def interval(back):
        if at - back < 0:
            return OUTSIDE
        return value(PITCH, back) - (value(PITCH, back + 1) if at - back - 1 >= 0 else OUTSIDE)

    def time(back):
        return value(BEATS, back) * STEPS_PER_BEAT + value(STEP, back) if at - back >= 0 else OUTSIDE

    orders = range(1, MAX_ORDER + 1)
    beats, now = value(BEATS, 0), time(0)
    before = [(value(DURATION, k), time(k)) for k in orders]
    yield "beats", [value(POSITION, 1), *before], beats
    yield "step", [(beats, value(POSITION, 1)), *before], value(STEP, 0)
    yield "pitch", [now, *((time(k), interval(k)) for k in orders)], interval(0)
    first = (value(DURATION, 1), value(POSITION, 0))
    yield "duration", [now, first, *((time(k - 1), value(DURATION, k)) for k in range(2, 7))], value(DURATION, 0)
    yield "velocity", [now, *((value(VELOCITY, k), time(k - 1)) for k in orders)], value(VELOCITY, 0)


def slow_evaluate(train, heldout, encoding, down, up):
    models = {name: Slow(1 / encoding.n_classes[name]) for name in encoding.fields}
    register = Counter()
    for events in train:
        for at in range(1, len(events)):
            for name, contexts, symbol in slow_contexts(events, at):
                if name in models and (name == "beats" or events[at, BEATS] != encoding.stop):
                    models[name].learn(contexts, symbol)
        for pitch in events[1:-1, PITCH].tolist():
            register.update(p for p in range(pitch - down, pitch + up + 1) if 0 <= p < 128)
    escape = max(ESCAPE_WEIGHT * len(register), 1)
    total = {name: np.zeros(MAX_ORDER) for name in models}
    for events in heldout:
        for at in range(1, len(events)):
            for name, contexts, symbol in slow_contexts(events, at):
                if name in models and (name == "beats" or events[at, BEATS] != encoding.stop):
                    chance = (register[int(events[at, PITCH])] + escape / 128) / (register.total() + escape)
                    total[name] += models[name].price(contexts, symbol, chance if name == "pitch" else None)
    n_notes = sum(len(events) - 2 for events in heldout)
    return sum(np.minimum.accumulate(total[name]) for name in models) / n_notes


@pytest.mark.parametrize("encoding", [ENCODING, LOUD], ids=["quiet", "loud"])
def test_equals_the_formula_read_slowly(encoding):
    train, heldout = pieces(range(6), encoding), pieces(range(50, 53), encoding)
    found = bits(train, heldout, encoding, down=3, up=4)
    wanted = slow_evaluate(train, heldout, encoding, 3, 4)
    np.testing.assert_allclose([found["by_order"][str(order)] for order in range(1, 7)], wanted, rtol=1e-9)
    assert found["bits_per_note"] == min(found["by_order"].values()) == found["by_order"][str(found["order"])]


def test_without_training_every_class_is_as_likely():
    heldout = pieces([1])
    n_notes = len(heldout[0]) - 2
    sizes = ENCODING.n_classes
    per_note = sum(np.log2(sizes[field]) for field in ("beats", "step", "pitch", "duration"))
    wanted = per_note + np.log2(sizes["beats"]) / n_notes  # STOP costs its beats alone
    assert bits([], heldout)["bits_per_note"] == pytest.approx(wanted)


def test_without_heldout_notes_nothing_is_measured():
    nothing = {"bits_per_note": None, "order": None, "by_order": {}}
    silent = encode(tune(1)[:0], ENCODING, "4/4")
    assert bits(pieces([1]), []) == nothing
    assert bits(pieces([1]), [silent]) == nothing
    assert bits([silent], pieces([1]))["bits_per_note"] > 0


def test_music_of_one_figure_costs_next_to_nothing():
    notes = np.repeat(tune(1)[:1], 400)
    notes["onset_beat"] = np.arange(400)
    notes["beat_in_bar"] = np.arange(400) % 4
    notes["duration_beat"] = 1
    notes["pitch"] = 60 + np.array([0, 4, 7, 4])[np.arange(400) % 4]
    figure = encode(notes, ENCODING, "4/4")
    found = bits([figure] * 3, [figure])
    assert found["bits_per_note"] < 0.2
    assert found["by_order"]["1"] > 1.2 * found["bits_per_note"], (
        "one note of context leaves the turn of the figure open"
    )


def test_more_music_of_the_style_helps_and_another_style_helps_less():
    heldout = pieces(range(90, 94))
    few, many = bits(pieces(range(3)), heldout), bits(pieces(range(40)), heldout)
    assert many["bits_per_note"] < few["bits_per_note"] < bits([], heldout)["bits_per_note"]
    random = np.random.default_rng(0)
    noise = []
    for piece in pieces(range(40)):
        piece[1:-1, PITCH] = random.integers(30, 90, len(piece) - 2)
        noise.append(piece)
    assert many["bits_per_note"] < bits(noise, heldout)["bits_per_note"]


def test_a_transposed_copy_is_known_music():
    train = pieces(range(8))
    heldout = [transpose(train[3], 5, ENCODING)]
    strange = pieces([77])
    assert bits(train, heldout)["bits_per_note"] < 0.7 * bits(train, strange)["bits_per_note"]


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(6)))
def test_the_order_of_pieces_is_no_matter(order):
    train, heldout = pieces(range(6)), pieces(range(20, 23))
    shuffled = bits([train[index] for index in order], heldout[::-1])
    assert shuffled["bits_per_note"] == pytest.approx(bits(train, heldout)["bits_per_note"], rel=1e-12)


def test_chances_of_all_symbols_sum_to_one():
    random = np.random.default_rng(1)
    symbols = random.integers(0, 9, 200)
    contexts = baselines._mix(np.zeros(200, np.uint64), random.integers(0, 5, 200))
    shorter = random.dirichlet(np.ones(12))
    for context in (*range(5), 99):  # 99 was never seen
        asked = baselines._mix(np.zeros(12, np.uint64), np.full(12, context))
        chances = baselines._interpolate(contexts, symbols, asked, np.arange(12), shorter)
        assert chances.sum() == pytest.approx(1)
        assert (chances > 0).all()
    register = baselines._register(np.array([0, 60, 127]), 128, 5, 6)
    assert register.sum() == pytest.approx(1)
    assert register[55] > register[54] < register[66]
