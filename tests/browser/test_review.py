"""The review in a browser, as a person goes: open, listen, overrule, approve, ship; no other network is asked."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from farm import layout
from farm.catalog.publish import publish
from farm.catalog.verify import verify
from farm.scheduling import ledger, retraining
from farm.scheduling.publishing import current_catalog, decide
from tests.browser.axe import grave_findings
from tests.finished_farm import copied_farm
from tests.served import START, Served, served
from tests.small_catalog import entry
from tests.small_site import HOSTILE

FACTS = ".review-dock"


@pytest.fixture
def storage(tmp_path):
    return copied_farm(tmp_path)


@pytest.fixture
def review(storage):
    """A running review whose first address is still unused."""
    one = Served(storage.root)
    yield one
    one.process.kill()
    one.process.communicate()


@pytest.fixture
def page(browser, review):
    """A page that may ask our server and nobody else; what the console says against a refusal we mean is let pass."""
    context = browser.new_context(accept_downloads=True)
    page = context.new_page()
    problems = []
    meant = ("status of 409", "status of 422", "status of 423")
    page.on("console", lambda told: None if any(one in told.text for one in meant) else problems.append(told.text))
    page.on("pageerror", lambda error: problems.append(f"error: {error}"))
    ours = (f"http://{review.host}/", "blob:")
    page.on("request", lambda request: None if request.url.startswith(ours) else problems.append(request.url))
    page.goto(review.address)
    page.wait_for_url("**/site/index.html")
    yield page
    context.close()
    assert problems == []


def model_of(storage, style):
    return next((one for one in current_catalog(storage)["models"] if one["style"] == style), None)


def opened(page, review, style):
    page.goto(f"http://{review.host}/site/styles/{style}.html")
    page.wait_for_selector(FACTS)


def decided(page, kind, why, **more):
    """Fill in the dock's form and send it; return what the page then says."""
    page.click(f"[data-kind={kind}]")
    for name, value in more.items():
        page.select_option(f"#review-{name}", value)
    page.fill(".review-form textarea", why)
    page.click(".review-form [type=submit]")
    page.wait_for_selector(".review-said.good, .review-said.bad")
    return page.inner_text(f"{FACTS} .review-said")


def test_the_whole_way_of_a_person_from_opening_to_a_pack(page, review, storage, tmp_path):
    page.wait_for_selector(".review-state")
    assert "No farm is running" in page.inner_text(".review-panel")
    page.get_by_role("button", name="Style").click()
    assert "#sort=style" in page.url
    assert page.locator("tbody th a").first.inner_text() == "Songs of the hill"
    page.locator("tbody th a").first.click()
    page.wait_for_selector(FACTS)
    assert "Version 1, epoch 3 rejected" in page.inner_text(f"{FACTS} .review-row p")
    page.locator(".sample .play").first.click()
    page.locator(".sample.playing").wait_for()
    page.get_by_role("link", name="compare with another").click()
    page.wait_for_selector("#comparison:not([hidden])")
    assert page.input_value("#a") == "hill"
    page.locator("#comparison .play").first.click()
    page.locator("#comparison .playing").first.wait_for()
    page.go_back()
    page.wait_for_selector(FACTS)
    told = decided(page, "overrule", "less wandering <b>& “more” song", **{"epoch-to-ship": "2"})
    assert told.startswith("hill: version 2, epoch 2, approved")
    assert "Version 2, epoch 2 approved" in page.inner_text(f"{FACTS} .review-row p")
    assert "less wandering <b>& “more” song" in page.inner_text("main")
    assert decided(page, "approve", "heard it twice").startswith("hill: version 2, epoch 2, approved")
    model = model_of(storage, "hill")
    assert (model["version"], model["status"], model["lineage"]["epoch"]) == (2, "approved", 2)
    opened(page, review, "valley")
    assert decided(page, "overrule", "good enough").startswith("valley: version 1")
    pack = tmp_path / "pack"
    command = [sys.executable, "-c", START, "ship", str(pack), "--artifacts", storage.root, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent.parent.parent)
    assert {one["style"] for one in json.loads(done.stdout)["models"]} == {"hill", "valley"}
    assert verify(str(pack)) == []


def test_rejecting_and_asking_for_another_training_and_taking_it_back(page, review, storage):
    opened(page, review, "hill")
    assert "anew by recipe tiny" in decided(page, "again", "every sample ends alike")
    page.goto(f"http://{review.host}/site/index.html")
    page.wait_for_selector(".review-state")
    assert "every sample ends alike" in page.inner_text(".review-panel")
    opened(page, review, "hill")
    page.click("[data-kind=again]")
    assert "every sample ends alike" in page.inner_text(".review-form")
    page.click(".review-form [type=submit]")
    page.wait_for_selector(".review-said.good")
    assert "no other training" in page.inner_text(f"{FACTS} .review-said")
    assert decided(page, "reject", "wanders").startswith("hill: version 1, epoch 3, rejected")
    assert storage.read_lines(layout.DECISIONS)[-1]["why"] == "wanders"


def test_a_model_that_changed_meanwhile_is_not_decided_about_and_what_was_written_stays(page, review, storage):
    opened(page, review, "hill")
    decide(storage, "hill", "approved", "from a shell", epoch=4)
    lines = storage.read_lines(layout.DECISIONS)
    assert "nothing was recorded" in decided(page, "approve", "what I heard")
    assert storage.read_lines(layout.DECISIONS) == lines
    page.get_by_role("button", name="Load the page again").click()
    page.wait_for_selector(f"{FACTS} :text('Version 2, epoch 4')")
    page.click("[data-kind=approve]")
    assert page.input_value(".review-form textarea") == "what I heard"


def test_while_a_farm_runs_it_is_shown_and_nothing_is_lost(page, review, storage):
    with ledger.owned(storage):
        ledger.report_progress(storage, "hill", "tiny", stage="train", epoch=2, max_epochs=4, loss=1.5)
        page.reload()
        page.wait_for_selector(".review-work progress")
        assert "A farm is running" in page.inner_text(".review-state")
        assert "epoch 2 of 4" in page.inner_text(".review-work")
        opened(page, review, "hill")
        assert "while a farm is at work" in decided(page, "overrule", "good")
        assert page.input_value(".review-form textarea") == "good"
        page.wait_for_selector(".review-live:text('epoch 2 of 4')")
    page.click(".review-form [type=submit]")
    page.wait_for_selector(f"{FACTS} .review-said.good")
    assert model_of(storage, "hill")["status"] == "approved"


def test_composing_is_drawn_heard_and_saved_as_farm_compose_writes_it(page, review, storage, tmp_path):
    opened(page, review, "hill")
    form = page.locator("form.review-compose")
    page.fill("#review-length", "40")
    page.fill("#review-seed", "7")
    page.fill("#review-transpose-semitones-", "-2")
    form.get_by_role("button", name="Compose").click()
    page.wait_for_selector(".review-stage:not([hidden])")
    assert "version 1, seed 7: " in page.inner_text("form.review-compose + .review-said")
    page.click(".review-stage .play")
    page.locator(".review-stage.playing .time:not(:text-matches('^0:00 '))").wait_for()
    with page.expect_download() as download:
        page.click(".review-save")
    assert download.value.suggested_filename == "hill-7.mid"
    download.value.save_as(tmp_path / "saved.mid")
    command = [sys.executable, "-c", START, "compose", "hill", "-o", str(tmp_path / "own.mid"), "--notes", "40"]
    command += ["--seed", "7", "--transpose", "-2", "--artifacts", storage.root]
    subprocess.run(command, check=True, capture_output=True)
    assert (tmp_path / "saved.mid").read_bytes() == (tmp_path / "own.mid").read_bytes()
    page.fill("#review-length", "40")
    page.select_option("[aria-label='Unit of the length']", "bars")
    assert page.input_value("#review-length") == "16"


def test_what_comes_from_outside_is_text_in_the_reviews_own_parts_too(page, review, storage):
    publish(storage, [entry("odd", title=HOSTILE, files=entry("hill")["files"])], [])
    decide(storage, "odd", "rejected", HOSTILE)
    retraining.ask(storage, "odd", HOSTILE)
    page.reload()
    page.wait_for_selector(".review-panel :text('<script>alert(1)</script>')")
    opened(page, review, "odd")
    assert "<script>alert(1)</script>" in page.get_attribute(FACTS, "aria-label")
    page.click("[data-kind=again]")
    assert "<script>alert(1)</script>" in page.inner_text(".review-form")
    assert page.locator("img[onerror]").count() == 0
    page.get_by_role("button", name="Cancel").click()
    assert decided(page, "reject", HOSTILE).startswith("odd: version 1")
    assert storage.read_lines(layout.DECISIONS)[-1]["why"] == HOSTILE.strip()


def test_a_model_worse_than_the_one_that_ships_asks_for_a_second_reason(page, review, storage):
    stands = {"outcome": "worse", "version": 1, "why": "Worse than version 1, which ships now: 9.1 bits a note."}
    publish(storage, [entry("odd", compared=stands, files=entry("hill")["files"])], [])
    decide(storage, "hill", "rejected", "only to have the report written")
    opened(page, review, "odd")
    page.click("[data-kind=approve]")
    assert "9.1 bits a note" in page.inner_text(".review-form")
    page.get_by_label("What did you hear?").fill("more song")
    page.click(".review-form [type=submit]")
    assert model_of(storage, "odd")["status"] == "candidate", "the second reason is not there yet"
    page.get_by_label("Why all the same").fill("the other one's music must go")
    page.click(".review-form [type=submit]")
    page.wait_for_selector(f"{FACTS} .review-said.good")
    assert model_of(storage, "odd")["decisions"][-1]["although"] == "the other one's music must go"


def test_every_control_has_a_name_and_keys_reach_it(page, review):
    opened(page, review, "hill")
    page.click("[data-kind=overrule]")
    bare = """() => [...document.querySelectorAll(
        ".review-dock :is(button, select, textarea), .review-compose :is(button, select, input)")]
        .filter((one) => !(one.labels?.length || one.getAttribute("aria-label") || one.textContent.trim()))
        .map((one) => one.outerHTML)"""
    assert page.evaluate(bare) == []
    ids = "() => [...document.querySelectorAll('[id]')].map((one) => one.id)"
    found = page.evaluate(ids)
    assert len(found) == len(set(found))
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360, "no wider than a phone"
    page.locator("#review-epoch-to-ship").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "TEXTAREA"


def test_axe_finds_nothing_serious(page, review, storage):
    with ledger.owned(storage):
        ledger.report_progress(storage, "hill", "tiny", stage="train", epoch=2, max_epochs=4, loss=1.5)
        page.reload()
        page.wait_for_selector(".review-work progress")
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert grave_findings(page) == []
    opened(page, review, "hill")
    page.get_by_role("button", name="Compose").click()
    page.wait_for_selector(".review-stage:not([hidden])")
    page.click("[data-kind=overrule]")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert grave_findings(page) == []


def test_a_browser_that_was_not_let_in_sees_nothing(browser, review):
    with served(review.process.args[5]) as other:
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"http://{other.host}/site/index.html")
        assert "This is not open to you" in page.inner_text("body")
        page.goto(f"{other.address}")
        assert "This is not open to you" in page.inner_text("body"), "it was used"
        context.close()
