"""Many pages at once: made by several processes they are the same as by one, and a process that dies costs nothing."""

from concurrent.futures.process import BrokenProcessPool

import pytest
from small_site import all_pages, make_farm

from farm import layout
from farm.scheduling import publishing
from farm.website import style_files
from farm.website.write import write_site


@pytest.fixture
def alone(tmp_path):
    storage = make_farm(tmp_path / "alone")
    write_site(storage)
    return all_pages(storage)


def test_pages_made_by_several_processes_are_those_that_one_makes(alone, tmp_path, monkeypatch):
    storage = make_farm(tmp_path / "together")
    monkeypatch.setattr(style_files, "_FEW", 0)
    monkeypatch.setattr(style_files.os, "sched_getaffinity", lambda _: {0, 1})
    write_site(storage)
    assert all_pages(storage) == alone
    assert write_site(storage)["written"] == []


def test_a_process_that_dies_leaves_its_pages_to_the_one_that_asked(alone, tmp_path, monkeypatch):
    class Dying:
        def __init__(self, *_): ...

        def __enter__(self):
            return self

        def __exit__(self, *_): ...

        def map(self, make, orders):
            yield make(orders[0])
            raise BrokenProcessPool

    storage = make_farm(tmp_path / "dying")
    monkeypatch.setattr(style_files, "_FEW", 0)
    monkeypatch.setattr(style_files.os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(style_files, "ProcessPoolExecutor", Dying)
    write_site(storage)
    assert all_pages(storage) == alone


def test_the_end_of_a_run_brings_the_report_up_to_date_unless_nothing_was_done(tmp_path, monkeypatch):
    storage, written = make_farm(tmp_path), []
    catalog = storage.read_json(layout.catalog_numbered(1))
    monkeypatch.setattr(publishing, "current_catalog", lambda _: catalog)
    monkeypatch.setattr(publishing, "_write_site", lambda _, **told: written.append(told))
    monkeypatch.setattr(publishing, "measure_missing", lambda *_: False)
    publishing.finish(storage, {"reels": ("", "")}, did_any=False)
    assert written == [{}], "it was not there"
    storage.write_text(f"{layout.SITE}/index.html", "")
    publishing.finish(storage, {"reels": ("", "")}, did_any=False)
    assert written == [{}]
    publishing.finish(storage, {"reels": ("", "")}, did_any=True)
    assert written == [{}, {}], "nothing is at work any more, and styles that ended at once are all there"
