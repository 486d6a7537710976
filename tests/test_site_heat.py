"""Who knows whose music: what is measured, that nothing is measured twice, and what the page says of it."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from small_music import tune
from small_site import make_farm, page, words, write_pieces

from farm import layout
from farm.catalog.model_file import model_files
from farm.catalog.publish import current, publish
from farm.composing.player import Player
from farm.composing.scoring import bits_per_note
from farm.corpus import tables
from farm.music.encoding import BEATS, NOTE, Encoding, encode
from farm.scheduling import heat
from farm.storage import Storage
from farm.website import write
from farm.website.evidence import Evidence
from farm.website.heat_page import Measured, heat_page, read_measured
from farm.website.write import write_site
from tests.browser.small_networks import SMALL, random_network
from tests.test_catalog import entry


@pytest.fixture(autouse=True)
def no_style_pages(monkeypatch):
    """These tests are about the other pages, which are made in a moment."""
    monkeypatch.setattr(write, "style_files", lambda *_: ())


def write_music(storage, style, seed):
    """Write eight tunes, of which every fourth is held out; the first of those is long."""
    rows, lines = [], []
    for number in range(8):
        row = dict.fromkeys(tables.PIECES.names) | {"style": style, "piece_id": f"{number}", "state": "read"}
        row |= {"tempo_bpm": 100.0, "time_signature": "4/4", "time_base": "beats"}
        rows.append(row | {"split": "train" if number % 4 else "heldout"})
        for note in tune(seed + number, bars=8 if number else 90):
            line = dict.fromkeys(tables.NOTES.names, 0) | {"style": style, "piece_id": f"{number}", "is_drum": False}
            lines.append(line | {name: note[name].item() for name in note.dtype.names})
    write_pieces(storage, style, rows)
    part = tables.to_bytes(pa.Table.from_pylist(lines, tables.NOTES))
    storage.write_bytes(layout.notes_part(style, "0000"), part)


@pytest.fixture
def farm(tmp_path):
    """Two published styles with music: one of velocities, one without; both of an hour of nobody's training."""
    storage = Storage(tmp_path)
    entries = []
    for seed, style in enumerate(("airs", "bach")):
        write_music(storage, style, 10 * seed)
        encoding = Encoding(grid=12 * (seed + 1), has_velocity=seed == 0)
        files = model_files(random_network(encoding, seed, SMALL), SMALL, encoding, {"style": style})
        entries.append(entry(style, title=style.title(), files=files))
    publish(storage, entries, [])
    return storage


def models(storage):
    return (current(storage) or {})["models"]


def test_each_pair_is_measured_once(farm, monkeypatch):
    asked = []
    real = heat._bits
    monkeypatch.setattr(heat, "_bits", lambda *given: asked.append(given[-1].digest) or real(*given))
    heat.measure_style(farm, models(farm), "airs", 60)
    assert len(asked) == 3, "itself, the other's music, and the other on its music"
    heat.measure_style(farm, models(farm), "bach", 60)
    assert len(asked) == 4
    assert not heat.measure_missing(farm, models(farm), 60)
    assert len(asked) == 4
    farm.delete(layout.heat("bach"))
    assert heat.measure_missing(farm, models(farm), 60)
    assert len(asked) == 5


def test_a_new_model_is_asked_anew_and_what_concerns_the_old_one_is_forgotten(farm):
    assert heat.measure_missing(farm, models(farm), 60)
    before = heat.read_bits(farm, ["airs", "bach"])
    encoding = Encoding()
    files = model_files(random_network(encoding, 9, SMALL), SMALL, encoding, {"style": "bach"})
    publish(farm, [entry("bach", title="Bach", files=files)], [])
    assert heat.measure_missing(farm, models(farm), 60)
    after = heat.read_bits(farm, ["airs", "bach"])
    sha256 = models(farm)[1]["files"][0]["sha256"]
    assert len([pair for pair in after if pair[0] == sha256]) == 2
    assert {pair: bits for pair, bits in after.items() if pair in before}, "the other model keeps what it has"


def test_the_bits_are_those_of_the_scoring_of_whole_pieces_and_of_cut_ones(farm):
    heat.measure_style(farm, models(farm), "bach", 60)
    excerpt = heat.excerpt_of(farm, "bach")
    assert len(excerpt.events) == 2
    assert len(excerpt.events[0]) == heat.NOTES // 2 + 1, "a long piece is cut"
    assert excerpt.notes <= heat.NOTES
    assert excerpt.events[1][-1, BEATS] == Encoding().stop, "a short one has its end"
    encoding = Encoding(grid=24)
    player = Player(SMALL, encoding, random_network(encoding, 1, SMALL))
    silent = [heat._without_velocity(piece) for piece in excerpt.events]
    expected = bits_per_note(player, encoding, silent)
    model = models(farm)[1]["files"][0]["sha256"]
    assert heat.read_bits(farm, ["bach"])[model, excerpt.digest] == pytest.approx(expected, abs=1e-3)


def test_a_piece_that_is_cut_counts_its_notes_and_no_end():
    encoding = Encoding()
    player = Player(SMALL, encoding, random_network(encoding, 1, SMALL))
    notes = np.zeros(9, NOTE)
    notes["onset_beat"], notes["duration_beat"], notes["pitch"], notes["velocity"] = np.arange(9), 1, 60, 64
    whole = encode(notes, encoding, "4/4")
    cut = whole[:-1]
    assert cut[-1, BEATS] != encoding.stop
    one_by_one = [bits_per_note(player, encoding, [whole[:end]]) * (end - 1) for end in range(2, len(cut) + 1)]
    assert one_by_one == sorted(one_by_one), "every note adds to the bits"
    ends = bits_per_note(player, encoding, [whole]) * 9 - bits_per_note(player, encoding, [cut]) * 9
    assert ends > 0, "the end is one more thing to be surprised at"


def test_the_clock_leaves_the_rest_for_another_time(farm):
    heat.measure_style(farm, models(farm), "airs", -1)
    assert heat.read_bits(farm, ["airs"]) == {}
    assert heat.measure_missing(farm, models(farm), 60)
    assert len(heat.read_bits(farm, ["airs", "bach"])) == 4


def test_a_spoilt_model_file_costs_its_own_pairs(farm):
    farm.write_bytes(models(farm)[1]["files"][0]["path"], b"spoilt")
    heat.measure_missing(farm, models(farm), 60)
    found = heat.read_bits(farm, ["airs", "bach"])
    assert {model for model, _ in found} == {models(farm)[0]["files"][0]["sha256"]}


def test_a_model_of_other_classes_cannot_be_asked():
    encoding = replace(Encoding(), duration_steps=(1, 2, 3))
    player = Player(SMALL, encoding, random_network(encoding, 1, SMALL))
    assert heat._bits(player, encoding, heat.Excerpt("x", (), 0)) is None


def test_a_style_without_music_is_told_and_asked_nothing(farm):
    farm.delete(layout.pieces("bach"))
    heat.measure_missing(farm, models(farm), 60)
    assert farm.read_json(layout.heat("bach"))["notes"] == 0
    assert not heat.measure_missing(farm, models(farm), 60)
    write_site(farm)
    assert "no notes to ask about" in words(page(farm, "heat.html"))


# The page.


def style(name: str) -> Evidence:
    files = [{"sha256": f"sha of {name}", "path": "x"}]
    return Evidence(name, {"style": name, "title": name.title(), "files": files, "verdict": {}}, {})


def measured(**bits: dict[str, float | None]) -> Measured:
    """Return what was measured, given by music and model."""
    corpora = {name: (f"music of {name}", 3, 300) for name in bits}
    pairs = {
        (f"sha of {model}", f"music of {name}"): value for name, row in bits.items() for model, value in row.items()
    }
    return Measured(corpora, pairs)


def test_the_sentence_counts_who_knows_the_own_music_best_and_names_the_others():
    bits = measured(a={"a": 3.0, "b": 4.0, "c": 5.0}, b={"a": 2.5, "b": 2.6, "c": 9.0}, c={"a": 8, "b": 8, "c": 4})
    found = heat_page([style("a"), style("b"), style("c")], bits)
    assert found.sentence == "In 2 of 3 styles the own model knows its music best. The exceptions:"
    assert found.exceptions == ("B: the model of A knows it best, 2.50 bits a note against 2.60.",)
    assert [[cell.level for cell in line.cells] for line in found.lines] == [[0, 0, 6], [4, 1, 6], [5, 6, 0]]
    assert [cell.under for cell in found.lines[1].cells] == ["", "+0.10", ""]
    assert found.missing == ""


def test_all_of_them_and_none_of_them_are_sentences_too():
    both = measured(a={"a": 3.0, "b": 4.0}, b={"a": 4.0, "b": 3.0})
    assert heat_page([style("a"), style("b")], both).sentence == "In all 2 styles the own model knows its music best."
    assert "Nothing can be said yet" in heat_page([style("a")], measured(a={"a": 3.0})).sentence
    assert heat_page([], Measured({}, {})).lines == ()


def test_what_is_not_measured_or_cannot_be_has_no_colour_and_says_why():
    found = heat_page([style("a"), style("b"), style("c")], measured(a={"a": 3.0, "b": None, "c": 5.0}))
    cells = [line.cells[0] for line in found.lines]
    assert [(cell.text, cell.level, cell.under) for cell in cells] == [
        ("3.00", 0, "best"),
        ("—", -1, "other classes"),
        ("5.00", 5, ""),
    ]
    assert found.heads[1].under == "not measured yet"
    assert "7 pairs not measured yet" in found.missing


def test_files_that_are_none_count_as_not_measured(tmp_path):
    storage = make_farm(tmp_path)
    storage.write_text(layout.heat("chorales"), "{")
    storage.write_json(layout.heat("reels"), {"corpus": "x"})
    assert read_measured(storage, [style("chorales"), style("reels"), style("../x")]) == Measured({}, {})
    write_site(storage)
    assert "not measured yet" in words(page(storage, "heat.html"))
