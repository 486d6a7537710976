"""Many pages at once: made by several processes they are the same as by one, and a process that dies costs nothing."""

from concurrent.futures.process import BrokenProcessPool

import pytest
from small_site import all_pages, make_farm

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
