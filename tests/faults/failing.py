"""Publishing on a disk that fails at one operation: what then is torn, lost or left."""

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from farm import layout, storage
from farm.catalog import publish as shelf
from farm.catalog.verify import verify
from farm.config import BASE
from farm.config_file import load_farm
from farm.errors import StorageError
from farm.scheduling.publishing import publish as publish_stage
from farm.scheduling.state import receipts_of
from farm.scheduling.survey import works_of
from farm.storage import Storage
from tests.faults.killing import Unkilled, copied, traced, wrong_with
from tests.faults.small_farm import differences, run, said, without
from tests.test_catalog import entry

ERRNOS = ("ENOSPC", "EIO", "EROFS")


class Failing:
    """A hook that counts the operations, and fails one of them, or with `for_good` all from there on."""

    def __init__(self, at: int = 0, name: str = "EIO", for_good: bool = False) -> None:
        self.operations: list[str] = []
        self._at, self._number, self._for_good = at, getattr(errno, name), for_good

    def __call__(self, operation: str, path: Path) -> None:
        self.operations.append(operation)
        count = len(self.operations)
        if self._at and (count == self._at or (self._for_good and count > self._at)):
            raise OSError(self._number, os.strerror(self._number), str(path))


@contextmanager
def hooked(hook: Failing) -> Iterator[Failing]:
    storage.hook = hook
    try:
        yield hook
    finally:
        storage.hook = None


def catalog_faults(folder: Path, for_good: bool = False) -> Iterator[tuple[str, list[str]]]:
    """Publish two models over two older ones, each operation failed in turn with each errno.

    Yields
    ------
    The operation with the errno, and what was wrong then, empty for nothing.
    """
    shelf.publish(Storage(folder / "before"), [entry("bach", 0), entry("folk", 1)], [])
    entries = [entry("bach", 2), entry("folk", 3)]
    yield from _each_failed(folder, lambda root: shelf.publish(Storage(root), entries, []), ERRNOS, for_good)


def stage_faults(judged: Path, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Publish the last of three styles as the farm does, samples and report included; the errnos take turns."""
    farm = copied(judged, folder / "farm")
    assert run(farm, "--styles", "vale,moor", fault=traced(farm)) == 0, said(farm)
    (farm / "artifacts").rename(folder / "before")

    def publish(root: Path) -> None:
        place = Storage(root)
        work = works_of(load_farm(farm / "corpora.yaml"), str(root), ["hill"])["hill"]
        publish_stage(work, receipts_of(place, "hill") | receipts_of(place, BASE), {})

    yield from _each_failed(folder, publish, ERRNOS, False, in_turn=True)


def full_disk(farm: Path, folder: Path, at: int, unkilled: Unkilled) -> list[str]:
    """Run a farm whose disk is full from the `at`-th operation on, then again with space; return what is wrong."""
    copied(farm, folder)
    code = run(folder, fault=traced(folder, stage="any", at=at, do="ENOSPC", for_good=True))
    told, problems = said(folder), []
    if code not in (1, 2) or "No space left on device; the disk is full" not in told or "Traceback" in told:
        problems.append(f"it ended with {code} and said {told[-2000:]!r}")
    if (code := run(folder, fault=traced(folder))) != 0:
        problems.append(f"with space it ended with {code}: {said(folder)[-2000:]}")
    return problems + wrong_with(folder, unkilled)


def _each_failed(
    folder: Path, publish: Callable[[Path], object], names: tuple[str, ...], for_good: bool, in_turn: bool = False
) -> Iterator[tuple[str, list[str]]]:
    before = folder / "before"
    shutil.copytree(before, folder / "well")
    with hooked(Failing()) as counting:
        publish(folder / "well")
    expected = _published(folder / "well")
    old = {key: _hash(before / key) for key in _chain(before)}
    for number, operation in enumerate(counting.operations, start=1):
        for name in [names[number % len(names)]] if in_turn else names:
            root = folder / "failed"
            shutil.copytree(before, root)
            problems = []
            with hooked(Failing(number, name, for_good)):
                try:
                    publish(root)
                    problems.append("it was not noticed")
                except StorageError:
                    pass
            problems += [f"{key} is another" for key, digest in old.items() if _hash(root / key) != digest]
            problems += [*verify(root), *(f"{path} is left" for path in root.rglob("*.tmp"))]
            if not for_good:
                publish(root)
                problems += differences(_published(root), expected)
            shutil.rmtree(root)
            yield f"{operation} {number}, {name}", problems


def _published(root: Path) -> dict:
    catalog = shelf.current(Storage(root)) or {}
    objects = {
        str(path.relative_to(root)): _hash(path) for path in (root / layout.OBJECTS).rglob("*") if path.is_file()
    }
    pages = {str(path.relative_to(root)): _hash(path) for path in (root / layout.SITE).rglob("*") if path.is_file()}
    return {"catalog": without(catalog, "previous_sha256"), "objects": objects, "pages": pages}


def _chain(root: Path) -> list[str]:
    """Return the keys of the catalogs that are there and of all model files."""
    catalog = root / layout.CATALOG
    files = [*catalog.glob("catalog-*.json"), *(path for path in catalog.rglob("objects/*/*") if path.is_file())]
    return [str(path.relative_to(root)) for path in files]


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "nothing"
