"""Accessibility of a page by axe-core, which a package of the development extra brings along."""

from importlib.resources import files

_GRAVE = ("serious", "critical")


def grave_findings(page):
    """Return what axe-core finds serious or critical on a page, each with the first elements it concerns."""
    page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'], preload: false })")
    return [
        (one["id"], one["help"], [node["html"][:160] for node in one["nodes"][:3]])
        for one in found["violations"]
        if one["impact"] in _GRAVE
    ]
