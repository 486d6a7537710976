"""A disk that fails while a model is published: no torn catalog, the old one still valid. In full: `make faults`."""

from pathlib import Path

from tests.faults.failing import ERRNOS, catalog_faults


def test_no_failed_operation_tears_the_catalog_and_the_next_publishing_mends_all(tmp_path):
    found = list(catalog_faults(tmp_path))
    assert [told for told in found if told[1]] == []
    kinds = {told.split()[0] for told, _ in found}
    assert kinds == {"create", "write", "fsync", "rename"}  # of a file; "fsync folder" begins alike
    assert len(found) >= 20 * len(ERRNOS)


def test_nor_does_a_disk_that_stays_full(tmp_path: Path):
    found = list(catalog_faults(tmp_path, for_good=True))
    assert [told for told in found if told[1]] == []
