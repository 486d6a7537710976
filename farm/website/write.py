"""Writes the report: a site that opens from a file manager, made only from files, whole page by whole page.

Conventions
-----------
`site/index.html`, `compare.html`, `heat.html`; `styles/` and `pictures/` by style; `data/` with the scripts of the
comparing page; `static/`. A page whose bytes would not change is not written again, and a style's page is not even made
again while what it is made of is the same. Pages of styles that are gone are deleted last, when the new index no longer
leads to them.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from farm import layout
from farm.storage import Storage
from farm.website.at_work import AtWork, read_at_work
from farm.website.compare_data import data_name, data_script, runs_of
from farm.website.compare_page import compare_page
from farm.website.evidence import Evidence, read_all, read_catalog
from farm.website.heat_page import heat_page, read_measured
from farm.website.index_page import index_page
from farm.website.shared_files import environment, static_files
from farm.website.style_files import FOLDERS, style_files
from farm.website.summary import read_attempts

_FOLDERS = ("static", "data", *FOLDERS)


def write_site(storage: Storage, *, is_at_work: bool = False) -> dict[str, Any]:
    """Bring the report up to date with the current catalog.

    Parameters
    ----------
    is_at_work
        Whether a farm is at work on it: the index then tells how far its styles are.

    Returns
    -------
    `index` (where the start page is), `pages` (how many the site has), `written` and `removed` (keys).
    Without a catalog the site is one page that says how to begin.

    Raises
    ------
    StorageError
        When the catalog cannot be read or the folder not written.
    """
    catalog = read_catalog(storage)
    styles = read_all(storage, catalog)
    at_work = read_at_work(storage) if is_at_work else None
    there, written = set[str](), []
    for files in _files(storage, catalog, styles, at_work):
        there |= files.keys()
        written += [key for key, data in files.items() if data is not None and _write_changed(storage, key, data)]
    stale = [key for folder in _FOLDERS for key in storage.list(f"{layout.SITE}/{folder}") if key not in there]
    for key in stale:
        storage.delete(key)
    start = storage.address(f"{layout.SITE}/index.html")
    return {"index": start, "pages": 1 + len(styles), "written": written, "removed": stale}


def _files(
    storage: Storage, catalog: dict[str, Any], styles: Sequence[Evidence], at_work: AtWork | None
) -> Iterator[Mapping[str, bytes | None]]:
    """Yield all files of the site by key, those that others lead to first; None for what stands as it is."""
    yield {f"{layout.SITE}/static/{name}": data for name, data in static_files().items()}
    yield from style_files(storage, styles)
    yield _comparing_files(storage, styles)
    yield _page("heat", heat_page(styles, read_measured(storage, styles)))
    yield _page("index", index_page(catalog, styles, at_work, read_attempts(storage)))


def _comparing_files(storage: Storage, styles: Sequence[Evidence]) -> dict[str, bytes]:
    """Return the page that compares, and a script for each style that has a run."""
    runs = [runs_of(storage, style) for style in styles]
    told = [(style, own) for style, own in zip(styles, runs, strict=True) if own]
    scripts = {f"{layout.SITE}/data/{data_name(style.style)}.js": data_script(style, own) for style, own in told}
    return scripts | _page("compare", compare_page(styles, runs))


def _page(name: str, page: Any) -> dict[str, bytes]:
    html = environment().get_template(f"{name}.html").render(page=page)
    return {f"{layout.SITE}/{name}.html": html.encode()}


def _write_changed(storage: Storage, key: str, data: bytes) -> bool:
    if storage.exists(key) and storage.read_bytes(key) == data:
        return False
    storage.write_bytes(key, data)
    return True
