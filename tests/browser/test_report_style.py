"""The page of a style in a browser, opened from the file manager: seen, heard, moved by keyboard, and inert."""

import pytest

from farm import layout
from farm.corpus import tables
from farm.storage import Storage
from farm.website.text import visible
from farm.website.wording import page_name
from farm.website.write import write_site
from tests.browser.axe import grave_findings
from tests.browser.conftest import is_local
from tests.browser.test_report_index import NAMES
from tests.small_site import add_run, compose, make_farm, model, publish, write_pieces

MOST_BYTES = 2_000_000


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    storage = make_farm(tmp_path_factory.mktemp("site") / "artifacts")
    write_site(storage)
    return storage


def opened(page, storage, style, name="styles"):
    path = storage.address(f"{layout.SITE}/{name}/{style}.html")
    page.goto(f"file://{path}")
    return page


def cursor(figure, picture):
    """Where the cursor of a roll or a score stands; None when it is not to be seen."""
    line = figure.locator(f"svg.{picture} .cursor")
    return float(line.get_attribute("x1")) if line.get_attribute("visibility") == "visible" else None


def test_the_slider_goes_from_snapshot_to_snapshot_by_keyboard(page, site):
    opened(page, site, "chorales")
    assert page.inner_text("#stop-epoch") == "Epoch 22"
    assert "the pick" in page.inner_text("#stop-said")
    pick = page.locator("#heard svg.roll").get_attribute("aria-label")
    shape = page.locator("#heard svg.roll").get_attribute("viewBox")
    page.focus("#stop")
    page.keyboard.press("ArrowLeft")
    assert page.inner_text("#stop-epoch") == "Epoch 14"
    assert page.get_attribute("#stop", "aria-valuetext") == "epoch 14, just before the pick, good"
    roll = page.locator("#heard svg.roll")
    assert roll.get_attribute("aria-label") != pick
    assert roll.get_attribute("viewBox") == shape, "rolls of one scale can be compared"
    page.keyboard.press("Home")
    assert page.inner_text("#stop-epoch") == "Epoch 1"
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#told-of-stop tbody tr:nth-child(2) .now") == "70 %"
    assert page.inner_text("#stop-said") == "before the pick, loops"
    page.get_by_role("button", name="Just after").click()
    assert page.inner_text("#stop-epoch") == "Epoch 30"
    assert page.get_by_role("button", name="Just after").get_attribute("aria-pressed") == "true"
    assert "--epoch 30" in page.inner_text("#hearing")
    before = page.inner_html("#heard .scroll")
    page.locator("input[name=which]").nth(2).check()
    assert page.inner_html("#heard .scroll") != before


def test_a_snapshot_plays_with_a_cursor_and_goes_on_with_the_next_one(page, site):
    opened(page, site, "chorales")
    heard = page.locator("#heard")
    assert cursor(heard, "roll") is None
    heard.locator(".play").click()
    heard.locator(".time").filter(has_not_text="0:00 /").wait_for()
    assert cursor(heard, "roll") > 0
    assert heard.locator(".play").get_attribute("aria-label") == "Stop sample 1 of epoch 22"
    page.focus("#stop")
    page.keyboard.press("ArrowRight")
    assert heard.locator(".play").get_attribute("aria-label") == "Stop sample 1 of epoch 30"
    heard.locator(".time").filter(has_not_text="0:00 /").wait_for()
    page.keyboard.press("Escape")
    stopped = cursor(heard, "roll")
    assert heard.locator(".play").inner_text().strip() == "Play"
    page.wait_for_timeout(200)
    assert cursor(heard, "roll") == stopped


def test_one_piece_plays_at_a_time_at_the_tempo_that_was_set(page, site):
    opened(page, site, "chorales")
    first, second = page.locator("[data-sample]").nth(0), page.locator("[data-sample]").nth(1)
    usual = first.locator(".time").inner_text()
    page.locator("#tempo").fill("200")
    assert page.inner_text("#tempo-shown") == "200 %"
    minutes, seconds = (int(part) for part in usual.partition(" / ")[2].split(":"))
    faster = first.locator(".time").inner_text().partition(" / ")[2].split(":")
    assert abs(int(faster[0]) * 60 + int(faster[1]) - (minutes * 60 + seconds) / 2) <= 1
    first.locator(".play").click()
    first.locator(".time").filter(has_not_text="0:00 /").wait_for()
    second.locator(".play").click()
    assert first.locator(".word").inner_text() == "Play"
    assert second.locator(".word").inner_text() == "Stop"


def test_a_score_is_seen_and_its_cursor_moves_with_that_of_the_roll(page, site):
    opened(page, site, "chorales")
    figure = page.locator("[data-sample]").first
    score = figure.locator("svg.score")
    box = score.bounding_box()
    assert box["width"] > 400
    assert box["height"] > 100
    assert "bars 1 to" in score.get_attribute("aria-label")
    places = []
    for at in ("100", "200", "300"):
        figure.locator(".seek").fill(at)
        places.append((cursor(figure, "score"), float(score.locator(".cursor").get_attribute("y1"))))
        assert cursor(figure, "roll") > 0
    assert len(set(places)) == 3
    assert [y for _, y in places] == sorted(y for _, y in places)
    figure.locator(".seek").fill("1000")
    assert cursor(figure, "score") is None, "the piece is longer than its score"


def test_the_picture_of_training_is_still_until_it_is_played(page, site):
    opened(page, site, "chorales")
    picture, button = page.locator(".growing img"), page.locator(".growing .play")
    assert picture.get_attribute("src").endswith(".png")
    button.click()
    assert picture.get_attribute("src").endswith(".gif")
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 960
    button.click()
    assert picture.get_attribute("src").endswith(".png")


@pytest.mark.parametrize("style", ["chorales", "reels", "nocturnes", "own"])
@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (390, "dark"), (1280, "light")])
def test_every_page_fits_its_window_and_names_what_can_be_pressed(browser, site, style, width, scheme):
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, offline=True)
    page = context.new_page()
    opened(page, site, style)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    unnamed = page.evaluate("""() => [...document.querySelectorAll("button, input, svg[role=img], img, [role=region]")]
        .filter((one) => !(one.ariaLabel || one.alt || one.labels?.length || one.textContent.trim()))
        .map((one) => one.outerHTML.slice(0, 200))""")
    assert unnamed == []
    context.close()


def test_without_scripts_the_samples_are_seen_and_nothing_dead_can_be_pressed(browser, site):
    context = browser.new_context(java_script_enabled=False, offline=True)
    page = context.new_page()
    opened(page, site, "chorales")
    assert page.locator("#hearing").is_hidden()
    assert page.locator(".transport:visible").count() == 0
    assert page.locator(".growing .play").is_hidden()
    assert page.locator(".growing a").get_attribute("href").endswith(".gif")
    assert page.locator("svg.roll:visible").count() == 6
    assert "Listening in the page needs scripts" in page.content()
    context.close()


def wicked_style(storage, style, names):
    """A style that holds six names wherever its page shows words from outside."""
    title, reason, flag, why, source, path = names
    add_run(storage, style, "r1", 5, [2, 4, 5])
    take = storage.read_json(layout.sample_notes(style, "r1", 2))
    storage.write_json(layout.sample_notes(style, "r1", 2), take | {"metre": reason})
    row = dict.fromkeys(tables.PIECES.names) | {"style": style, "source": source, "state": "read", "notes": 9}
    row |= {"piece_id": f"{style}-3", "path": path, "key": flag, "time_signature": why, "duration_seconds": 9.0}
    left_out = row | {"piece_id": "p2", "state": "rejected", "reason": f"{reason}: {flag}"}
    dropped = {"notes_dropped": [{"reason": why, "count": 3}]}
    write_pieces(storage, style, [row | dropped, left_out])
    entry = model(storage, style, "r1", title=title, licence=path, compared={"outcome": flag, "why": why})
    entry["verdict"] |= {"epoch": 4, "reason": reason, "flags": [flag], "verdict": title}
    entry["corpus"]["sources"][0] |= {"attribution": source, "licence": path}
    return entry | {"decisions": [{"time": title, "status": flag, "why": why}], "lineage": {"recipe": path}}


def test_sixty_hostile_names_run_nothing_ask_nobody_and_are_seen(browser, tmp_path):
    storage = Storage(tmp_path / "artifacts")
    names, failed = NAMES, NAMES[::3]
    assert len(names) == 60
    groups = {f"style{at}": names[at : at + 6] for at in range(0, 60, 6)}
    failures = [{"style": name, "stage": name, "message": name} for name in failed]
    publish(storage, 1, [wicked_style(storage, style, group) for style, group in groups.items()], failures)
    write_site(storage)
    context = browser.new_context(offline=True)
    page = context.new_page()
    asked, dialogs = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    shown = {page_name(style): group for style, group in groups.items()} | {page_name(name): [name] for name in failed}
    for name, told in shown.items():
        page.goto(f"file://{storage.address(layout.SITE)}/styles/{name}")
        if page.locator("#stop").count():
            page.focus("#stop")
            page.keyboard.press("Home")
        text = " ".join(page.text_content("body").split())
        for word in told:
            assert " ".join(visible(word).split()) in text, name
        assert not page.evaluate("window.hit")
    assert dialogs == []
    assert [url for url in asked if not is_local(url)] == []
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("style", ["chorales", "nocturnes", "own"])
def test_axe_finds_nothing_serious(page, site, style, scheme):
    page.emulate_media(color_scheme=scheme)
    opened(page, site, style)
    for summary in page.locator("summary").all():
        if summary.evaluate("one => !one.parentElement.open"):
            summary.click()
    assert grave_findings(page) == []


def test_a_page_of_forty_snapshots_opens_and_stays_small(page, tmp_path):
    import numpy as np

    storage = Storage(tmp_path / "artifacts")
    add_run(storage, "long", "r1", 40, list(range(1, 41)))
    loop = compose(np.random.default_rng(0), 200, 0)
    take = storage.read_json(layout.sample_notes("long", "r1", 40))
    take["samples"] = [{"notes": [], "stopped": True}, {"notes": loop, "stopped": True}]
    storage.write_json(layout.sample_notes("long", "r1", 40), take)
    publish(storage, 1, [model(storage, "long", "r1")], [])
    write_site(storage)
    assert len(storage.read_bytes(f"{layout.SITE}/styles/long.html")) < MOST_BYTES
    opened(page, storage, "long")
    page.focus("#stop")
    page.keyboard.press("End")
    assert page.inner_text("#stop-epoch") == "Epoch 40"
    assert page.locator("#heard .play").is_hidden(), "an empty sample cannot be played"
    page.locator("input[name=which]").nth(3).check()
    assert "fewer samples" in page.inner_text("#heard figcaption")
    page.locator("input[name=which]").nth(1).check()
    assert page.locator("#heard .play").is_visible()
