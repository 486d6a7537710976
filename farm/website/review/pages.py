"""What the review's server may show: the site's own files by exact listing, with the review's controls in its pages.

Conventions
-----------
A key is shown only when it stands in the listing of the site or in the catalog in force; what a path looks like decides
nothing. The site's pages stay as they are on disk. As they are served, their content policy is a header instead, the
same one but that scripts may ask this server, and each page says which style it is of and which model it shows.
"""

import re
from importlib.resources import files
from typing import Any

from markupsafe import escape

from farm import layout
from farm.composing import page_sound
from farm.storage import Storage
from farm.website.evidence import read_catalog, records
from farm.website.index_page import index_page
from farm.website.shared_files import environment, static_files
from farm.website.text import shown
from farm.website.wording import message_lines, page_name, seen_of

INDEX = f"{layout.SITE}/index.html"
TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "svg": "image/svg+xml",
    "png": "image/png",
    "gif": "image/gif",
    "mid": "audio/midi",
}
_BINARY = "application/octet-stream"
_POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">\n?')
_HEAD_END = "</head>"


def policy() -> str:
    """Return the content policy of every answer: that of the site's pages, for a server's pages."""
    source, _, _ = environment().loader.get_source(environment(), "base.html")  # type: ignore[union-attr]
    found = _POLICY.search(source)
    assert found, "base.html has lost its content policy"
    own = found[1].replace(" file:", "")
    return f"{own}; connect-src 'self'; worker-src 'self'; frame-ancestors 'none'"


def find(storage: Storage, key: str) -> bytes | None:
    """Return the bytes of a file that may be shown, by its key; None for everything else.

    Of a farm without a report the start page says how to begin.
    """
    listed = storage.walk(layout.SITE)
    if key in listed:
        return storage.read_bytes(key)
    if INDEX not in listed and (data := _beginning().get(key)) is not None:
        return data
    catalog = read_catalog(storage)
    models = [*records(catalog.get("models")), *records(catalog.get("earlier"))]
    named = {file.get("path") for model in models for file in records(model.get("files"))}
    is_file = key in named and key.startswith(f"{layout.OBJECTS}/")
    if (is_file or key in _samples(storage, models, key)) and storage.exists(key):
        return storage.read_bytes(key)
    return None


def _samples(storage: Storage, models: list[dict[str, Any]], key: str) -> list[str]:
    """Return the keys of the MIDI files of that published run whose folder `key` lies in."""
    folders = {layout.samples(str(model.get("style")), str(model.get("run"))) for model in models}
    folder = key.rpartition("/")[0]
    return storage.list(folder, ".mid") if folder in folders else []


def _beginning() -> dict[str, bytes]:
    """Return a report of nothing yet, by key."""
    start = environment().get_template("index.html").render(page=index_page({}, []))
    return {INDEX: start.encode(), **{f"{layout.SITE}/static/{name}": data for name, data in static_files().items()}}


def type_of(key: str) -> str:
    return TYPES.get(key.rpartition(".")[2], _BINARY)


def with_controls(storage: Storage, key: str, page: bytes) -> bytes:
    """Return a page of the site with the review's controls; whose style it is of and what it shows stand in it."""
    text = _POLICY.sub("", page.decode(), count=1)
    catalog = read_catalog(storage)
    named = [str(one.get("style")) for kind in ("failures", "models") for one in records(catalog.get(kind))]
    style = {f"{layout.SITE}/styles/{page_name(style)}": style for style in named}.get(key, "")
    about = {"style": style, "seen": seen_of(catalog, style) if _is_of(catalog, style, text) else ""}
    told = "".join(f' data-{name}="{escape(value)}"' for name, value in about.items())
    ours = f'<link rel="stylesheet" href="/review/static/review.css">\n<meta name="farm-review"{told}>\n'
    ours += '<script src="/review/static/review.js" defer></script>\n'
    before, end, after = text.partition(_HEAD_END)
    return f"{before}{ours}{end}{after}".encode() if end else page


def _is_of(catalog: dict[str, Any], style: str, text: str) -> bool:
    """Return whether a page was made of this catalog: one made of an older or a newer one shows something else.

    The hash of the style's model stands in its page, and what a style without one failed of.
    """
    if any(model.get("style") == style for model in records(catalog.get("models"))):
        return seen_of(catalog, style) in text
    failure = next((one for one in records(catalog.get("failures")) if one.get("style") == style), {})
    return str(escape(shown(message_lines(failure)[0]))) in text


_PARTS = ("asking", "deciding", "composing", "progress", "review")


def own_files(roll: str) -> dict[str, bytes]:
    """Return the review's own scripts and style, by name.

    Parameters
    ----------
    roll
        The script that draws a piano-roll.

    The script of the pages is one, closed in itself: what it names is no other script's business.
    """
    folder = files("farm.website.review").joinpath("static")
    parts = {entry.name: entry.read_text(encoding="utf-8") for entry in folder.iterdir()}
    inside = "\n".join([page_sound.script(page_sound.PIANO), roll, *(parts[f"{name}.js"] for name in _PARTS)])
    script = f'"use strict";\n\n(function () {{\n{inside}}})();\n'
    tones = page_sound.script(page_sound.TONE) + parts["tones.js"]
    other = {"review.css": parts["review.css"], "enter.js": parts["enter.js"]}
    return {name: text.encode() for name, text in {"review.js": script, "tones.js": tones, **other}.items()}
