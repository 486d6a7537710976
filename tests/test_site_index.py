"""The index of the report: every style in one table, at work or not, and what a farm of odd styles makes of it."""

import json
import re
from typing import Any

import pytest
from small_site import HOSTILE, Reader, add_pieces, add_run, check_inert, make_farm, model, page, publish, words

from farm import layout
from farm.storage import Storage
from farm.website import write
from farm.website.at_work import WAITS, describe
from farm.website.index_rows import shipped
from farm.website.summary import Attempts, read_attempts
from farm.website.write import write_site


@pytest.fixture(autouse=True)
def no_style_pages(monkeypatch):
    """These tests are about the other pages, which are made in a moment."""
    monkeypatch.setattr(write, "style_files", lambda *_: ())


def rows(html: str) -> list[str]:
    return [
        words(f"<table>{row}</table>")
        for row in re.findall(r"<tr role=\"row\">\s*<th scope=\"row\".*?</tr>", html, re.DOTALL)
    ]


def test_every_style_has_a_row_also_one_without_a_model(tmp_path):
    storage = make_farm(tmp_path)
    write_site(storage)
    found = rows(page(storage, "index.html"))
    assert len(found) == 4
    (own,) = [row for row in found if row.startswith("own")]
    assert "not finished" in own
    assert "stopped: read" in own


def test_the_words_to_choose_by_are_those_of_the_rows_each_once(tmp_path):
    storage = make_farm(tmp_path)
    write_site(storage)
    options = re.findall(r"<option>(.*?)</option>", page(storage, "index.html"))
    assert options == ["healthy", "blew up", "not finished", "approved", "candidate", "stopped: read"]


def test_the_version_that_ships_is_compared_with_where_there_is_one(tmp_path):
    storage = make_farm(tmp_path)
    write_site(storage)
    assert "Against what ships" not in page(storage, "index.html")
    compared = {"version": 3, "sha256": "ab", "comparable": True, "val_bits_per_note": 4.9, "delta_bits": -0.19}
    catalog = storage.read_json(layout.catalog_numbered(1))
    catalog["models"][0]["compared"] = compared | {"outcome": "better", "why": "fewer bits"}
    catalog["models"][1]["compared"] = None
    publish(storage, 2, catalog["models"], [])
    write_site(storage)
    told = words(page(storage, "index.html"))
    assert "better −0.19 bits against version 3" in told
    assert told.count("none ships") == 1


@pytest.mark.parametrize(
    ("compared", "word", "under"),
    [
        ({"outcome": "worse", "version": 1, "delta_bits": 0.4}, "worse", "+0.40 bits against version 1"),
        ({"outcome": "same", "version": 1, "delta_bits": 0.0}, "same", "+0.00 bits against version 1"),
        ({"outcome": "worse", "version": 1, "delta_bits": -0.4, "why": "it copies more"}, "worse", "it copies more"),
        ({"comparable": False, "outcome": "worse", "why": "it is not fit"}, "worse", "it is not fit"),
        ({"comparable": False, "outcome": "not comparable", "why": "other pieces"}, "not comparable", "other pieces"),
        ({"outcome": "not comparable", "version": 2}, "not comparable", "with version 2"),
        ({"outcome": HOSTILE}, "not comparable", "with the version that ships"),
        ({"outcome": "better", "delta_bits": None, "version": "x"}, "better", "against the version that ships"),
    ],
)
def test_a_comparison_is_told_in_a_word_and_half_a_sentence(compared: dict[str, Any], word: str, under: str) -> None:
    mark, told = shipped(compared)
    assert mark is not None
    assert (mark.word, told) == (word, under)


def test_no_comparison_is_no_mark() -> None:
    assert shipped({}) == (None, "")


# A farm at work.


def test_while_a_farm_is_at_work_the_index_has_the_finished_styles_and_how_far_the_others_are(tmp_path):
    storage = make_farm(tmp_path)
    training = {"stage": "train", "epoch": 5, "max_epochs": 60, "loss": 2.5, "val_bits_per_note": 3.5}
    storage.write_json(layout.progress("marches", "large"), {"style": "marches", "recipe": "large", **training})
    storage.write_json(layout.progress("reels", "compact"), {"style": "reels", "recipe": "compact", "stage": "judge"})
    storage.write_json(
        layout.progress("base", "compact"), {"style": "base", "recipe": "compact", **training, "stage": "base"}
    )
    storage.write_json(layout.progress("failed"), {"style": "failed", "recipe": "", "stage": "read", "failed": "oh"})
    storage.write_text(layout.progress("torn"), "{")
    add_pieces(storage, "waltzes", {"read": 3})
    write_site(storage, is_at_work=True)
    html = page(storage, "index.html")
    told, found = words(html), {row.split()[0]: row for row in rows(html)}
    assert "large: epoch 5 of 60, loss 2.500, held-out 3.50 bits a note" in found["marches"]
    assert "approved compact: judging" in found["Reels"]
    assert f"waiting {WAITS}" in found["waltzes"]
    assert "failed: oh" in found["failed"]
    assert "at work" not in found["Bach"], "it is finished"
    assert "2 styles finished, 4 at work or waiting" in told
    assert "The common base: compact: epoch 5 of 60" in told
    assert "could not be finished. Mend" not in told, "the run may still mend it"
    assert 'href="styles/marches.html"' not in html

    write_site(storage)
    assert "at work" not in words(page(storage, "index.html"))
    assert len(rows(page(storage, "index.html"))) == 4


def test_before_the_first_style_is_finished_the_index_says_to_wait(tmp_path):
    storage = Storage(tmp_path)
    add_pieces(storage, "waltzes", {"read": 3})
    write_site(storage, is_at_work=True)
    told = words(page(storage, "index.html"))
    assert "Wait: the farm is at work" in told
    assert "Nothing is published yet. Train" not in told


def test_a_stage_is_described_by_what_its_worker_told() -> None:
    assert describe({"stage": "read"}) == "reading"
    assert describe({"stage": "judge", "done": 3, "total": 9}) == "listening to snapshot 3 of 9"
    assert describe({"stage": "train"}) == "train"


# What the runs took.


def test_the_summary_has_time_attempts_and_rejects_with_their_reasons(tmp_path):
    storage = make_farm(tmp_path)
    line = {"style": "reels", "stage": "train", "recipe": "", "message": ""}
    for outcome, seconds in (("started", 0), ("failed", 30), ("started", 0), ("done", 90.5)):
        storage.append_json(layout.ATTEMPTS, {**line, "outcome": outcome, "seconds": seconds, "time": 1.7e9})
    write_site(storage)
    told = words(page(storage, "index.html"))
    assert "Time, all runs: every stage 2 min 0 s" in told
    assert "Stages tried 2, of which 1 failed" in told
    assert "Last stage ended 2023-11-14 22:13 UTC" in told
    assert "Rejected for no header 6" in told


def test_no_log_of_attempts_is_none(tmp_path):
    assert read_attempts(Storage(tmp_path)) == Attempts()


# Odd styles.


def test_ten_thousand_rejects_a_single_piece_and_a_single_epoch_are_told_in_few_words(tmp_path):
    storage = Storage(tmp_path)
    add_pieces(storage, "many", {"read": 1, "rejected": 10_000})
    add_run(storage, "many", "1f2e", 1, [1])
    add_run(storage, "long", "2a2a", 1, [1, 250, 500])
    lines = [json.dumps({"epoch": epoch, "val_bits_per_note": 5.0}) for epoch in range(1, 501)]
    storage.write_text(layout.metrics("long", "2a2a"), "\n".join(lines))
    one = model(storage, "many", "1f2e", verdict={"epoch": 1, "verdict": "healthy"})
    publish(storage, 1, [one, model(storage, "long", "2a2a")], [])
    write_site(storage)
    html = page(storage, "index.html")
    told = words(html)
    assert "1 of 1" in told
    assert "22 of 500" in told
    assert "Pieces rejected 10,000" in told
    assert len(html) < 20_000
    assert len(storage.read_bytes(f"{layout.SITE}/data/long.js")) < 100_000


def test_many_failures_do_not_bury_the_table(tmp_path):
    storage = Storage(tmp_path)
    failures = [{"style": f"s{number}", "stage": "read", "message": "no"} for number in range(40)]
    publish(storage, 1, [model(storage, "fine", "1f2e")], failures)
    write_site(storage)
    html = page(storage, "index.html")
    assert "37 more" in words(html)
    assert html.index("<summary>37 more") < html.index("</details>") < html.index('id="styles-table"')
    assert all(f"styles/s{number}.html" in Reader(html).values("href") for number in range(40))


def test_hostile_words_stand_in_the_table_and_run_nowhere(tmp_path):
    storage = Storage(tmp_path)
    odd = model(storage, "fine", "1f2e", title=HOSTILE, licence=HOSTILE, status=HOSTILE)
    odd["compared"] = {"outcome": "not comparable", "why": HOSTILE, "version": HOSTILE}
    odd["verdict"] |= {"verdict": HOSTILE}
    storage.write_json(layout.progress("x"), {"style": HOSTILE, "recipe": HOSTILE, "stage": HOSTILE})
    publish(storage, 1, [odd], [{"style": HOSTILE, "stage": HOSTILE, "message": HOSTILE}])
    write_site(storage, is_at_work=True)
    for name in ("index.html", "compare.html", "heat.html"):
        check_inert(page(storage, name), name)
    assert "⟨U+202E⟩" in page(storage, "index.html")
