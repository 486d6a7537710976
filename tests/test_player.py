"""What the network is shown, and that numpy plays it exactly as Keras trains it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.composing.columns import ColumnsTimes
from farm.composing.player import Player, architecture, weight_shapes
from farm.errors import IntegrityError
from farm.music.encoding import (
    BEATS,
    COLUMN,
    DURATION,
    LONGEST_BAR_STEPS,
    METRE,
    N_COLUMNS,
    PITCH,
    POSITION,
    STEP,
    STEPS_PER_BEAT,
    VELOCITY,
    Encoding,
    encode,
    transpose,
)
from farm.music.features import ENDING, HELD, LONGEST_ENDING, N_TOLD, Features
from tests.small_music import shown, tune

PLAIN, LOUD = Encoding(), Encoding(has_velocity=True)


def events_of(seed: int, bars: int = 12, encoding: Encoding = PLAIN) -> np.ndarray:
    return encode(tune(seed, bars, velocity=encoding.has_velocity), encoding, "4/4")


def random_weights(description: dict, encoding: Encoding, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    shapes = weight_shapes(description, encoding)
    return {name: random.normal(0, 0.2, shape).astype(np.float32) for name, shape in shapes.items()}


def player_of(encoding: Encoding = PLAIN, **sizes) -> Player:
    description = architecture(**{"embedding": 12, "layers": [10, 10], "head": 9, **sizes})
    return Player(description, encoding, random_weights(description, encoding))


@st.composite
def any_events(draw):
    n = draw(st.integers(1, 30))

    def whole(top):
        return st.lists(st.integers(0, top), min_size=n, max_size=n)

    rows = np.zeros((n, N_COLUMNS), np.int16)
    for column, name in ((BEATS, "beats"), (STEP, "step"), (PITCH, "pitch"), (DURATION, "duration")):
        rows[:, column] = draw(whole(PLAIN.n_classes[name] - 1))
    rows[:, BEATS] = np.where(rows[:, BEATS] == PLAIN.stop, 0, rows[:, BEATS] * draw(st.sampled_from([0, 1])))
    rows[:, STEP] *= draw(st.sampled_from([0, 1]))
    rows[:, PITCH] //= draw(st.sampled_from([1, 16]))
    rows[:, POSITION] = draw(whole(LONGEST_BAR_STEPS - 1))
    rows[:, METRE] = draw(st.integers(0, len(PLAIN.metres) - 1))
    stop = np.zeros((draw(st.integers(0, 1)), N_COLUMNS), np.int16)
    stop[:, BEATS], stop[:, METRE] = PLAIN.stop, rows[0, METRE]
    return np.concatenate([PLAIN.start_row[None], rows, stop]).astype(np.int16)


@settings(max_examples=60, deadline=None)
@given(any_events())
def test_what_sounds_is_shown_as_counted_by_hand(events):
    features, lengths = Features(PLAIN), [*PLAIN.duration_steps, 0]
    told = features.told([events])[0]
    columns = features.columns(told, np.zeros(len(told), int))
    assert told.shape == (len(events), N_TOLD)
    at, sounding_until = 0, {}  # a pitch struck twice sounds until the later end
    for row, event in enumerate(events.tolist()):
        is_note = event[BEATS] < PLAIN.stop
        at += event[BEATS] * STEPS_PER_BEAT + event[STEP] if is_note else 0
        held = [int(sounding_until.get(pitch, 0) > at) for pitch in range(128)]
        start = features.starts["held"]
        assert columns[row, start : start + 128].tolist() == held
        if is_note:
            end = at + lengths[event[DURATION]]
            sounding_until[event[PITCH]] = max(end, sounding_until.get(event[PITCH], 0))
        soonest = min((end - at for end in sounding_until.values() if end > at), default=0)
        ending = min(-(-soonest // 4), LONGEST_ENDING)  # four steps are a twelfth
        assert columns[row, features.starts["ending"] :].argmax() == ending
        wanted = {"metre": event[METRE], "beats": event[BEATS], "step": event[STEP], "pitch": event[PITCH]}
        wanted |= {"position": event[POSITION] // 4, "phase": event[POSITION] % 4, "duration": event[DURATION]}
        wanted |= {"ending": ending}
        ones = [features.starts[block] + value for block, value in wanted.items()]
        assert sorted(np.flatnonzero(columns[row])) == sorted([*ones, *(start + np.flatnonzero(held))])


@settings(max_examples=40, deadline=None)
@given(st.lists(any_events(), max_size=4), st.integers(-127, 127))
def test_told_pieces_are_what_is_shown_step_by_step_transposed_too(pieces, semitones):
    features = Features(PLAIN)
    told = features.told(pieces)
    assert len(told) == len(pieces)
    for events, rows in zip(pieces, told, strict=True):
        assert (rows[:, :N_COLUMNS] == events).all()
        moved = transpose(events, semitones, PLAIN)
        distance = semitones if (moved != events).any() else 0
        columns = features.columns(rows, np.full(len(rows), distance))
        left = features.silence(1)
        for row, event in zip(columns, moved, strict=True):
            one, left = shown(features, left, event[None])
            assert (row == one[0]).all()
        anew = features.told([moved])[0]
        assert (columns == features.columns(anew, np.zeros(len(rows), int))).all()
        assert (anew[:, ENDING] == rows[:, ENDING]).all()
        bits = [np.unpackbits(np.ascontiguousarray(one[:, HELD]).view(np.uint8), axis=1) for one in (rows, anew)]
        assert (np.roll(bits[0], distance, axis=1) == bits[1]).all()


def test_events_moved_by_different_distances_do_not_touch_each_other():
    features, events = Features(LOUD), events_of(4, encoding=LOUD)
    told = features.told([events])[0]
    distances = np.arange(len(told)) % 5 - 2
    mixed = features.columns(told, distances)
    for distance in range(-2, 3):
        alone = features.columns(told, np.full(len(told), distance))
        assert (mixed[distances == distance] == alone[distances == distance]).all()
    assert (told == features.told([events])[0]).all(), "what is given stays as it was"


def test_columns_known_for_a_field_do_not_tell_it():
    features, rows = Features(LOUD), events_of(1, encoding=LOUD)[5:6]
    left = features.silence(1)
    for field, column in (("step", STEP), ("pitch", PITCH), ("duration", DURATION), ("velocity", VELOCITY)):
        other = rows.copy()
        other[:, column] = (other[:, column] + 1) % LOUD.n_classes[field]
        first, changed = shown(features, left, rows)[0], shown(features, left, other)[0]
        assert (first[:, : features.known(field)] == changed[:, : features.known(field)]).all()
        assert (first != changed).any()


@pytest.mark.parametrize("encoding", [PLAIN, LOUD])
def test_sums_of_rows_are_products_with_the_columns(encoding):
    features, events, random = Features(encoding), events_of(1, encoding=encoding), np.random.default_rng(0)
    left = features.silence(1)
    for event in events:
        before, (columns, left) = left, shown(features, left, event[None])
        held, ending = features.held(before, event[None]).astype(np.float32), features.follow(before, event[None])[1]
        for name in [*encoding.fields[1:], None]:
            n_known = features.known(name) if name else features.n_columns
            kernel = random.normal(size=(n_known, 7)).astype(np.float32)
            bias = random.normal(size=7).astype(np.float32)
            found = ColumnsTimes(features, kernel, bias)(event[None], held, None if name else ending)
            np.testing.assert_allclose(found, columns[:, :n_known] @ kernel + bias, atol=1e-5)


@pytest.mark.parametrize(("encoding", "layers"), [(PLAIN, [10, 10]), (LOUD, [14, 8])])
def test_numpy_plays_what_keras_trains(encoding, layers):
    from farm.training.network import Network

    description = architecture(embedding=12, layers=layers, head=9)
    weights = random_weights(description, encoding)
    events = np.concatenate([events_of(1, 48, encoding)[:-1], events_of(2, 10, encoding)[1:]])
    network, features = Network(description, encoding, dropout=0.2), Features(encoding)
    columns = features.columns(features.told([events])[0], np.zeros(len(events), int))[None]
    network(columns)
    for name, variable in network.weights_by_name().items():
        variable.assign(weights[name])
    trained = {field: np.array(logits)[0] for field, logits in network(columns).items()}

    player = Player(description, encoding, weights)
    state = player.start(1)
    assert len(events) > 300
    for step in range(len(events) - 1):
        state = player.feed(state, events[step : step + 1])
        for field in encoding.fields:
            played = player.logits(state, field, events[step + 1 : step + 2])[0]
            np.testing.assert_allclose(played, trained[field][step], atol=1e-4)


def test_pieces_side_by_side_do_not_touch_each_other():
    player, pieces = player_of(), [events_of(seed) for seed in (1, 2, 3)]
    rows = np.stack([piece[:40] for piece in pieces], axis=1)
    state = player.start(3)
    for row in rows:
        state = player.feed(state, row)
    for number, piece in enumerate(pieces):
        alone = player.start(1)
        for row in piece[:40]:
            alone = player.feed(alone, row[None])
        for field in PLAIN.fields:
            together = player.logits(state, field, rows[-1])[number]
            np.testing.assert_allclose(together, player.logits(alone, field, rows[-1, number][None])[0], atol=1e-5)


def test_a_state_can_be_gone_back_to():
    player, events = player_of(LOUD), events_of(3, encoding=LOUD)
    state = player.start(1)
    for row in events[:10]:
        state = player.feed(state, row[None])
    before = player.logits(state, "pitch", events[10][None])
    player.feed(state, events[10][None])
    np.testing.assert_array_equal(player.logits(state, "pitch", events[10][None]), before)


def test_a_field_sees_those_before_it_and_no_other():
    player, events = player_of(LOUD), events_of(3, encoding=LOUD)
    state = player.feed(player.start(1), events[:1])
    row = events[1:2]
    for place, field in enumerate(LOUD.fields):
        first = player.logits(state, field, row)
        for other_place, other in enumerate(LOUD.fields):
            changed = row.copy()
            changed[:, COLUMN[other]] = (changed[:, COLUMN[other]] + 3) % LOUD.n_classes[other]
            same = np.array_equal(first, player.logits(state, field, changed))
            assert same == (other_place >= place), (field, other)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"kind": "python"}, "kind"),
        ({"layers": "256"}, "layers"),
        ({"layers": []}, "layers"),
        ({"layers": [10, True]}, "True"),
        ({"embedding": 10**9}, "1000000000"),
        ({"head": 0}, "0"),
        ({"code": "import os"}, "code"),
    ],
)
def test_unknown_networks_are_refused_by_name(change, named):
    description = {**architecture(embedding=12, layers=[10, 10], head=9), **change}
    with pytest.raises(IntegrityError, match=named):
        Player(description, PLAIN, {})


def test_weights_that_do_not_fit_are_refused_by_name():
    description = architecture(embedding=12, layers=[10], head=9)
    good = random_weights(description, PLAIN)
    with pytest.raises(IntegrityError, match=r"'lstm1\.bias' is missing"):
        Player(description, PLAIN, {name: value for name, value in good.items() if name != "lstm1.bias"})
    with pytest.raises(IntegrityError, match="'extra' is not one of this network's"):
        Player(description, PLAIN, {**good, "extra": good["lstm1.bias"]})
    with pytest.raises(IntegrityError, match=r"'beats\.out\.bias' has shape \(3,\)"):
        Player(description, PLAIN, {**good, "beats.out.bias": np.zeros(3)})
