"""Pieces that are known by their seed stay what they are, however composing is made faster."""

import hashlib

import numpy as np
import pytest

from farm.composing.player import Player, architecture, weight_shapes
from farm.composing.sampling import compose
from farm.music.encoding import Encoding, encode
from tests.small_music import tune
from tests.test_composing import LOUD, Noise

PLAIN, FINE = Encoding(), Encoding(grid=48)
STUCK = {"beats": 1, "step": 0, "pitch": 60, "duration": 11}


def network(encoding, layers):
    description = architecture(embedding=24, layers=layers, head=16)
    random = np.random.default_rng(11)
    shapes = weight_shapes(description, encoding)
    return Player(description, encoding, {name: random.normal(0, 0.4, shape) for name, shape in shapes.items()})


PIECES = {
    "one": lambda: compose(Noise(stop=2.0), PLAIN, notes=120, seed=7),
    "many": lambda: compose(Noise(stop=2.7), PLAIN, notes=90, seed=40, count=6),
    "loud": lambda: compose(Noise(LOUD, stop=2.0), LOUD, notes=60, seed=3, count=2, temperature=0.7),
    "fine": lambda: compose(Noise(FINE, dense=True), FINE, notes=60, seed=3, top_p=1.0, temperature=3),
    "bars": lambda: compose(Noise(dense=True), PLAIN, bars=6, seed=5, count=3, metre=1),
    "free": lambda: compose(Noise(), PLAIN, bars=6, seed=5, count=3, metre=18),
    "primer": lambda: compose(Noise(), PLAIN, notes=40, seed=1, count=2, primer=encode(tune(3, bars=4), PLAIN, "4/4")),
    "greedy": lambda: compose(Noise(dense=True), PLAIN, notes=60, count=2, greedy=True),
    "guarded": lambda: compose(Noise(sure=STUCK), PLAIN, notes=150, count=2, seed=9),
    "silent": lambda: compose(Noise(sure={"beats": 12}), PLAIN, notes=60, count=2, seed=9),
    "clusters": lambda: compose(Noise(sure={"beats": 0, "step": 0}), PLAIN, notes=60, seed=9),
    "a network": lambda: compose(network(PLAIN, [20, 20]), PLAIN, notes=150, seed=2),
    "a loud network": lambda: compose(network(LOUD, [20, 12, 24]), LOUD, notes=60, seed=2, count=4),
    "a greedy network": lambda: compose(network(FINE, [16]), FINE, notes=80, greedy=True),
}
KNOWN = {
    "one": "3f90abec763a35ba",
    "many": "223e1fadeac2b996",
    "loud": "93ab77881445153f",
    "fine": "6bbed59de22154b1",
    "bars": "c90503cb143e14de",
    "free": "299c79da24b8beff",
    "primer": "a895d568bd5935b7",
    "greedy": "8f09b483f1c13336",
    "guarded": "a9a2c6a9a76d08b7",
    "silent": "d8693fa955ba9716",
    "clusters": "b863a4f60ac21e49",
    "a network": "036aeefef0c989bd",
    "a loud network": "d35ca2047dc5b917",
    "a greedy network": "c7cc2a33c1b74d9f",
}


@pytest.mark.parametrize("name", PIECES)
def test_equal_seeds_give_the_pieces_they_always_gave(name):
    digest = hashlib.sha256()
    for piece in PIECES[name]():
        digest.update(piece.events.astype("<i2").tobytes())
        digest.update(repr((piece.stopped, piece.primer_notes, sorted(piece.interventions.items()))).encode())
    assert digest.hexdigest()[:16] == KNOWN[name]
