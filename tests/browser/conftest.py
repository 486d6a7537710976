"""A browser without a window, and a pack whose page it opens from the file manager.

Chromium is Debian's. Where it is not installed the tests are skipped, but in CI they fail: there it must be.
"""

import os
import shutil

import pytest

from farm.catalog.model_file import model_files
from farm.catalog.pack import ship
from farm.catalog.publish import decide, publish
from farm.music.encoding import Encoding
from farm.storage import Storage
from tests.browser.small_networks import COMPACT, SMALL, TITLE, random_network
from tests.small_catalog import entry


@pytest.fixture(scope="session")
def chromium():
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("Chromium is missing; apt-get install chromium")
    return found


@pytest.fixture(scope="module")
def browser(chromium):
    """A browser for one file of tests: its driver runs an event loop that no other test may meet."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium)
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    """An empty page; whatever it complains of, and whatever it asks of any network, fails the test."""
    context = browser.new_context(offline=True, accept_downloads=True)
    page = context.new_page()
    problems = page.problems = []
    page.on("console", lambda message: problems.append(f"console: {message.type}: {message.text}"))
    page.on("pageerror", lambda error: problems.append(f"error: {error}"))
    page.on("request", lambda request: problems.append(request.url) if not is_local(request.url) else None)
    yield page
    context.close()
    assert problems == []


def is_local(url):
    return url.startswith(("file://", "blob:", "data:"))


@pytest.fixture(scope="session")
def farmed(tmp_path_factory):
    """Artifacts with three approved models: one with velocities, one of the usual size, one in free metre."""
    storage = Storage(tmp_path_factory.mktemp("farm") / "artifacts")
    entries = []
    for seed, (style, title, metre, grid) in enumerate(
        [("bach", TITLE, "3/4", 12), ("chopin", "Chopin", "4/4", 24), ("night", "Night", "free", 48)]
    ):
        encoding = Encoding(grid=grid, has_velocity=seed == 0)
        card = {"style": style, "title": title, "licence": "CC0-1.0", "attribution": "J. S. Bach"}
        card["composing"] = {"tempo_bpm": 96.5, "metre": metre}
        network = COMPACT if style == "chopin" else SMALL
        files = model_files(random_network(encoding, seed, network), network, encoding, card)
        entries.append(entry(style, title=title, files=files))
    publish(storage, entries, [])
    for one in entries:
        decide(storage, one["style"], "approved", "good")
    return storage


@pytest.fixture(scope="session")
def pack(farmed, tmp_path_factory):
    """A pack with every model in its page."""
    out = tmp_path_factory.mktemp("packs") / "pack"
    ship(farmed, out, precision="int8")
    return out


@pytest.fixture(scope="session")
def bare_pack(farmed, tmp_path_factory):
    """A pack whose page must be shown every model."""
    out = tmp_path_factory.mktemp("packs") / "bare"
    ship(farmed, out, precision="float16", embed=False)
    return out
