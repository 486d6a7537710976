"""Inputs that change while they are read: noticed, and nothing of them is published."""

import json

import pytest
import yaml

from farm.catalog.publish import current
from farm.config import Filters, Source
from farm.corpus.batching import make_batches
from farm.corpus.clean import clean_style
from farm.corpus.reading_batches import read_batch
from farm.corpus.sources import list_files
from farm.errors import StyleError
from farm.storage import Storage
from tests.faults.killing import traced
from tests.faults.small_farm import make_farm, run, said


def read_after(farm, change):
    """List a style's files, change something, read them."""
    files = list_files(Source(folder="music/hill"), farm)
    change(farm / "music" / "hill")
    storage = Storage(farm / "artifacts")
    for batch in make_batches(files):
        read_batch(batch, storage)
    return storage, lambda: clean_style("hill", files, storage, filters=Filters(), heldout_share=0.1, seed=1)


def rewrite(folder):
    (folder / "1.mid").write_bytes((folder / "2.mid").read_bytes())


def grow(folder):
    with (folder / "1.mid").open("ab") as file:
        file.write(b"\0")


@pytest.mark.parametrize("change", [rewrite, grow, lambda folder: (folder / "1.mid").unlink()])
def test_a_file_that_changed_or_went_fails_its_style_and_touches_no_table(tmp_path, change):
    farm = make_farm(tmp_path, {"hill": 3})
    storage, clean = read_after(farm, change)
    with pytest.raises(
        StyleError, match=r"hill: 1 of its 3 files changed or went while they were read \(1\.mid\); run"
    ):
        clean()
    assert not storage.path("pieces").exists()
    assert not storage.path("notes").exists()


def test_a_broken_file_is_no_changed_one(tmp_path):
    farm = make_farm(tmp_path, {"hill": 3})
    (farm / "music" / "hill" / "1.mid").write_bytes(b"MThd")
    _, clean = read_after(farm, lambda folder: None)
    assert clean()["rejected"] == 1


def test_a_run_over_changing_files_publishes_nothing_of_them_and_the_next_one_reads_them(tmp_path):
    farm = make_farm(tmp_path, {"hill": 5})
    changing = traced(farm, stage="ledger", at=1, do="touch", file=str(farm / "music" / "hill" / "3.mid"))
    assert run(farm, "--until", "publish", fault=changing) == 1
    assert "1 of its 5 files changed or went while they were read (3.mid)" in said(farm)
    catalog = current(Storage(farm / "artifacts"))
    assert catalog["models"] == []
    assert [(one["style"], one["stage"]) for one in catalog["failures"]] == [("hill", "read")]
    assert run(farm, "--until", "read") == 0
    (receipt,) = (farm / "artifacts").glob("ledger/receipts/read/hill.json")
    assert json.loads(receipt.read_text())["result"]["read"] == 5


def test_a_base_file_that_changes_during_a_run_is_noticed(tmp_path, monkeypatch):
    from farm.config import Recipe
    from farm.farm_config import Style
    from farm.scheduling import starts
    from farm.scheduling.work import Work

    style = Style.model_validate(yaml.safe_load("sources: [{folder: x}]"))
    work = Work("hill", style, Recipe(), 1, str(tmp_path), start="x.base.safetensors", file_digest="before")
    monkeypatch.setattr(starts, "open_base", lambda path: type("Base", (), {"digest": "after"}))
    with pytest.raises(StyleError, match=r"hill: x\.base\.safetensors changed during the run"):
        starts.opened(work)
