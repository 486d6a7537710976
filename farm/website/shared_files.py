"""What all pages share: the templates they are set in, and the style sheets and scripts beside them."""

from importlib.resources import files

import jinja2

from farm.composing import page_sound
from farm.website.text import shown

_PLAYER = "player.js"


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
    """Return the files that pages share, by name; the script that plays has its piano before it."""
    folder = files("farm.website").joinpath("static")
    found = {entry.name: entry.read_bytes() for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)}
    scripts = {f"{name}.js": page_sound.script(name).encode() for name in (page_sound.TONE, page_sound.PIANO)}
    return {**found, **scripts, _PLAYER: b'"use strict";\n\n' + b"".join(scripts.values()) + found[_PLAYER]}
