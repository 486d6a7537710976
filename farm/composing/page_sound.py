"""The piano that pages play, in JavaScript: shared by the page of a pack and the report, so that a piece sounds alike.

Conventions
-----------
`tone` makes the sound of a key, `piano` strikes keys in time. `piano` asks somebody else for the tones, for a page may
have a worker that makes them, or none.
"""

from importlib.resources import files

TONE, PIANO = "tone", "piano"


def script(name: str) -> str:
    """Return the text of one of the two scripts."""
    return files("farm.composing").joinpath("piano", f"{name}.js").read_text(encoding="utf-8")
