"""What the comparing page is given: the scripts of the styles, and the runs that can be chosen."""

import json
import re

import pytest
from small_site import HOSTILE, add_run, make_farm, model, page, publish, words

from farm import layout
from farm.storage import Storage
from farm.website import write
from farm.website.compare_data import MOST_EPOCHS, MOST_NOTES, data_name
from farm.website.write import write_site


@pytest.fixture(autouse=True)
def no_style_pages(monkeypatch):
    """These tests are about the other pages, which are made in a moment."""
    monkeypatch.setattr(write, "style_files", lambda *_: ())


def told(storage, name):
    """Return the arguments of a style's script."""
    script = storage.read_bytes(f"{layout.SITE}/data/{name}.js").decode()
    found = re.fullmatch(r"compared\((\".*?\"), (\[.*\])\);\n", script)
    assert found, script[:200]
    return json.loads(found[1]), json.loads(found[2])


def choices(storage):
    select = page(storage, "compare.html").split('id="a"')[1].split("</select>")[0]
    return dict(re.findall(r'<option value="(.*?)">(.*?)</option>', select))


def test_a_style_tells_its_curve_its_measures_and_the_samples_of_its_pick(tmp_path):
    storage = make_farm(tmp_path)
    write_site(storage)
    name, (run,) = told(storage, "chorales")
    assert name == "chorales"
    assert (run["title"], run["recipe"], run["verdict"], run["epoch"]) == ("Bach chorales", "compact", "healthy", 22)
    assert len(run["epochs"]) == len(run["train"]) == len(run["heldout"]) == 40
    assert run["quality"]["bits"] == 4.71
    assert run["quality"]["copied_human"] == 0.042
    assert (run["take"]["epoch"], run["take"]["seed"], len(run["take"]["samples"])) == (22, 7, 4)
    assert len(run["take"]["samples"][0]["notes"]) == 200


def test_without_a_pick_the_last_samples_are_told_and_no_epoch(tmp_path):
    storage = make_farm(tmp_path)
    write_site(storage)
    _, (run,) = told(storage, "nocturnes")
    assert (run["epoch"], run["verdict"], run["take"]["epoch"]) == (None, "blew up", 30)


def test_an_epoch_that_a_person_chose_is_the_one_that_is_compared(tmp_path):
    storage = make_farm(tmp_path)
    catalog = storage.read_json(layout.catalog_numbered(1))
    catalog["models"][0]["verdict"]["overruled_by"] = {"epoch": 40, "picked": 22, "why": "liked better"}
    publish(storage, 2, catalog["models"], catalog["failures"])
    write_site(storage)
    _, (run,) = told(storage, "chorales")
    assert (run["epoch"], run["take"]["epoch"]) == (40, 40)


def test_a_style_that_was_never_trained_has_no_script_and_cannot_be_chosen(tmp_path):
    storage = make_farm(tmp_path)
    write_site(storage)
    assert choices(storage) == {"chorales": "Bach chorales", "nocturnes": "Nocturnes", "reels": "Reels"}
    assert not storage.exists(f"{layout.SITE}/data/own.js")


def test_the_recipes_of_a_style_can_be_compared(tmp_path):
    storage = make_farm(tmp_path)
    add_run(storage, "reels", "5e5e", 30, [4, 18])
    kept = storage.read_json(layout.sample_notes("reels", "5e5e", 18))
    kept["measures"] = {"cov12": 0.25, "loop_share": 0.125, "longest": {"notes": 33}}
    storage.write_json(layout.sample_notes("reels", "5e5e", 18), kept)
    verdict = {"epoch": 18, "verdict": "healthy", "fit": True, "human": {"cov12": [0.5, 1], "loop_share": [0.1, 1]}}
    storage.write_json(layout.verdict("reels", "5e5e"), verdict)
    storage.write_json(layout.baseline("reels", "5e5e"), {"bits_per_note": 5.5})
    rows = [
        {"recipe": "compact", "run": "2a2a", "chosen": True},
        {"recipe": "large", "run": "5e5e", "chosen": False, "epoch": 18, "val_bits_per_note": 4.4, "seconds": 9}
        | {"bytes": {"float32": 8, "int8": 2}},
        {"recipe": "gone", "run": "6f6f", "chosen": False},
        {"recipe": "bad", "run": "../../x", "chosen": False},
        {"recipe": "failed", "chosen": False},
    ]
    catalog = storage.read_json(layout.catalog_numbered(1))
    catalog["models"][1]["recipes"] = rows
    publish(storage, 2, catalog["models"], [])
    write_site(storage)
    assert choices(storage)["reels"] == "Reels, recipe compact"
    assert choices(storage)["reels~2"] == "Reels, recipe large"
    _, runs = told(storage, "reels")
    large = runs[1]
    assert len(runs) == 2
    assert (large["recipe"], large["epoch"], large["take"]["epoch"]) == ("large", 18, 18)
    assert large["quality"] == {
        **{"bits": 4.4, "ngram": 5.5, "copied": 0.25, "copied_human": 0.5, "repetition": 0.125, "bytes": 8},
        **{"repetition_human": 0.1, "longest": 33, "seconds": 9, "validity": None},
    }


def test_scripts_are_bounded_however_long_the_run(tmp_path):
    storage = Storage(tmp_path)
    add_run(storage, "long", "1f2e", 1, [1, 22])
    lines = [json.dumps({"epoch": epoch, "bits_per_note": 5.0}) for epoch in range(1, 3 * MOST_EPOCHS + 1)]
    storage.write_text(layout.metrics("long", "1f2e"), "\n".join(lines))
    take = storage.read_json(layout.sample_notes("long", "1f2e", 22))
    take["samples"] = [{"notes": [[0.5 * at, 1 / 3, 60, 80] for at in range(5000)], "stopped": False}] * 9
    storage.write_json(layout.sample_notes("long", "1f2e", 22), take)
    publish(storage, 1, [model(storage, "long", "1f2e")], [])
    write_site(storage)
    _, (run,) = told(storage, "long")
    assert len(run["epochs"]) == MOST_EPOCHS
    assert [len(sample["notes"]) for sample in run["take"]["samples"]] == [MOST_NOTES] * 4
    assert len(storage.read_bytes(f"{layout.SITE}/data/long.js")) < 100_000


def test_samples_that_are_missing_or_torn_leave_the_curve(tmp_path):
    storage = Storage(tmp_path)
    add_run(storage, "fine", "1f2e", 12, [])
    publish(storage, 1, [model(storage, "fine", "1f2e")], [])
    write_site(storage)
    _, (run,) = told(storage, "fine")
    assert run["take"] is None
    assert len(run["epochs"]) == 12


def test_hostile_words_cannot_leave_the_script(tmp_path):
    storage = make_farm(tmp_path)
    catalog = storage.read_json(layout.catalog_numbered(1))
    catalog["models"][0] |= {"title": HOSTILE, "lineage": {"recipe": HOSTILE}}
    catalog["models"][0]["verdict"] |= {"verdict": HOSTILE}
    publish(storage, 2, catalog["models"], [{"style": HOSTILE, "stage": "read", "message": "no"}])
    write_site(storage)
    script = storage.read_bytes(f"{layout.SITE}/data/chorales.js")
    assert not set(b"<>&\n") & set(script[:-1])
    _, (run,) = told(storage, "chorales")
    assert "\u202e" not in run["title"]
    assert "<script>" in run["title"], "it is set as text"
    assert re.fullmatch(r"style-[0-9a-f]{16}", data_name(HOSTILE))


def test_scripts_of_styles_that_are_gone_are_deleted(tmp_path):
    storage = make_farm(tmp_path)
    write_site(storage)
    catalog = storage.read_json(layout.catalog_numbered(1))
    publish(storage, 2, catalog["models"][:1], [])
    assert f"{layout.SITE}/data/reels.js" in write_site(storage)["removed"]


def test_without_a_run_the_page_says_what_trains_one(tmp_path):
    storage = Storage(tmp_path)
    write_site(storage)
    assert "nothing to compare yet" in words(page(storage, "compare.html"))
