"""The report's index, its comparing page and its table of models and music, opened from a file manager."""

import json

import pytest

from farm import layout
from farm.website import write
from farm.website.write import write_site
from tests.browser.axe import grave_findings
from tests.small_site import add_run, make_farm, model, publish

PAGES = ("index.html", "compare.html", "heat.html")

# Markup, quotes, controls, characters that turn a line round; each would run `hit` where it became a script.
_RUN = "window.hit=1"
_TEXTS = (
    *("<{}>", "'{}", '"{}', "`{}`", "${{{}}}", "\\{}", "{}\u202e", "\u2066{}\u2069", "\x00{}", "{}\x1b[31m"),
    *("\u2028{}\u2029", "\ufeff{}\u200b", "<!--{}-->", "]]>{}", "</title>{}", "</script>{}", "</select>{}", "{}\n\t"),
)
_CALLS = (
    f"<script>{_RUN}</script>",
    f"<img src=x onerror={_RUN}>",
    f"\"'><svg onload={_RUN} onmouseover='{_RUN}'>",
)
NAMES = (
    *(
        f"javascript:{_RUN}",
        "{{ 7 * 7 }}{% raw %}",
        "&lt;b&gt;&amp;#60;",
        "\\u003c/script\\u003e",
        "%3Cscript%3E",
        "../../x",
    ),
    *(text.format(call) for text in _TEXTS for call in _CALLS),
)

FOCUSED = "[document.activeElement.tagName, getComputedStyle(document.activeElement).outlineStyle]"


@pytest.fixture(scope="module", autouse=True)
def no_style_pages():
    """These tests are about the other pages, which are made in a moment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "style_files", lambda *_: ())
        yield


@pytest.fixture(scope="module")
def site(no_style_pages, tmp_path_factory):
    """The report of five styles: two recipes of one of them, one that broke, one that failed, one at work."""
    storage = make_farm(tmp_path_factory.mktemp("report") / "artifacts")
    add_run(storage, "reels", "5e5e", 12, [4, 12])
    catalog = storage.read_json(layout.catalog_numbered(1))
    row = {"recipe": "large", "run": "5e5e", "chosen": False, "epoch": 12, "val_bits_per_note": 5.25, "seconds": 90}
    catalog["models"][1]["recipes"] = [{"recipe": "compact", "run": "2a2a", "chosen": True}, row]
    compared = {"version": 2, "comparable": True, "delta_bits": -0.25, "outcome": "better", "why": "fewer bits"}
    catalog["models"][0]["compared"] = compared
    publish(storage, 2, catalog["models"], catalog["failures"])
    hashes = {one["style"]: one["files"][0]["sha256"] for one in catalog["models"]}
    for place, style in enumerate(hashes):
        bits = [[sha256, style, 4.0 + abs(place - at)] for at, sha256 in enumerate(hashes.values())]
        storage.write_json(layout.heat(style), {"corpus": style, "pieces": 8, "notes": 999, "bits": bits})
    storage.write_json(layout.progress("waltzes"), {"style": "waltzes", "recipe": "", "stage": "read"})
    write_site(storage, is_at_work=True)
    return storage.address(layout.SITE)


@pytest.fixture
def opened(page, site):
    """Return a function that opens a page of the report, with an address state."""

    def go(name, state=""):
        page.goto(f"file://{site}/{name}{state}")
        return page

    return go


def titles(page):
    return page.locator("#styles-table tbody tr:visible > th").evaluate_all(
        "heads => heads.map(head => head.firstChild.textContent)"
    )


def test_a_column_sorts_both_ways_and_the_address_keeps_it(opened):
    page = opened("index.html")
    assert titles(page) == ["Bach chorales", "Reels", "Nocturnes", "own", "waltzes"]
    page.get_by_role("button", name="Style").click()
    assert titles(page) == ["Bach chorales", "Nocturnes", "own", "Reels", "waltzes"]
    page.get_by_role("button", name="Style").click()
    assert titles(page) == ["waltzes", "Reels", "own", "Nocturnes", "Bach chorales"]
    assert page.url.endswith("#sort=style&order=down")
    head = page.locator("th[data-key=style]")
    assert head.get_attribute("aria-sort") == "descending"
    page.reload()
    assert titles(page)[0] == "waltzes"
    page.get_by_role("button", name="Picked epoch").click()
    assert titles(page)[-3:] == ["Nocturnes", "own", "waltzes"], "what has no number goes last"
    assert head.get_attribute("aria-sort") is None


def test_rows_are_chosen_by_word_verdict_and_status_and_the_address_keeps_it(opened):
    page = opened("index.html")
    page.fill("#text", "CC-BY")
    assert page.inner_text("#shown") == "2 of 5 shown"
    page.select_option("#status", "approved")
    assert titles(page) == ["Reels"]
    assert page.url.endswith("#status=approved&text=CC-BY")
    page.reload()
    assert titles(page) == ["Reels"]
    page.select_option("#verdict", "blew up")
    assert titles(page) == []
    assert page.locator("#none").is_visible()
    page.get_by_role("button", name="Show all").click()
    assert page.inner_text("#shown") == "All 5 shown"
    assert page.url.endswith("#")


def test_an_address_that_asks_for_what_there_is_not_shows_all(opened):
    page = opened("index.html", "#sort=__proto__&order=up&verdict=%3Cb%3E&status=x&text=")
    assert len(titles(page)) == 5
    page.evaluate("location.hash = 'verdict=healthy'")
    page.wait_for_function("document.getElementById('shown').textContent.startsWith('2 ')")
    page.evaluate("location.hash = 'summary'")
    assert len(titles(page)) == 2, "a part of the page is no wish"


def test_the_index_works_by_keyboard_alone(opened):
    page = opened("index.html")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.append(page.evaluate(FOCUSED))
    assert {"BUTTON", "INPUT", "SELECT", "A"} <= {tag for tag, _ in seen}
    assert all(style != "none" for tag, style in seen if tag != "BODY"), "the focus is seen"
    page.focus("th[data-key=style] button")
    page.keyboard.press("Enter")
    assert page.url.endswith("#sort=style")


def test_the_index_says_what_is_at_work_and_how_a_style_does_against_what_ships(opened):
    page = opened("index.html")
    told = page.inner_text("main")
    assert "The farm is at work: 3 styles finished, 1 at work or waiting." in told
    assert "−0.25 bits against version 2" in told
    assert page.get_by_role("row", name="waltzes").inner_text().endswith("at work\nreading")


def test_two_styles_are_compared_and_the_pair_stands_in_the_address(opened):
    page = opened("compare.html", "#a=chorales&b=reels~2")
    page.locator("#pairs .sample").nth(7).wait_for()
    assert page.input_value("#b") == "reels~2"
    rows = page.locator("#measures-table tbody tr").all_inner_texts()
    assert any(row.startswith("Bits per note") and row.endswith("other music: cannot be compared") for row in rows)
    assert page.locator(".line.held").count() == page.locator(".line.train").count() == 2
    assert "the same seed, 7" in page.inner_text("#samples-said")
    page.get_by_role("button", name="Swap").click()
    page.locator("#pairs .sample").nth(7).wait_for()
    assert page.url.endswith("#a=reels%7E2&b=chorales")
    page.select_option("#b", "reels")
    page.wait_for_function("document.title.startsWith('Reels, large and Reels, compact')")
    (bits,) = [row for row in page.locator("#measures-table tbody tr").all_inner_texts() if row.startswith("Bits")]
    assert bits.split("\t") == ["Bits per note, held out", "5.25", "4.71 ✓", "B"] or bits.endswith("\tB")
    page.get_by_text("Every epoch in numbers").click()
    page.locator("#epochs tbody tr").nth(39).wait_for()
    assert page.locator("#epochs tbody tr").count() == 40


def test_a_pair_that_is_none_becomes_the_first_two(opened):
    page = opened("compare.html", "#a=../../evil&b=constructor")
    page.locator("#pairs .sample").first.wait_for()
    assert (page.input_value("#a"), page.input_value("#b")) == ("chorales", "reels")
    assert page.locator("script[src^='data/']").count() == 2


def test_a_script_that_is_gone_is_told(opened, site, tmp_path):
    page = opened("compare.html")
    page.locator("#pairs .sample").first.wait_for()
    page.evaluate("""() => {
        const option = new Option("gone", "gone");
        document.getElementById("b").append(option);
    }""")
    with page.expect_event("requestfailed"):
        page.select_option("#b", "gone")
    page.locator("#problem").wait_for()
    assert "data/gone.js does not tell of this run" in page.inner_text("#problem")
    page.problems.clear()
    page.select_option("#b", "reels")
    page.locator("#comparison").wait_for()
    assert page.locator("#problem").is_hidden()


def test_samples_beside_each_other_play_one_at_a_time_with_a_cursor(opened):
    page = opened("compare.html", "#a=chorales&b=reels")
    first, second = (page.locator("#pairs .sample").nth(number) for number in (0, 1))
    first.get_by_role("button").click()
    page.wait_for_function("Number(document.querySelector('.sample .cursor').getAttribute('x1')) > 0")
    second.get_by_role("button").click()
    assert first.locator(".word").inner_text() == "Play"
    assert second.locator(".word").inner_text() == "Stop"
    page.keyboard.press("Escape")
    assert second.locator(".word").inner_text() == "Play"
    first.locator(".seek").fill("500")
    assert first.locator(".cursor").get_attribute("visibility") == "visible"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_serious(opened, name, scheme):
    page = opened(name)
    page.emulate_media(color_scheme=scheme)
    if name == "compare.html":
        page.locator("#pairs .sample").first.wait_for()
        page.get_by_text("Every epoch in numbers").click()
    assert grave_findings(page) == []


@pytest.mark.parametrize("name", PAGES)
def test_no_page_is_wider_than_a_phone(opened, name):
    page = opened(name)
    page.set_viewport_size({"width": 360, "height": 740})
    if name == "compare.html":
        page.locator("#pairs .sample").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_names_that_would_run_are_shown_and_run_nowhere(page, tmp_path):
    storage = make_farm(tmp_path)
    odd = [
        model(storage, f"s{at}", "1f2e", title=name, licence=name, lineage={"recipe": name}, decisions=[])
        for at, name in enumerate(NAMES)
    ]
    for one, name in zip(odd, NAMES, strict=True):
        one["verdict"] |= {"verdict": name, "reason": name}
        one["corpus"]["sources"][0] |= {"attribution": name, "source": name}
        one["compared"] = {"outcome": name, "why": name, "version": name}
        add_run(storage, one["style"], "1f2e", 3, [3])
        storage.write_json(
            layout.heat(one["style"]), {"corpus": name, "pieces": 1, "notes": 1, "bits": [["x", name, 4]]}
        )
    failures = [{"style": name, "stage": name, "message": name} for name in NAMES]
    publish(storage, 2, odd, failures)
    storage.write_json(layout.progress("x"), {"style": NAMES[0], "recipe": NAMES[1], "stage": NAMES[2]})
    write_site(storage, is_at_work=True)
    for name in PAGES:
        page.goto(f"file://{storage.address(layout.SITE)}/{name}")
        told = page.text_content("#a" if name == "compare.html" else "main")
        assert f"<script>{_RUN}</script>" in told
        assert "⟨U+202E⟩" in told
        if name == "compare.html":
            for at in range(0, len(NAMES) - 1, 2):
                page.evaluate(f"location.hash = 'a=s{at}&b=s{at + 1}'")
                page.wait_for_function(
                    f"document.getElementById('b').value === 's{at + 1}' && document.querySelector('#pairs .sample')"
                )
        page.evaluate("document.querySelectorAll('*').forEach(one => one.dispatchEvent(new Event('mouseover')))")
        assert page.evaluate("window.hit") is None


def test_a_single_epoch_five_hundred_and_no_samples_are_drawn_side_by_side(page, tmp_path):
    storage = make_farm(tmp_path)
    add_run(storage, "short", "1f2e", 1, [])
    add_run(storage, "long", "2a2a", 1, [1])
    lines = [{"epoch": epoch, "bits_per_note": 9 - epoch / 100, "val_bits_per_note": None} for epoch in range(1, 501)]
    storage.write_text(layout.metrics("long", "2a2a"), "\n".join(map(json.dumps, lines)))
    short = model(storage, "short", "1f2e", verdict={"epoch": 1, "verdict": "healthy"}, quality={}, files=[])
    publish(storage, 2, [short, model(storage, "long", "2a2a")], [])
    write_site(storage)
    page.goto(f"file://{storage.address(layout.SITE)}/compare.html#a=short&b=long")
    page.locator("svg.curves .line").first.wait_for(state="attached")
    assert "NaN" not in page.locator("svg.curves").evaluate("svg => svg.outerHTML")
    assert "A: no samples were kept." in page.inner_text("#samples-said")
    assert "A has no sample 1." in page.inner_text("#pairs")
    rows = page.locator("#measures-table tbody tr").all_inner_texts()
    assert any(row.startswith("Copied") and row.endswith("not known of both") for row in rows)
    page.get_by_text("Every epoch in numbers").click()
    page.locator("#epochs tbody tr").nth(499).wait_for()
    assert page.locator("#epochs tbody tr").count() == 500
    page.evaluate("location.hash = 'a=short&b=short'")
    page.get_by_text("No samples were kept of either.").wait_for()
