"""The page of a pack, opened from a file manager in a browser: what a person sees, hears about and saves."""

import hashlib

import pytest
from symusic import Score

from farm.catalog.composer import Wish
from farm.composing.render import TICKS_PER_BEAT
from farm.piece import compose_pieces
from farm.storage import Storage
from tests.browser.small_networks import TITLE
from tests.test_catalog import HOSTILE, hostile

IDLE = "body:not(.composing)"


def opened(page, pack):
    page.goto((pack / "compose.html").as_uri())
    return page


def composed(page, style=None, **settings):
    """Compose with the page's controls and wait until the piece is there."""
    if style:
        page.locator(f"input[value^={style}]").check()
    for name, value in {"seed": "7", "length": "60", **settings}.items():
        page.fill(f"#{name}", value)
    page.click("#compose")
    page.locator(IDLE).wait_for()
    assert page.locator("#problems").is_hidden(), page.inner_text("#problems")


def saved(page, tmp_path):
    with page.expect_download() as download:
        page.click("#save")
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    return path


def told(page):
    return page.inner_text("#problem-list")


@pytest.mark.parametrize("style", ["bach", "chopin", "night"])
def test_the_saved_file_is_the_one_that_farm_compose_writes(page, pack, tmp_path, style):
    opened(page, pack)
    composed(page, style, seed="123456789012345678901234")
    path = saved(page, tmp_path)
    assert path.name == f"{style}-123456789012345678901234.mid"
    other = tmp_path / "other.mid"
    wish = Wish(notes=60, seed=123456789012345678901234)
    (facts,) = compose_pieces(str(pack / f"{style}-1.farm.safetensors"), other, wish, Storage(tmp_path))
    assert path.read_bytes() == other.read_bytes()
    assert f"{facts['notes']} notes" in page.inner_text("#said")
    assert sum(len(track.notes) for track in Score(path).tracks) > 0
    command = page.text_content("#facts")
    assert f"farm compose {style}-1.farm.safetensors" in command
    assert "--seed 123456789012345678901234 --temperature 1 --top-p 0.95 --tempo 96.5" in command


def test_bars_temperature_top_p_tempo_and_transposition_are_those_of_farm_compose(page, pack, tmp_path):
    opened(page, pack)
    page.select_option("#unit", "bars")
    page.evaluate("""() => { for (const [id, value] of [["temperature", "0.7"], ["top-p", "0.8"]]) {
        const slider = document.getElementById(id);
        slider.value = value;
        slider.dispatchEvent(new Event("input"));
    } }""")
    composed(page, "bach", length="8")
    assert page.inner_text("#temperature-shown") == "0.70"
    page.fill("#tempo", "133")
    page.fill("#transpose", "-5")
    page.locator("#transpose").blur()
    other = tmp_path / "other.mid"
    wish = Wish(bars=8, seed=7, temperature=0.7, top_p=0.8, transpose=-5, tempo_bpm=133.0)
    compose_pieces(str(pack / "bach-1.farm.safetensors"), other, wish, Storage(tmp_path))
    assert saved(page, tmp_path).read_bytes() == other.read_bytes()


def test_what_the_roll_plays_has_a_cursor_that_moves(page, pack):
    opened(page, pack)
    composed(page, "chopin")
    page.locator("body.playing").wait_for()  # when the tones are made
    assert page.inner_text("#play-word") == "Pause"
    page.locator("#time").filter(has_not_text="0:00 /").wait_for()
    drawn = page.evaluate("document.querySelector('canvas').toDataURL().length")
    assert drawn > 2000
    page.keyboard.press("Escape")
    assert page.inner_text("#play-word") == "Play"
    place = int(page.input_value("#seek"))
    page.focus("#seek")
    page.keyboard.press("ArrowRight")
    assert int(page.input_value("#seek")) == place + 1
    page.locator("canvas").click(position={"x": 300, "y": 100})
    assert abs(int(page.input_value("#seek")) - place) > 5


def test_the_page_stays_responsive_and_can_be_stopped(page, pack):
    opened(page, pack)
    page.evaluate("""() => {
        window.gaps = [];
        let last = performance.now();
        window.ticking = setInterval(() => { const now = performance.now(); gaps.push(now - last); last = now; }, 10);
    }""")
    page.locator("input[value^=chopin]").check()
    page.fill("#seed", "7")
    page.fill("#length", "10000")
    page.click("#compose")
    page.locator("#said").filter(has_text="notes").wait_for()
    page.wait_for_timeout(1000)
    assert page.locator(IDLE).count() == 0, "10,000 notes take longer than this, or nothing is measured"
    gaps = page.evaluate("() => { clearInterval(ticking); return gaps; }")
    assert len(gaps) > 30
    assert sorted(gaps)[len(gaps) * 9 // 10] < 100
    assert float(page.evaluate("document.getElementById('progress').value")) > 0
    page.click("#compose")
    page.locator(IDLE).wait_for()
    assert page.inner_text("#said") == "Stopped."
    composed(page)
    assert "notes" in page.inner_text("#said"), "it goes on after"
    page.fill("#length", "10000")
    page.click("#compose")
    page.locator("#said").filter(has_text="Composing").wait_for()
    page.keyboard.press("Escape")
    page.locator(IDLE).wait_for()
    assert page.inner_text("#said") == "Stopped. The piece before is still here."
    assert page.is_enabled("#save")


def test_models_that_are_not_inside_are_asked_for(page, bare_pack, pack, tmp_path):
    opened(page, bare_pack)
    assert "browsers let no page read the files beside it" in page.inner_text("#missing")
    page.click("#compose")
    assert "needs its file first: open bach-1.farm.safetensors" in told(page)
    page.set_input_files("#files", bare_pack / "bach-1.farm.safetensors")
    page.locator("#said").filter(has_text="checked and ready").wait_for()
    assert page.locator("#missing").is_hidden()
    assert page.locator(".needs").count() == 2
    page.locator("input[value^=night]").check()
    assert "Show it night-1.farm.safetensors" in page.inner_text("#missing")
    composed(page, "bach")
    other = tmp_path / "other.mid"
    compose_pieces(
        str(bare_pack / "bach-1.farm.safetensors"),
        other,
        Wish(notes=60, seed=7),
        Storage(tmp_path),
    )
    assert saved(page, tmp_path).read_bytes() == other.read_bytes()


def test_the_whole_folder_opens_every_model(page, bare_pack):
    opened(page, bare_pack)
    page.set_input_files("#folder", bare_pack)
    page.locator("#said").filter(has_text="3 models are checked and ready").wait_for()
    assert page.locator(".needs").count() == 0
    composed(page, "night")


def test_files_can_be_dropped(page, bare_pack):
    opened(page, bare_pack)
    data = list((bare_pack / "night-1.farm.safetensors").read_bytes())
    page.evaluate(
        """data => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([Uint8Array.from(data)], "night-1.farm.safetensors"));
            for (const type of ["dragenter", "drop"]) {
                document.body.dispatchEvent(new DragEvent(type, { bubbles: true, dataTransfer: transfer }));
            }
        }""",
        data,
    )
    page.locator("#said").filter(has_text="Night is checked and ready").wait_for()
    assert page.locator("#drop").is_hidden()
    composed(page)


def test_a_file_of_another_pack_is_refused_and_one_from_elsewhere_taken(page, bare_pack, pack, tmp_path):
    opened(page, bare_pack)
    page.set_input_files("#files", pack / "bach-1.farm.safetensors")
    page.locator("#problems").wait_for()
    expected = hashlib.sha256((bare_pack / "bach-1.farm.safetensors").read_bytes()).hexdigest()
    assert f"this pack says {expected}" in told(page)
    elsewhere = tmp_path / "bach-2.farm.safetensors"
    elsewhere.write_bytes((pack / "bach-1.farm.safetensors").read_bytes())
    page.set_input_files("#files", elsewhere)
    page.locator("#said").filter(has_text="is checked and ready").wait_for()
    composed(page)
    assert "not of this pack" in page.text_content("#facts")


def test_broken_files_are_refused_by_name_and_nothing_of_them_is_markup(page, bare_pack, tmp_path):
    good = (bare_pack / "chopin-1.farm.safetensors").read_bytes()
    flipped = bytearray(good)
    flipped[-5] ^= 4
    files = {
        "<img src=x onerror=alert(1)>.farm.safetensors": good[:-7],
        "flipped.farm.safetensors": bytes(flipped),
        "empty.farm.safetensors": b"",
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    opened(page, bare_pack)
    page.set_input_files("#files", [tmp_path / name for name in files])
    page.locator("#problems").wait_for()
    lines = told(page).splitlines()
    for name, line in zip(files, lines, strict=True):
        assert line.startswith(f"{name}: ")
        assert line.endswith("get the file again")
    assert page.locator("img").count() == 0
    page.click("#dismiss")
    page.set_input_files("#files", bare_pack / "README.md")
    assert "README.md: is no model file" in told(page)
    assert page.locator("#styles label").count() == 3


def test_hostile_files_are_refused_before_their_weights_are_looked_at(page, bare_pack, tmp_path):
    names = []
    for number, change in enumerate(HOSTILE.values()):
        names.append(f"{number}.farm.safetensors")
        (tmp_path / names[-1]).write_bytes(hostile(change))
    opened(page, bare_pack)
    page.set_input_files("#files", [tmp_path / name for name in names])
    page.locator("#problems").wait_for()
    lines = told(page).splitlines()
    for name, line, case in zip(names, lines, HOSTILE, strict=True):
        assert line.startswith(f"{name}: "), case
        assert "weights: " not in line, case


def test_a_title_is_text(page, pack):
    opened(page, pack)
    assert TITLE in page.inner_text("#styles")
    composed(page, "bach")
    assert page.inner_text("#name") == TITLE
    assert page.locator("#bold").count() == 0


def test_a_script_that_holds_something_else_is_refused(page, pack, tmp_path):
    for name in ("compose.html", "page/bach.js"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((pack / name).read_bytes())
    script = (tmp_path / "page" / "bach.js").read_bytes()
    (tmp_path / "page" / "bach.js").write_bytes(script[:5000] + b"\x00\x40" + script[5002:])
    opened(page, tmp_path)
    page.locator("input[value^=bach]").check()
    page.click("#compose")
    page.locator("#problems").wait_for()
    assert "bach-1.farm.safetensors: its sha256 is" in told(page)


def test_wrong_settings_are_told(page, pack):
    opened(page, pack)
    for field, value, message in [
        ("length", "0", "whole number of notes from 1 to 10000"),
        ("length", "1.5", "whole number of notes"),
        ("seed", "-3", "0 or more"),
        ("seed", "seven", "0 or more"),
    ]:
        page.fill("#length", "20")
        page.fill("#seed", "1")
        page.fill(f"#{field}", value)
        page.click("#compose")
        assert message in told(page)
        assert page.evaluate("document.activeElement.id") == field
    composed(page, length="20")
    page.fill("#transpose", "127")
    page.locator("#transpose").blur()
    assert "leave the range of MIDI" in told(page)
    page.fill("#tempo", "2")
    page.locator("#tempo").blur()
    assert "4 to 1000" in told(page)


def test_a_new_seed_comes_with_each_piece_until_one_is_given(page, pack):
    opened(page, pack)
    seeds = set()
    for _ in range(3):
        page.fill("#length", "5")
        page.click("#compose")
        page.locator(IDLE).wait_for()
        seeds.add(page.input_value("#seed"))
    assert len(seeds) == 3
    page.fill("#seed", "5")
    assert not page.is_checked("#fresh")
    page.click("#dice")
    assert page.input_value("#seed") != "5"


def test_it_is_used_with_the_keyboard_alone(page, pack, tmp_path):
    opened(page, pack)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.value").startswith("chopin")
    page.keyboard.press("Enter")
    page.locator(IDLE).filter(has_text="Chopin").wait_for()
    page.locator("#said").filter(has_text="seed").wait_for()
    for control in page.locator("button, input:not([type=file]), select, canvas, progress, .pane").all():
        if control.is_visible():
            name = control.evaluate("""one => [one.ariaLabel, one.labels?.[0]?.textContent, one.textContent]
                .map(text => (text ?? "").trim()).find(Boolean) ?? ''""")
            assert name, control.evaluate("one => one.outerHTML")


@pytest.mark.parametrize("width", [1280, 390, 320])
def test_nothing_jumps_and_nothing_is_cut_off(page, pack, width):
    page.set_viewport_size({"width": width, "height": 900})
    opened(page, pack)

    def places():
        return page.evaluate("""() => ["seek", "pane", "save", "files-name", "compose"].map(id => {
            const box = document.getElementById(id).getBoundingClientRect();
            return [id, box.left, box.top + scrollY * (id !== "compose"), box.width, box.height];
        })""")

    page.locator("input[value^=chopin]").check()
    before = places()
    page.fill("#length", "10000")
    page.click("#compose")
    page.locator("#said").filter(has_text="Composing").wait_for()
    during = places()
    page.click("#compose")
    composed(page)
    page.evaluate("scrollTo(0, 0)")
    assert before == during == places()
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_notes_are_whole_ticks(page, pack, tmp_path):
    opened(page, pack)
    composed(page, "night")
    score = Score(saved(page, tmp_path))
    assert score.ticks_per_quarter == TICKS_PER_BEAT
    assert [tempo.qpm for tempo in score.tempos] == [pytest.approx(96.5, abs=0.01)]
