"""The recipes of a style as its page shows them, and sources that only the base heard."""

from xml.etree import ElementTree

from farm.website.origin import source_view
from farm.website.recipes_section import recipes_section

ROWS = [
    {
        "recipe": "compact",
        "bytes": {"float32": 5_200_000, "int8": 1_400_000},
        "val_bits_per_note": 4.71,
        "epoch": 22,
        "verdict": "healthy",
        "fit": True,
        "seconds": 251.0,
        "chosen": True,
        "why": "Published: fit, with 4.71 bits a note on held-out music.",
    },
    {
        "recipe": "quick",
        "bytes": {"float32": 1_200_000, "int8": 350_000},
        "val_bits_per_note": 4.98,
        "epoch": 12,
        "verdict": "not-converged",
        "fit": False,
        "seconds": 60.0,
        "chosen": False,
        "why": "Not fit, compact is.",
    },
    {"recipe": "big <b>", "bytes": {}, "val_bits_per_note": None, "epoch": None, "verdict": "failed", "why": "no"},
]


def test_a_style_with_one_recipe_has_no_such_section():
    assert recipes_section({}) is None
    assert recipes_section({"recipes": ROWS[:1]}) is None


def test_every_recipe_has_a_row_and_the_published_one_stands_out():
    section = recipes_section({"recipes": ROWS})
    assert section.table.heads[:4] == ("Recipe", "Bits per note, held out", "float32", "int8")
    assert section.table.rows[0] == (
        *("compact", "4.71", "5.20 MB", "1.40 MB", "22", "healthy", "4 min 11 s"),
        "Published: fit, with 4.71 bits a note on held-out music.",
    )
    assert section.table.rows[2][1:7] == ("—", "—", "—", "—", "failed", "—")
    assert section.table.marked == (0,)
    assert section.chosen.startswith("compact: Published")


def test_size_against_bits_is_drawn_for_those_that_have_both():
    figure = recipes_section({"recipes": ROWS}).figure
    assert ElementTree.fromstring(figure).tag == "svg"
    assert "compact" in figure
    assert "quick" in figure
    assert "big" not in figure
    assert recipes_section({"recipes": [ROWS[0], ROWS[2]]}).figure == ""
    assert recipes_section({"recipes": ROWS}).figure == figure


def test_spoilt_rows_are_shown_as_missing():
    section = recipes_section({"recipes": [{"recipe": 7, "bytes": [], "seconds": "x"}, {"chosen": "yes"}, "no"]})
    assert [row[0] for row in section.table.rows] == ["7", "—"]
    assert section.table.marked == ()


def test_what_only_the_base_heard_is_told_apart():
    source = {"attribution": "Bach", "licence": "CC0-1.0", "url": "", "style": "bach"}
    assert source_view({**source, "from": "base"}).heard == "heard by the base, in the style bach"
    assert source_view(source).heard == ""
