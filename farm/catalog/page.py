"""The browser page of a pack: one file that composes with the pack's models, without a server and without a network.

Conventions
-----------
`compose.html` holds everything but the models: style, scripts, and for the worker the text of the network. Its policy
lets it fetch nothing and run no script but its own, by hash, and, where models lie in scripts beside it
(`farm.catalog.page_script`), those. Which models those are stands in the page; for the others it asks the person. Every
model file is checked against the hash that stands there too. What comes from outside is data in the page, never markup.
"""

import base64
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from importlib.resources import files
from typing import Any

import jinja2

from farm.catalog.page_script import script_name
from farm.composing.page_sound import PIANO, TONE, script

PAGE = "compose.html"

_NETWORK = (
    *("sha256", "json", "container", "precision", "encoding", "features", "player"),
    *("lots", "draft", "guard", "sampling", TONE, "worker"),
)
"""The files of page/network, in the order in which the worker reads them; the piano is everybody's."""

_FACE = ("midi", "composer", "models", PIANO, "roll", "state", "styles", "wish", "piece", "page")
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#1d5c6b"/>'
    '<path fill="#f6f1e4" d="M6 20h5v4H6zM12 14h5v4h-5zM18 8h8v4h-8zM18 20h5v4h-5z"/></svg>'
)


def compose_page(models: Sequence[Mapping[str, Any]], inside: Collection[str]) -> bytes:
    """Return compose.html for the models as a pack's catalog.json holds them.

    Parameters
    ----------
    inside
        The styles whose model lies in a script beside the page.
    """
    style = _text("compose.css")
    face = _joined("face", _FACE)
    policy = {
        "default-src": "'none'",
        "script-src": " ".join([_hash(face), *(["'self'", "file:"] if inside else [])]),
        "style-src": _hash(style),
        "worker-src": "blob:",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=True, keep_trailing_newline=True)
    html = environment.from_string(_text("compose.html")).render(
        policy=jinja2.filters.Markup("; ".join(f"{key} {value}" for key, value in policy.items())),
        icon="data:image/svg+xml;base64," + base64.b64encode(_ICON.encode()).decode(),
        style=_raw(style),
        network=_raw(_joined("network", _NETWORK)),
        script=_raw(face.removeprefix("\n")),
        models=_raw(_list(models, inside)),
    )
    return html.encode()


def _list(models: Sequence[Mapping[str, Any]], inside: Collection[str]) -> str:
    """Return what the page knows of each model before it has its file, as JSON that cannot end its element."""
    told = []
    for model in models:
        file = next(file for file in model["files"] if file["role"] == "model")
        attributions = [str(source.get("attribution") or "") for source in model["corpus"]["sources"]]
        told.append(
            {
                "style": model["style"],
                "title": str(model["title"]),
                "licence": str(model["licence"]),
                "attribution": "; ".join(dict.fromkeys(filter(None, attributions))),
                "file": file["path"],
                "script": script_name(model["style"]) if model["style"] in inside else None,
                **{key: file[key] for key in ("bytes", "sha256", "precision")},
            }
        )
    return json.dumps(told, ensure_ascii=False, sort_keys=True).replace("<", "\\u003c")


def _joined(folder: str, names: Sequence[str]) -> str:
    """Return scripts as one, as they stand between the tags of an element."""
    return '\n"use strict";\n\n' + "\n".join(
        script(name) if name in (PIANO, TONE) else _text(f"{folder}/{name}.js") for name in names
    )


def _text(name: str) -> str:
    return files("farm.catalog").joinpath("page", *name.split("/")).read_text(encoding="utf-8")


def _raw(text: str) -> jinja2.filters.Markup:
    """Return text that is not escaped: within script and style elements nothing is markup but their end."""
    return jinja2.filters.Markup(text)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
