"""Draws: what is drawn, when it is sure, and that no machine's rounding decides what is composed."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.composing.drawing import NOISE, draw
from farm.composing.player import Player, architecture, weight_shapes
from farm.composing.sampling import compose
from farm.errors import FarmError
from farm.music.encoding import Encoding

ENCODING = Encoding()


def network(numbers=np.float32):
    description = architecture(embedding=24, layers=[40, 40], head=16)
    random = np.random.default_rng(11)
    shapes = weight_shapes(description, ENCODING)
    weights = {name: random.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}
    return Player(description, ENCODING, weights, numbers)


def draw_one(logits, chance, heat=1.0, top_p=1.0):
    classes, sure = draw(np.array([logits], float), np.array([chance]), np.array([heat]), top_p)
    return int(classes[0]), bool(sure[0])


@pytest.mark.parametrize(
    ("logits", "chance", "heat", "top_p", "drawn", "sure"),
    [
        ([0, 0, 0, 0], 0.6, 1, 1, 2, True),
        ([0, 0, 0, 0], 0.5 + NOISE / 2, 1, 1, 2, False),
        ([0, 0, 0, 0], 0.5 - NOISE / 2, 1, 1, 1, False),
        ([-np.inf, 0, -np.inf], 0.5, 1, 1, 1, True),
        ([-np.inf, 0, -np.inf], 1 - 2**-53, 1, 1, 1, False),
        ([np.log(2), 0, 0], 0.4, 1, 1, 0, True),
        ([np.log(4), 0, 0], 0.55, 2, 1, 1, True),
        ([np.log(6), np.log(3), 0], 0.6, 1, 0.5, 0, True),
        ([np.log(6), np.log(3), 0], 0.6, 1, 0.7, 0, True),
        ([np.log(6), np.log(3), 0], 0.7, 1, 0.7, 1, True),
        ([np.log(6), np.log(3), 0], 0.7, 1, 0.6 - NOISE / 3, 0, False),  # or only the first is in, or both are
        ([np.log(6), np.log(3), 0], 0.2, 1, 0.6 - NOISE / 3, 0, True),
    ],
)
def test_what_a_number_falls_on(logits, chance, heat, top_p, drawn, sure):
    assert draw_one(logits, chance, heat, top_p) == (drawn, sure)


def test_answers_that_are_not_finite_are_told():
    for bad in ([np.nan, 0.0], [-np.inf, -np.inf], [np.inf, 0.0]):
        for n in (1, 3):
            with pytest.raises(FarmError, match="not finite"):
                draw(np.array([bad] * n), np.zeros(n), np.ones(n), 0.9)


cases = st.tuples(
    st.integers(0, 2**32 - 1),
    st.integers(1, 40),
    st.sampled_from([0.05, 0.5, 1.0, 4.0]),
    st.sampled_from([0.3, 0.95, 1]),
)


@given(cases)
@settings(max_examples=150, deadline=None)
def test_many_are_drawn_as_each_alone(case):
    seed, size, heat, top_p = case
    random = np.random.default_rng(seed)
    logits = random.choice([-np.inf, -3.0, 0.0, 1.0, 2.5], (50, size)) + random.choice([0, 1e-6, 1], (50, size))
    logits[:, 0] = 0.5
    chances, heats = random.random(50), heat * random.choice([1.0, 1.5], 50)
    drawn, sure = draw(logits, chances, heats, top_p)
    for row in range(50):
        one, one_sure = draw(logits[row : row + 1], chances[row : row + 1], heats[row : row + 1], top_p)
        assert (drawn[row], sure[row]) == (one[0], one_sure[0])


@given(cases)
@settings(max_examples=150, deadline=None)
def test_what_is_sure_is_drawn_with_other_roundings_too(case):
    """Logits off by what single precision does, near edges and cuts on purpose."""
    seed, size, heat, top_p = case
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (200, size)).round(int(random.integers(0, 6)))
    weights = np.exp(logits / heat)
    edges = weights.cumsum(axis=1) / weights.sum(axis=1, keepdims=True)
    chances = edges[np.arange(200), random.integers(0, size, 200)] + random.normal(0, 2 * NOISE, 200)
    chances = np.clip(np.where(random.random(200) < 0.5, random.random(200), chances), 0, 1 - 2**-53)
    cuts = np.sort(weights, axis=1)[:, ::-1].cumsum(axis=1)[0] / weights[0].sum()
    if top_p < 1:
        top_p = float(np.clip(cuts[random.integers(0, size)] + random.normal(0, NOISE), 0.01, 1))
    drawn, sure = draw(logits, chances, np.full(200, heat), top_p)
    for _ in range(4):
        noisy = logits + random.uniform(-NOISE, NOISE, logits.shape)
        other, _ = draw(noisy, chances, np.full(200, heat), top_p)
        assert (other == drawn)[sure].all()


def test_almost_all_draws_are_sure():
    random = np.random.default_rng(3)
    sure = draw(random.normal(0, 3, (20_000, 30)), random.random(20_000), np.ones(20_000), 0.95)[1]
    assert 0.998 < sure.mean() < 1


class Noisy(Player):
    """A network whose answers are off by more than single precision does, though by less than is reckoned with."""

    def logits(self, state, field, rows):
        found = super().logits(state, field, rows).astype(float)
        return found + self.random.uniform(-0.8 * NOISE, 0.8 * NOISE, found.shape)


@pytest.mark.parametrize("count", [1, 7])
def test_rounding_decides_nothing(count):
    exact = compose(network(np.float64), ENCODING, notes=150, seed=5, count=count)
    quick = network()
    assert [piece.events.tobytes() for piece in compose(quick, ENCODING, notes=150, seed=5, count=count)] == [
        piece.events.tobytes() for piece in exact
    ]
    noisy = Noisy(*quick._made_of)
    noisy.random = np.random.default_rng(1)
    unsure = Counting(noisy)
    for attempt in range(3):
        found = compose(noisy, ENCODING, notes=150, seed=5, count=count, temperature=0.05)
        assert [piece.events.tobytes() for piece in found] == [
            piece.events.tobytes()
            for piece in compose(network(np.float64), ENCODING, notes=150, seed=5, count=count, temperature=0.05)
        ], attempt
    assert unsure.asked > 0, "some draws were settled by exact answers"


class Counting:
    """Counts how often a network's exact twin is asked."""

    def __init__(self, player):
        self.asked, twin = 0, player.exact
        original = twin.logits

        def logits(*arguments):
            self.asked += 1
            return original(*arguments)

        twin.logits = logits


@pytest.mark.parametrize("count", [1, 5])
def test_settled_draws_follow_guard_and_primer(count):
    """With every draw unsure the piece is the exact network's, whatever else goes on."""
    exact, quick = network(np.float64), network()
    (primed,) = compose(exact, ENCODING, notes=20, seed=1)
    asked = {"seed": 3, "count": count, "bars": 6, "temperature": 1e-6, "primer": primed.events}
    found = compose(quick, ENCODING, **asked)
    expected = compose(exact, ENCODING, **asked)
    assert [piece.events.tobytes() for piece in found] == [piece.events.tobytes() for piece in expected]
    assert [piece.interventions for piece in found] == [piece.interventions for piece in expected]


COMPOSE = """\
import hashlib, sys
sys.path.insert(0, {root!r})
from tests.test_drawing import ENCODING, network
from farm.composing.sampling import compose
digest = hashlib.sha256()
for piece in compose(network(), ENCODING, notes=120, seed=1, count=24):
    digest.update(piece.events.tobytes())
print(digest.hexdigest())
"""


def test_other_processors_compose_the_same(request):
    """The kernels of other processors add up in another order; numpy's BLAS takes theirs when it is told to."""
    digests = set()
    for kind in ("", "Nehalem", "Haswell"):
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", **({"OPENBLAS_CORETYPE": kind} if kind else {})}
        program = COMPOSE.format(root=str(request.config.rootpath))
        done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        digests.add(done.stdout)
    assert len(digests) == 1
