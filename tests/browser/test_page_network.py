"""The page's network beside numpy's: the same answers, the same lots, the same pieces, event by event."""

import hashlib
import json
import re
import struct

import numpy as np
import pytest

from farm.catalog.model_file import open_model, pack_model
from farm.composing.player import Player, architecture
from farm.composing.sampling import compose
from farm.errors import IntegrityError
from farm.music.encoding import METRE, Encoding
from tests.browser.small_networks import COMPACT, random_network
from tests.browser.worker import Network, text

TINY = architecture(embedding=2, layers=[2], head=2)


@pytest.fixture
def network(page, pack):
    return Network(page, pack)


def test_hashes_are_those_of_hashlib(network):
    random = np.random.default_rng(0)
    for length in (0, 1, 55, 56, 63, 64, 65, 119, 120, 1000, 100_003):
        data = random.bytes(length)
        assert network.ask("sha256", data=text(data)) == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("seed", [0, 1, 7, 2**32 - 1, 2**32, 2**63, 2**64 + 5, 2**128 + 3, 10**30 - 1, 2**300 + 17])
def test_lots_are_those_of_numpy(network, seed):
    expected = np.random.Generator(np.random.PCG64(seed)).random(1000)
    assert network.ask("lots", seed=str(seed), count=1000) == expected.tolist()


def pieces(name, pack):
    """A model of the pack, as both open it."""
    data = (pack / name).read_bytes()
    model = open_model(data)
    return data, model, Player(model.architecture, model.encoding, model.weights)


def same(network, player, model, **settings):
    """Whether both compose the same events, endings and interventions."""
    metre = model.encoding.metre_class(model.card["composing"]["metre"])
    wanted = {"temperature": 1.0, "top_p": 0.95, **settings}
    (piece,) = compose(player, model.encoding, metre=metre, **wanted)
    seed, top_p = wanted.pop("seed"), wanted.pop("top_p")
    found = network.ask("compose", seed=str(seed), topP=top_p, metre=metre, **wanted)
    assert found["stopped"] == piece.stopped
    assert found["interventions"] == piece.interventions
    events = np.array(found["events"]).reshape(-1, 7)
    np.testing.assert_array_equal(events, piece.events[1:-1])
    return piece


@pytest.mark.parametrize("style", ["bach", "chopin", "night"])
def test_pieces_are_those_of_numpy(network, pack, style):
    data, model, player = pieces(f"{style}-1.farm.safetensors", pack)
    network.open(data)
    for seed in range(6):
        same(network, player, model, seed=seed, notes=120)
    same(network, player, model, seed=2**70, bars=9)
    same(network, player, model, seed=3, notes=100, temperature=10.0, top_p=1.0)
    same(network, player, model, seed=4, notes=1)
    same(network, player, model, seed=5, bars=1, temperature=0.4, top_p=0.5)


@pytest.mark.parametrize(
    ("kind", "likely"),
    [
        ("loop", {"beats": 1, "step": 0, "pitch": 60, "duration": 20}),
        ("cluster", {"beats": 0, "step": 0}),
        ("silence", {"beats": 60}),
    ],
)
def test_the_guard_steps_in_where_numpys_does(network, pack, kind, likely):
    _, model, _ = pieces("night-1.farm.safetensors", pack)
    weights = {name: values.copy() for name, values in model.weights.items()}
    for field, choice in likely.items():
        weights[f"{field}.out.bias"][choice] += 12
    network.open(pack_model(weights, model.architecture, model.encoding, model.card))
    player = Player(model.architecture, model.encoding, weights)
    found = [same(network, player, model, seed=seed, notes=200, temperature=0.4) for seed in range(2)]
    assert sum(piece.interventions[kind] for piece in found) > 0


@pytest.mark.parametrize(
    ("encoding", "precision"),
    [(Encoding(has_velocity=True), "float32"), (Encoding(grid=48), "float16"), (Encoding(), "int8")],
    ids=["float32", "float16", "int8"],
)
def test_logits_are_those_of_numpy_on_a_thousand_steps(network, encoding, precision):
    card = {"composing": {"metre": "4/4"}}
    data = pack_model(random_network(encoding, 3, COMPACT), COMPACT, encoding, card, precision)
    network.open(data)
    model = open_model(data)
    player = Player(model.architecture, encoding, model.weights)
    rows = random_events(encoding, 1000)
    found = network.ask("logits", rows=rows.tolist())
    state, worst = player.start(1), 0.0
    for at, row in enumerate(rows[:-1]):
        state = player.feed(state, row[None])
        expected = np.concatenate([player.logits(state, field, rows[at + 1][None])[0] for field in encoding.fields])
        worst = max(worst, float(np.abs(expected - found[at]).max()))
    assert len(found) == 1000
    assert worst < 1e-4


def random_events(encoding, count):
    """START and `count` events of every kind: chords, silences, notes struck again, all positions."""
    random = np.random.default_rng(5)
    rows = np.zeros((count + 1, 7), np.int16)
    rows[0] = encoding.start_row
    for column, field in enumerate(encoding.fields):
        rows[1:, column] = random.integers(0, encoding.n_classes[field] - (field == "beats"), count)
    chords = random.random(count) < 0.5
    rows[1:][chords, :2] = 0
    rows[1:, 5] = random.integers(0, 384, count)
    rows[:, METRE] = random.integers(0, len(encoding.metres))
    return rows


def test_draws_are_those_of_numpy_where_chances_are_equal_or_nothing(network):
    from farm.composing.drawing import draw

    random = np.random.default_rng(1)
    for case in range(60):
        size = int(random.integers(1, 40))
        logits = random.choice([-np.inf, -800.0, -1.0, 0.0, 0.0, 2.0], size).astype(np.float32)
        legal = random.random(size) < 0.7
        if not (legal & np.isfinite(logits)).any():
            continue
        chance, heat, top_p = (
            float(random.random()),
            float(random.choice([0.1, 1, 10])),
            float(random.choice([0.1, 0.95, 1])),
        )
        possible = np.where(legal, logits, -np.inf).astype(float)
        expected = draw(possible[None], np.array([chance]), np.array([heat]), top_p)[0][0]
        told = [float(value) if np.isfinite(value) else -3.4e38 for value in logits]
        found = network.ask("draw", logits=told, legal=legal.tolist(), chance=chance, heat=heat, topP=top_p)
        assert found == expected, case


def test_changed_headers_are_refused_where_python_refuses_them(network):
    """Headers with a few characters changed, whose own hash was mended, as a clever hand would."""
    random = np.random.default_rng(11)
    good = pack_model(random_network(Encoding(), 0, TINY), TINY, Encoding(), {"title": "x"}, "int8")
    length = struct.unpack_from("<Q", good)[0]
    header, body = good[8 : 8 + length].rstrip(), good[8 + length :]
    header = re.sub(rb'"sha256":"[0-9a-f]{64}"', b'"sha256":"' + b"0" * 64 + b'"', header)
    refused = 0
    for case in range(300):
        changed = bytearray(header)
        for _ in range(int(random.integers(1, 4))):
            at = int(random.integers(len(changed)))
            spare = b'"{}[],:0123456789-.eE\\ abcFI_'
            part = bytes(random.choice(list(spare), int(random.integers(0, 3))).astype(np.uint8))
            changed[at : at + int(random.integers(0, 3))] = part
        data = struct.pack("<Q", len(changed)) + bytes(changed) + body
        own = hashlib.sha256(data).hexdigest().encode()
        data = data.replace(b'"sha256":"' + b"0" * 64, b'"sha256":"' + own, 1)
        try:
            model = open_model(data)
            Player(model.architecture, model.encoding, model.weights)
            python = ""
        except IntegrityError as error:
            python = str(error)
        try:
            network.open(data)
            browser = ""
        except ValueError as error:
            browser = str(error)
        assert bool(python) == bool(browser), (case, python, browser, bytes(changed))
        refused += bool(python)
    assert 200 < refused < 300, "some changes, as of a title, do no harm"


def test_weights_that_do_not_belong_together_are_refused(network):
    encoding = Encoding()
    weights = random_network(encoding, 0, TINY)
    cases = [
        (
            {name: value for name, value in weights.items() if name != "step.out.bias"},
            TINY,
            "'step.out.bias' is missing",
        ),
        ({**weights, "odd": weights["input.bias"]}, TINY, "'odd' is not one of this network's"),
        ({**weights, "input.bias": np.zeros(3, np.float32)}, TINY, "'input.bias' has shape 3, expected 2"),
        (weights, {**TINY, "layers": []}, "expected 1 to 8 layers"),
        (weights, {**TINY, "head": 5000}, "a size is not from 1 to 4096"),
        (weights, {**TINY, "kind": "transformer"}, "not one this version knows"),
        (weights, {**TINY, "code": "x"}, "not one this version knows"),
    ]
    for changed, description, message in cases:
        with pytest.raises(ValueError, match=message):
            network.open(pack_model(changed, description, encoding, {}))
    for name, value in (("layers", [2.5]), ("embedding", True), ("head", "2"), ("layers", {"0": 2})):
        with pytest.raises(ValueError, match="get the file again"):
            network.open(pack_model(weights, json.loads(json.dumps({**TINY, name: value})), encoding, {}))
