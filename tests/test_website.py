"""The report: built from a small farm of invented music, then read as a hostile or careless reader would."""

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_site import (
    HOSTILE,
    Reader,
    add_pieces,
    add_run,
    all_pages,
    check_inert,
    make_farm,
    model,
    page,
    publish,
    words,
)

from farm import layout
from farm.errors import StorageError
from farm.storage import Storage
from farm.website import figures, pianoroll, text
from farm.website.evidence import History, read_history, take_epochs
from farm.website.index_rows import bits_bar
from farm.website.origin import flatten
from farm.website.shared_files import static_files
from farm.website.wording import human, is_fit, page_name
from farm.website.write import write_site


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Storage:
    storage = make_farm(tmp_path_factory.mktemp("farm") / "artifacts")
    write_site(storage)
    return storage


# The whole site.


def test_every_style_has_a_page_and_the_index_leads_to_it(farm: Storage) -> None:
    links = Reader(page(farm, "index.html")).values("href")
    for style in ("chorales", "reels", "nocturnes", "own"):
        assert f"styles/{style}.html" in links
        assert farm.exists(f"{layout.SITE}/styles/{style}.html")


def test_pages_are_well_formed_and_every_local_link_leads_to_a_file_or_a_place(farm: Storage) -> None:
    for key, html in all_pages(farm).items():
        reader = Reader(html)
        assert reader.open == [], key
        assert len(reader.values("id")) == len(set(reader.values("id"))), f"{key}: an id stands twice"
        for link in reader.values("href") + reader.values("src"):
            if link.startswith("#"):
                assert link[1:] in reader.values("id"), f"{key}: {link}"
            elif not link.startswith("https://"):
                link = link.partition("#")[0]  # the comparing page knows what the rest says
                assert (Path(farm.address(key)).parent / link).resolve().is_file(), f"{key}: {link}"


def test_nothing_is_loaded_from_outside_and_nothing_runs_inline(farm: Storage) -> None:
    for key, html in all_pages(farm).items():
        for tag, attributes in Reader(html).tags:
            loaded = attributes.get("src") or (attributes.get("href") if tag in ("link", "image", "use") else "") or ""
            assert "//" not in loaded, f"{key}: {tag} loads {loaded}"
            assert not [name for name in attributes if name.startswith("on")], key
            assert "style" not in attributes, f"{key}: the content policy refuses style attributes"
            assert tag != "style", key
            if tag == "script":
                assert attributes.get("src") or attributes.get("type") == "application/json", key
        assert "default-src 'none'" in html
        assert "unsafe" not in html
    for name in static_files():
        if name == "icon.svg":
            continue
        assert not re.search(r"https?://|fetch\(|import |eval|innerHTML|@import|url\(", page(farm, f"static/{name}"))


def test_links_outward_are_only_those_of_the_sources(farm: Storage) -> None:
    outward = [link for html in all_pages(farm).values() for link in Reader(html).values("href") if "//" in link]
    assert set(outward) == {"https://example.org/tunes"}


def test_the_same_farm_gives_the_same_bytes(farm: Storage, tmp_path: Path) -> None:
    again = make_farm(tmp_path / "elsewhere")
    write_site(again)
    assert all_pages(again) == all_pages(farm)


def test_a_page_is_rewritten_only_when_it_changes_and_a_stale_one_goes(tmp_path: Path) -> None:
    storage = make_farm(tmp_path)
    assert f"{layout.SITE}/index.html" in write_site(storage)["written"]
    assert write_site(storage) == {"index": str(tmp_path / "site/index.html"), "pages": 5, "written": [], "removed": []}

    catalog = storage.read_json(layout.catalog_numbered(1))
    catalog["models"][1]["status"] = "rejected"
    publish(storage, 2, catalog["models"], [])
    done = write_site(storage)
    assert done["removed"] == [f"{layout.SITE}/styles/own.html"]
    # The neighbour of the style that went loses its link; the one that no change touches stays as it is.
    assert set(done["written"]) == {
        f"{layout.SITE}/{name}" for name in ("index.html", "styles/reels.html", "styles/nocturnes.html")
    }


def test_before_anything_is_published_the_index_says_how_to_begin(tmp_path: Path) -> None:
    assert write_site(Storage(tmp_path))["pages"] == 1
    assert "farm run corpora.yaml" in page(Storage(tmp_path), "index.html")


@pytest.mark.parametrize("current", ["", "../../etc/passwd", "catalog-9.json"])
def test_a_catalog_that_cannot_be_read_is_said_and_the_old_site_stays(tmp_path: Path, current: str) -> None:
    storage = make_farm(tmp_path)
    write_site(storage)
    before = all_pages(storage)
    storage.write_text(layout.CURRENT, current)
    with pytest.raises(StorageError, match=r"CURRENT|catalog-9"):
        write_site(storage)
    assert all_pages(storage) == before


# What the pages say.


def test_the_index_shows_what_decides_and_what_to_do(farm: Storage) -> None:
    told = words(page(farm, "index.html"))
    assert "1 model waits for your ears" in told
    assert 'farm approve chorales --why "what you heard"' in told
    assert "none of its 3 files could be read" in told
    assert "of 40" in told
    assert "3.1 % people 4.2 %" in told
    assert "1.14 MB" in told
    assert re.search(r"Pieces rejected 6\b", told)
    assert "Time, all models: reading to judging 12 min 33 s" in told


def test_a_style_page_holds_the_pick_its_neighbours_in_time_and_what_it_copied(farm: Storage) -> None:
    html = page(farm, "styles/chorales.html")
    told = words(html)
    places = [
        told.index(f"{name} epoch {epoch}") for name, epoch in (("The pick", 22), ("Too early", 1), ("Later", 40))
    ]
    assert places == sorted(places)
    assert "as in tunes/number-3.mid, bar 12" in told
    assert "picked: epoch 22" in told
    assert "the file is HTML" in told
    assert "leapt up at epoch 4 and came back" in told
    assert "something-new" in told
    assert re.search(r"2 loops 3.3 0.7 0.002 8 good", told)
    assert html.count('class="sample"') == 1 + 1 + 4 + 1  # that of the slider first
    sounds = json.loads(re.search(r'id="samples">(.*?)</script>', html)[1])
    assert len(sounds) == 1 + 4 + 1
    assert sounds[0]["bpm"] == 96
    assert len(sounds[0]["notes"]) == 200
    assert f"../../{layout.sample_midi('chorales', '1f2e', 4)}" in html


def test_an_unfit_style_says_so_and_offers_no_approval(farm: Storage) -> None:
    told = words(page(farm, "styles/nocturnes.html"))
    assert "blew up" in told
    assert "breaks at 12" in told
    assert "Nothing was picked" in told
    assert "farm approve nocturnes" not in page(farm, "index.html")


def test_a_failed_style_has_a_page_with_its_message_and_its_rejected_files(farm: Storage) -> None:
    told = words(page(farm, "styles/own.html"))
    assert "none of its 3 files could be read" in told
    assert "None of 3 files was read: 3 rejected." in told
    assert "Picked epoch" not in told


def test_a_failed_run_of_a_published_style_keeps_the_old_model_on_the_page(tmp_path: Path) -> None:
    storage = make_farm(tmp_path)
    catalog = storage.read_json(layout.catalog_numbered(1))
    publish(storage, 2, catalog["models"], [{"style": "reels", "stage": "train", "message": "reels: disk full"}])
    write_site(storage)
    told = words(page(storage, "styles/reels.html"))
    assert "disk full" in told
    assert "from the run before" in told
    assert "Picked epoch" in told


def test_a_single_epoch_and_missing_files_still_make_pages(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    add_run(storage, "short", "r1", 1, [])
    models = [model(storage, "short", "r1"), {"style": "bare"}, model(storage, "nothing", "gone")]
    publish(storage, 1, models, [{}])
    write_site(storage)
    for name in ("index", "styles/short", "styles/bare", "styles/nothing"):
        assert Reader(page(storage, f"{name}.html")).open == []
    assert "No samples were kept" in page(storage, "styles/short.html")
    assert "<svg role" in page(storage, "styles/short.html")
    assert "How it learned" not in page(storage, "styles/nothing.html")


def test_a_spoilt_file_costs_its_paragraph_only(tmp_path: Path) -> None:
    storage = make_farm(tmp_path)
    storage.write_text(layout.sample_notes("chorales", "1f2e", 40), "{torn")
    storage.write_json(layout.sample_notes("chorales", "1f2e", 1), {"samples": [{"notes": [[0, 1, 300, 80]]}]})
    storage.write_text(layout.pieces("chorales"), "not parquet")
    write_site(storage)
    told = words(page(storage, "styles/chorales.html"))
    assert "samples of epoch 40" in told
    assert "outside the range of MIDI" in told
    assert "pieces table: cannot be read" in told
    assert "The pick" in told


# Hostile input.


def poison(value: Any) -> Any:
    if isinstance(value, dict):
        return {f"{key}{HOSTILE}" if key == "seed" else key: poison(part) for key, part in value.items()}
    return [poison(part) for part in value] if isinstance(value, list) else HOSTILE if isinstance(value, str) else value


def test_hostile_names_are_inert_and_seen(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    add_run(storage, "plain", "r1", 3, [1, 2])
    add_pieces(storage, "plain", {"read": 3, "rejected": 2}, path=f"{HOSTILE}{{}}")
    take = storage.read_json(layout.sample_notes("plain", "r1", 2))
    storage.write_json(layout.sample_notes("plain", "r1", 2), take | {"metre": HOSTILE})
    decided = [{"time": HOSTILE, "status": HOSTILE, "why": HOSTILE, "epoch": HOSTILE}]
    wicked = poison(model(storage, "plain", "r1", decisions=decided)) | {"style": "plain", "run": "r1"}
    failures = [{"style": HOSTILE, "stage": HOSTILE, "message": HOSTILE}, {"style": "../../up", "message": "\ud800"}]
    publish(storage, 1, [wicked], [])
    catalog = {"number": 1, "generated_by": {HOSTILE: HOSTILE}, "models": [wicked], "failures": failures}
    storage.write_bytes(layout.catalog_numbered(1), json.dumps(catalog).encode())
    write_site(storage)
    pages = all_pages(storage)
    assert len(pages) == 4
    for key, html in pages.items():
        reader = Reader(html)
        check_inert(html, key)
        assert not [
            attrs for tag, attrs in reader.tags if tag == "script" and attrs.keys().isdisjoint(("src", "type"))
        ], key
        assert "⟨U+202E⟩" in html or "up" in html, key
        links = [link for link in reader.values("href") if not link.startswith("../compare.html#a=%3Cscript")]
        assert not [link for link in links if "script" in link], key


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "https://good.example@evil.example/",
        "//evil.example",
        "https://",
        "http://[",
        "ftp://a/b",
        7,
    ],
)
def test_an_address_that_is_not_plainly_of_the_web_is_no_link(url: object) -> None:
    assert text.web_link(url) is None


@pytest.mark.parametrize(
    "key", ["/etc/passwd", "../x", "a//b", "a/../b", "C:/x", "javascript:alert(1)", "a\\b", "", None]
)
def test_a_key_that_leaves_the_folder_is_no_link(key: object) -> None:
    assert text.file_link(key, 2) is None


@given(
    st.recursive(st.none() | st.integers() | st.text(), lambda part: st.lists(part) | st.dictionaries(st.text(), part))
)
def test_data_in_a_script_element_comes_back_whole_and_cannot_close_it(value: Any) -> None:
    written = text.script_data(value)
    assert json.loads(written) == value
    assert not set("<>&\u2028") & set(written)


@given(st.text(alphabet=st.characters()))
def test_visible_text_can_be_written_and_hides_nothing(name: str) -> None:
    shown = text.visible(name)
    shown.encode()
    assert all(char.isprintable() or char.isspace() for char in shown)
    assert text.visible(shown) == shown


# The parts.


def test_take_epochs_are_the_earliest_the_pick_and_the_last() -> None:
    assert take_epochs((1, 5, 9, 30), 9) == [1, 9, 30]
    assert take_epochs((1, 5, 9, 30), 11) == [1, 9, 30]
    assert take_epochs((4,), 4) == [4]
    assert take_epochs((1, 5, 9), None) == [1, 5, 9]
    assert take_epochs((), 3) == []


def test_the_last_line_of_an_epoch_counts_and_nats_stand_in_for_bits() -> None:
    lines: list[dict[str, Any]] = [
        {"epoch": 2, "loss": 1.0},
        {"epoch": 1, "bits_per_note": 9},
        {"epoch": 2, "loss": math.log(2), "val_loss": None},
        {"loss": 3},
    ]
    history = read_history(lines)
    assert history.epochs == (1, 2)
    assert history.bits == (9.0, pytest.approx(1.0))
    assert math.isnan(history.heldout_bits[1])


def test_a_blow_up_does_not_press_the_curve_flat() -> None:
    low, high = figures.bits_range([[9.0, 6.0, 5.0, 4.8, 1e6, 1e9]], figures.Marks())
    assert low < 4.8
    assert high < 15


@pytest.mark.parametrize(
    ("history", "marks"),
    [
        (History((1,), (9.0,), (math.nan,), (math.nan,), (math.nan,)), figures.Marks(pick=1)),
        (History((1, 2), (math.nan, math.nan), (math.nan,) * 2, (math.nan,) * 2, (0.0, 0.0)), figures.Marks(blow_up=2)),
        (
            History((5, 7), (3.0, 3.0), (3.0, 3.0), (1.0, 1.0), (1.0, 1.0)),
            figures.Marks(9, 90, 20, 40, 50, 2, 3.0, (5,)),
        ),
    ],
)
def test_poor_curves_still_make_a_figure(history: History, marks: figures.Marks) -> None:
    svg = figures.curves(history, marks)
    assert svg.startswith("<svg")
    assert "nan" not in re.sub(r"[^\d. nan]", "", svg).split()
    assert svg == figures.curves(history, marks)


def test_no_epoch_gives_no_figure() -> None:
    assert figures.curves(History(), figures.Marks()) == ""


def test_the_roll_places_notes_by_time_and_pitch() -> None:
    svg = pianoroll.draw([(0.0, 1.0, 60, 127), (1.0, 2.0, 72, 10)], "3/4", "Try")
    scale = float(re.search(r'data-scale="([\d.]+)"', svg)[1])
    (low_x, low_y), (high_x, high_y) = [
        (float(x), int(y))
        for x, y in (re.search(rf'notes {band}" d="M([\d.]+) (\d+)h', svg).groups() for band in ("v3", "v0"))
    ]
    assert high_x - low_x == pytest.approx(scale, abs=0.1)
    assert low_y - high_y == 12 * pianoroll.SEMITONE
    assert "Try: 2 notes, C4 to C5" in svg


def test_an_empty_sample_gives_an_empty_roll() -> None:
    assert "0 notes" in pianoroll.draw([], "4/4", "Try")


def test_the_bar_is_in_proportion_and_never_leaves_its_box() -> None:
    assert 'width="50.0"' in bits_bar(4.0, None, 8.0)
    assert 'width="100.0"' in bits_bar(40.0, 80.0, 8.0)
    assert bits_bar(None, 5.0, 8.0) == ""


def test_the_level_of_people_may_be_a_number_or_a_pair() -> None:
    assert human(0.2) == 0.2
    assert human([0.2, 0.4]) == 0.2
    assert human([]) is None
    assert human(None) is None


def test_fitness_follows_the_verdict() -> None:
    assert is_fit({"epoch": 3, "verdict": "healthy"})
    assert not is_fit({"epoch": 3, "verdict": "healthy", "fit": False})
    assert not is_fit({"epoch": None, "verdict": "healthy", "fit": True})
    assert not is_fit({"epoch": 3, "verdict": "did-not-learn"})
    assert not is_fit({})


def test_page_names_are_never_paths() -> None:
    assert page_name("bach-2") == "bach-2.html"
    assert re.fullmatch(r"style-[0-9a-f]{16}\.html", page_name("../../index"))
    assert page_name("a/b") != page_name("a/c")


def test_nested_lineage_is_laid_flat_with_dotted_names() -> None:
    assert flatten({"a": {"b": [1, 2]}, "c": None, "d": list(range(20))}, "x") == [
        ("x.a.b", "1, 2"),
        ("x.c", text.MISSING),
        ("x.d", "20 values"),
    ]
