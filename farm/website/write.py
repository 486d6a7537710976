"""Writes the report: a site that opens from a file manager, made only from files, whole page by whole page.

Conventions
-----------
`site/index.html`, `site/styles/<style>.html`, `site/static/`. A page whose bytes would not change is not written
again; a style's page says what it was made of, and is not even made again while that is the same, for every style
that is published brings the whole site up to date. Pages of styles that are gone are deleted last, when the new
index no longer leads to them.
"""

import hashlib
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import jinja2

from farm import layout
from farm.composing.page_sound import PIANO, TONE, script
from farm.storage import Storage
from farm.website.at_work import read_at_work
from farm.website.compare_data import data_name, data_script, runs_of
from farm.website.compare_page import compare_page
from farm.website.evidence import Evidence, note_parts, read_all, read_catalog, with_notes
from farm.website.heat_page import heat_page, read_measured
from farm.website.index_page import index_page
from farm.website.style_page import style_page
from farm.website.summary import read_attempts
from farm.website.text import shown
from farm.website.wording import page_name, title_of

_FOLDERS = ("static", "styles", "data")


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
    templates = environment()
    pages = {f"{layout.SITE}/static/{name}": data for name, data in static_files().items()}
    makers = _makers()
    for index, style in enumerate(styles):
        beside = {way: styles[at] for way, at in (("prev", index - 1), ("next", index + 1)) if 0 <= at < len(styles)}
        key, midi = f"{layout.SITE}/styles/{page_name(style.style)}", _sample_midi(storage, style)
        made_of = _made_of(makers, style, midi, beside, note_parts(storage, style))
        standing = storage.read_bytes(key) if storage.exists(key) else b""
        if made_of.encode() in standing:
            pages[key] = standing
            continue
        page = style_page(with_notes(storage, style), midi, beside)
        pages[key] = templates.get_template("style.html").render(page=page, made_of=made_of).encode()
    start = index_page(catalog, styles, read_at_work(storage) if is_at_work else None, read_attempts(storage))
    pages[f"{layout.SITE}/index.html"] = templates.get_template("index.html").render(page=start).encode()
    runs = [runs_of(storage, style) for style in styles]
    told = [(style, own) for style, own in zip(styles, runs, strict=True) if own]
    pages |= {f"{layout.SITE}/data/{data_name(style.style)}.js": data_script(style, own) for style, own in told}
    html = templates.get_template("compare.html").render(page=compare_page(styles, runs))
    pages[f"{layout.SITE}/compare.html"] = html.encode()
    html = templates.get_template("heat.html").render(page=heat_page(styles, read_measured(storage, styles)))
    pages[f"{layout.SITE}/heat.html"] = html.encode()
    written = [key for key, data in pages.items() if _write_changed(storage, key, data)]
    stale = [key for folder in _FOLDERS for key in storage.list(f"{layout.SITE}/{folder}") if key not in pages]
    for key in stale:
        storage.delete(key)
    return {
        "index": storage.address(f"{layout.SITE}/index.html"),
        "pages": 1 + len(styles),
        "written": written,
        "removed": stale,
    }


def environment() -> jinja2.Environment:
    """Return the templates' environment: everything escaped, nothing invisible, no name left undefined."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("farm.website"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def static_files() -> dict[str, bytes]:
    """Return the files that every page shares, by name."""
    folder = files("farm.website").joinpath("static")
    own = {entry.name: entry.read_bytes() for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)}
    return own | {f"{name}.js": script(name).encode() for name in (TONE, PIANO)}


def _makers() -> str:
    """Return a digest of everything but the farm's own files that decides how a page looks."""
    digest = hashlib.sha256(f"matplotlib {version('matplotlib')}, jinja2 {version('jinja2')}".encode())
    for name, data in sorted(_sources(files("farm.website"))):
        digest.update(f"{name} {len(data)} ".encode() + data)
    return digest.hexdigest()


def _sources(folder: Traversable) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _sources(entry)
        elif entry.name.endswith((".py", ".html")):
            yield entry.name, entry.read_bytes()


def _made_of(
    makers: str, style: Evidence, midi: dict[int, str], beside: Mapping[str, Evidence], parts: list[str]
) -> str:
    """Return a digest of what a style's page is made of; the parts of its notes have their hash in their names."""
    named = [(way, title_of(other), page_name(other.style)) for way, other in beside.items()]
    return hashlib.sha256(repr((makers, style, midi, named, parts)).encode("utf-8", "surrogatepass")).hexdigest()


def _sample_midi(storage: Storage, style: Evidence) -> dict[int, str]:
    """Return the keys of the sample MIDI files that exist, by number from 1; only a published run has any."""
    run = str(style.model.get("run") or "")
    if not run:
        return {}
    longest = max((len(take.samples) for take in style.takes), default=0)
    keys = {number: layout.sample_midi(style.style, run, number) for number in range(1, longest + 1)}
    return {number: key for number, key in keys.items() if storage.exists(key)}


def _write_changed(storage: Storage, key: str, data: bytes) -> bool:
    if storage.exists(key) and storage.read_bytes(key) == data:
        return False
    storage.write_bytes(key, data)
    return True
