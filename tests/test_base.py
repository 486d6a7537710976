"""What a base hears and when it may stay; its file; copies of what it heard."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_music import tune

from farm.catalog.base_file import open_base, pack_base
from farm.catalog.rivals import Rival, choose
from farm.composing.player import architecture, weight_shapes
from farm.errors import FarmError, IntegrityError
from farm.music.encoding import Encoding
from farm.scheduling.hearing import (
    AKIN,
    HELD_OUT,
    OTHER_STYLE,
    TWICE,
    UNLICENSED,
    Heard,
    Now,
    Piece,
    base_is_stale,
    reasons_not_to_hear,
)
from farm.selection.figures import NOTES, Figures, hashes
from farm.selection.originality import Index
from farm.selection.tokens import VIEWS, tokens

LICENCES = {("bach", "s"): "CC0-1.0", ("folk", "s"): "CC0-1.0", ("folk", "t"): "unknown"}


def piece(name, family=0, heldout=False, content=None, source="s", cut=False):
    style, _, number = name.partition("/")
    return Piece(style, number, source, content or name, family, heldout, cut)


def left_out(pieces, hears=("bach", "folk"), licences=LICENCES):
    return reasons_not_to_hear(pieces, hears, licences)


def test_nothing_held_out_in_any_style_is_heard_nor_what_is_akin_to_it():
    pieces = [piece("bach/1", 1, True), piece("folk/1", 1), piece("bach/2", 2), piece("folk/2", 3)]
    assert left_out(pieces) == [HELD_OUT, AKIN, "", ""]
    assert left_out(pieces, hears=["folk"]) == [HELD_OUT, AKIN, OTHER_STYLE, ""]


def test_where_last_bars_are_held_out_nobody_else_plays_them():
    pieces = [piece("bach/1", 1, cut=True), piece("bach/2", 1, cut=True), piece("folk/1", 1), piece("folk/2", 2)]
    assert left_out(pieces) == ["", "", AKIN, ""]


def test_the_same_notes_are_heard_once_and_where_they_may_be():
    pieces = [
        piece("bach/1", 1, content="x", source="?"),
        piece("folk/1", 1, content="x"),
        piece("folk/2", 1, content="x"),
    ]
    assert left_out(pieces) == [UNLICENSED, "", TWICE]


def test_music_under_no_known_licence_is_heard_only_when_no_other_is_there():
    pieces = [piece("bach/1", 1), piece("folk/1", 2, source="t")]
    assert left_out(pieces) == ["", UNLICENSED]
    assert left_out(pieces, licences={}) == ["", ""]
    assert left_out(pieces[1:]) == [""]
    assert left_out([piece("bach/1", 1), piece("folk/1", 2, source="t")], hears=["folk"]) == [OTHER_STYLE, ""]


HEARD = Heard(
    "r", 1, "1", "all", False, {"bach/1": "x", "folk/1": "y"}, {("bach", "s"): "CC0-1.0", ("folk", "s"): "CC0-1.0"}
)
MUSIC = (piece("bach/1", 1, content="x"), piece("folk/1", 2, content="y"), piece("folk/9", 3, True))
NOW = Now("r", 1, "1", "all", False, ("bach", "folk"), MUSIC, LICENCES)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"pieces": (*MUSIC, piece("folk/7", 4), piece("new/1", 5))}, None),
        ({"pieces": MUSIC[1:]}, None),
        ({"licences": {**LICENCES, ("new", "s"): "unknown"}}, None),
        ({"recipe": "q"}, "its recipe changed"),
        ({"seed": 2}, "the seed changed"),
        ({"code": "2"}, "the farm's code changed"),
        ({"wish": "bach"}, "the list of styles changed"),
        ({"has_velocity": True}, "a style has velocities now, which the base does not know"),
        ({"licences": {("folk", "s"): "CC0-1.0"}}, "it heard the style bach, which was removed"),
        ({"licences": {**LICENCES, ("bach", "s"): "unknown"}}, "it heard s of bach, whose licence is unknown"),
        ({"licences": {("bach", "z"): "x", ("folk", "s"): "x"}}, "it heard s of bach, which was removed"),
        ({"licences": {source: "unknown" for source in LICENCES}}, None),
        (
            {"pieces": (*MUSIC, piece("folk/7", 1, True))},
            "it heard bach/1, akin to folk/7, which is held out now",
        ),
        (
            {"pieces": (*MUSIC[1:], piece("folk/7", 9, True, content="x"))},
            "it heard bach/1, which is held out now as folk/7",
        ),
        (
            {"pieces": (replace(MUSIC[0], is_heldout=True), MUSIC[1])},
            "it heard bach/1, which is held out now as bach/1",
        ),
    ],
)
def test_a_base_stays_until_it_heard_what_it_may_not(changes, reason):
    assert base_is_stale(HEARD, replace(NOW, **changes)) == reason


def test_a_piece_heard_without_its_last_bars_may_have_them_held_out():
    cut = replace(NOW, pieces=(replace(MUSIC[0], is_cut=True), *MUSIC[1:]))
    assert base_is_stale(replace(HEARD, cut=["bach/1"]), cut) is None


def test_a_base_that_heard_the_unknown_goes_when_a_licence_is_known_and_stays_when_all_are():
    heard = replace(HEARD, sources={("bach", "s"): "unknown", ("folk", "s"): "unknown"})
    one = {("bach", "s"): "CC0-1.0", ("folk", "s"): "unknown"}
    assert base_is_stale(heard, replace(NOW, licences=one)) == "it heard s of folk, whose licence is unknown"
    assert base_is_stale(heard, replace(NOW, licences={source: "CC0-1.0" for source in one})) is None


def test_a_corpus_beside_another_is_searched_like_one_corpus():
    music = {f"{number:02d}": tune(number, bars=30) for number in range(10)}
    whole = Index.build(music)
    first, second = dict(list(music.items())[:4]), dict(list(music.items())[4:])
    parts = replace(Index.build(first), beside=(Index.from_arrays(Index.build(second).to_arrays()),))
    for asked in (tune(99), np.concatenate([music["02"][:40], music["08"][60:120]]), music["07"][:25]):
        for family in ([], ["08", "02"]):
            found, expected = parts.measure(asked, family), whole.measure(asked, family)
            for name in ("known2", "known3"):  # what tells the style is looked for in its own music only
                assert found.pop(name) <= expected.pop(name)
            assert found == expected


def test_figures_find_a_copy_of_twelve_notes_and_none_of_eleven():
    music = [tune(number, bars=30) for number in range(10)]
    figures = Figures.build(music)
    for length in (NOTES - 1, NOTES, 30):
        stream = tokens(music[3][50 : 50 + length], "merged")
        found = figures.match(stream, "merged")
        assert found.max(initial=0) == (length - 1 if length >= NOTES else 0)
    for name in VIEWS:
        exact = Index.build(dict(enumerate_names(music))).views[name]
        for asked in (tune(77, 40), music[5][10:200]):
            stream = tokens(asked, name)
            lengths, _ = exact.match(stream, None)
            found = figures.match(stream, name)
            assert ((found > 0) == (lengths >= NOTES - 1)).all()
            assert (found[found > 0] >= lengths[found > 0]).all()


def enumerate_names(music):
    return ((str(number), notes) for number, notes in enumerate(music))


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 3), max_size=40))
def test_equal_figures_have_equal_hashes_and_others_do_not(stream):
    found = hashes(np.array(stream, np.int64))
    windows = [tuple(stream[at : at + NOTES - 1]) for at in range(len(stream) - NOTES + 2)]
    assert len(found) == len(windows)
    assert len(set(found.tolist())) == len(set(windows))


def test_a_copy_of_the_base_counts_and_is_named_where_nothing_at_hand_is_as_long():
    own, elsewhere = tune(1, bars=30), tune(2, bars=30)
    index = replace(Index.build({"own": own}), figures=Figures.build([elsewhere]))
    copied = index.measure(elsewhere[20:60])
    assert (copied["cov12"], copied["longest"]["piece"], copied["longest"]["bar"]) == (1.0, "the base", None)
    assert copied["lcs"] == 40
    both = index.measure(np.concatenate([own[:50], elsewhere[20:50]]))
    assert both["longest"]["piece"] == "own"
    assert Index.build({"own": own}).measure(elsewhere[20:60])["cov12"] < 1


ENCODING = Encoding()
SHAPE = architecture(embedding=8, layers=[8], head=8)
SOURCES = [{"style": "bach", "source": "folder: x", "licence": "CC0-1.0", "attribution": "Bach", "url": ""}]


def packed(**about):
    chance = np.random.default_rng(1)
    shapes = weight_shapes(SHAPE, ENCODING)
    weights = {name: chance.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    figures = Figures.build([tune(1)]).views
    return weights, figures, pack_base(weights, SHAPE, ENCODING, {"sources": SOURCES, **about}, figures)


def test_a_base_file_gives_back_what_was_put_in(tmp_path):
    weights, figures, data = packed(run="r", epoch=3)
    (tmp_path / "x.base.safetensors").write_bytes(data)
    base = open_base(tmp_path / "x.base.safetensors")
    assert (base.encoding, base.architecture, base.about["epoch"]) == (ENCODING, SHAPE, 3)
    assert all((base.weights[name] == values).all() for name, values in weights.items())
    assert all((base.figures[name] == values).all() for name, values in figures.items())
    assert packed(run="r", epoch=3)[2] == data


def test_a_damaged_base_file_is_refused(tmp_path):
    path = tmp_path / "x.base.safetensors"
    _, _, data = packed()
    for at in (5, 40, len(data) // 2, len(data) - 1):
        spoilt = bytearray(data)
        spoilt[at] ^= 1
        path.write_bytes(bytes(spoilt))
        with pytest.raises(IntegrityError, match="no whole base file"):
            open_base(path)
    path.write_bytes(packed(sources=[{"licence": "x"}])[2])
    with pytest.raises(IntegrityError, match="one of its sources"):
        open_base(path)
    path.unlink()
    with pytest.raises(FarmError, match="is missing or no base file"):
        open_base(path)


def rival(recipe, bits, fit=True, size=100, trouble="", kind="lstm"):
    return Rival(recipe, kind, fit, {"float32": 4 * size, "int8": size}, bits, trouble)


@pytest.mark.parametrize(
    ("rivals", "most", "recipe", "blamed"),
    [
        ([rival("a", 5.0), rival("b", 4.0)], None, "b", "5.00 bits a note on held-out music, b has 4.00 bits."),
        ([rival("a", 5.0), rival("b", 5.0)], None, "a", "5.00 bits"),
        ([rival("a", 5.0), rival("b", 4.0, fit=False)], None, "a", "Not fit, a is."),
        ([rival("a", 5.0), rival("b", 4.0, size=900)], 200, "a", "Its smallest file has 900 bytes, 200 are allowed."),
        ([rival("a", 5.0, size=800), rival("b", 4.0, size=900)], 200, "b", "5.00 bits"),
        ([rival("a", 5.0), rival("b", 4.0, trouble="it loops.")], None, "a", "Nothing to publish: it loops."),
        ([rival("a", 5.0), rival("b", 2.0, kind="other")], None, "a", "A network of another kind than a"),
        ([rival("a", 5.0, fit=False), rival("b", 2.0, kind="other")], None, "b", "Not fit, b is."),
    ],
)
def test_the_best_recipe_is_fit_then_small_enough_then_knows_most(rivals, most, recipe, blamed):
    choice = choose(rivals, most)
    assert choice.recipe == recipe
    assert choice.why[recipe].startswith("Published: ")
    (loser,) = [one.recipe for one in rivals if one.recipe != recipe]
    assert choice.why[loser].startswith(blamed)


def test_no_recipe_is_published_when_none_has_an_epoch():
    choice = choose([rival("a", 5.0, trouble="it loops.")], None)
    assert (choice.recipe, choice.why) == (None, {"a": "Nothing to publish: it loops."})
