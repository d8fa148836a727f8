"""The page in a real browser: what people do with it, at three sizes and in both themes.

Screenshots are kept in ``.make/screenshots``.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.web.conftest import EVIL_NAME, PATIENCE_S

SIZES = {"large": (1920, 1080), "laptop": (1280, 800), "phone": (390, 844)}
Open: TypeAlias = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    assert found, "the page's tests need Chromium: sh tools/install_test_system.sh"
    # Chromium's sandbox needs privileges that containers lack; only our own page is opened.
    arguments = ["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    expect.set_options(timeout=PATIENCE_S * 1000)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=found, args=arguments, timeout=PATIENCE_S * 1000
        )
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser: Browser, server_url: str) -> Iterator[Open]:
    """Opens an address of the page; a script that fails, or a policy that is broken, fails the test."""
    contexts = []
    failures: list[str] = []

    def open_(path: str = "/", *, size: str = "laptop", theme: str = "light") -> Page:
        width, height = SIZES[size]
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=theme,  # type: ignore[arg-type]
            has_touch=size == "phone",
            permissions=["clipboard-read", "clipboard-write", "microphone"],
        )
        context.set_default_timeout(PATIENCE_S * 1000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.on(
            "console",
            lambda message: (
                failures.append(message.text)
                if message.type == "error" and "Failed to load resource" not in message.text
                else None
            ),
        )
        page.goto(server_url.rstrip("/") + path)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert failures == []


def shoot(page: Page, repository: Path, name: str) -> None:
    folder = repository / ".make" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / f"{name}.png")


def names(page: Page) -> list[str]:
    return page.locator(".tile__name").all_inner_texts()


def wait_for_results(page: Page) -> None:
    expect(page.locator("body")).not_to_have_class(re.compile("is-searching"))
    expect(page.locator(".tile").first).to_be_visible()


def search(page: Page, words: str) -> None:
    page.get_by_role("textbox", name="Search with words").fill(words)
    page.keyboard.press("Enter")
    expect(page.locator(".chip")).not_to_have_count(0)
    wait_for_results(page)


def drop(page: Page, path: Path, mime: str) -> None:
    """Drop a file on the page, as from a desktop."""
    data = page.evaluate_handle(
        """([bytes, name, type]) => {
            const dropped = new DataTransfer();
            dropped.items.add(new File([new Uint8Array(bytes)], name, {type}));
            return dropped;
        }""",
        [list(path.read_bytes()), path.name, mime],
    )
    for kind in ("dragenter", "dragover", "drop"):
        page.dispatch_event("body", kind, {"dataTransfer": data})


def test_words_become_a_chip_results_and_an_address(open_page: Open, repository: Path) -> None:
    page = open_page()
    expect(page.get_by_role("heading", name="Newest in the library")).to_be_visible()
    search(page, "a dog")
    expect(page.locator(".chip__text")).to_have_text("a dog")
    expect(page).to_have_url(re.compile(re.escape("q=text%3A%22a+dog%22")))
    found = names(page)
    shoot(page, repository, "search")
    again = open_page(page.url[page.url.index("/?") :])
    wait_for_results(again)
    assert names(again)[:20] == found[:20]
    expect(again.locator(".chip__text")).to_have_text("a dog")


def test_the_best_result_carries_a_bar_that_says_how_sure_it_is(open_page: Open) -> None:
    page = open_page("/?q=image:cat_kitten.jpg&to=image")
    wait_for_results(page)
    first = page.locator(".tile").first
    expect(first.locator(".tile__name")).to_have_text("cat_kitten.jpg")
    share = int(first.locator(".score__text").inner_text().removesuffix(" %"))
    assert share > 50
    width = first.locator(".score__fill").evaluate("e => parseFloat(e.style.width)")
    assert width == share


def test_a_dropped_sound_is_searched_with_and_words_can_be_added(
    open_page: Open, sample_media: Path, repository: Path
) -> None:
    page = open_page()
    wait_for_results(page)
    drop(page, sample_media / "sounds" / "dog_barking.ogg", "audio/ogg")
    expect(page.locator(".chip__text")).to_have_text("dog_barking.ogg")
    wait_for_results(page)
    expect(page.locator(".tile__name").first).to_have_text("dog_barking.ogg")
    expect(page).to_have_url(re.compile("audio%3Aupload"))
    search(page, "in the snow")
    expect(page.locator(".chip")).to_have_count(2)
    shoot(page, repository, "sound-and-words")


def test_a_picture_can_be_pasted(open_page: Open, sample_media: Path) -> None:
    page = open_page()
    wait_for_results(page)
    picture = sample_media / "photos" / "duck.jpg"
    page.evaluate(
        """(bytes) => {
            const clipboard = new DataTransfer();
            clipboard.items.add(new File([new Uint8Array(bytes)], 'image.png', {type: 'image/jpeg'}));
            const paste = new ClipboardEvent('paste', {clipboardData: clipboard, bubbles: true});
            document.body.dispatchEvent(paste);
        }""",
        list(picture.read_bytes()),
    )
    expect(page.locator(".chip__picture img")).to_be_visible()
    wait_for_results(page)
    expect(page.locator(".tile__name").first).to_have_text("duck.jpg")


def test_every_search_lays_its_results_out(open_page: Open) -> None:
    page = open_page("/?q=dog", size="phone")
    wait_for_results(page)
    search(page, "a church bell")
    heights = page.evaluate(
        "[...document.querySelectorAll('.tile')].map(e => e.getBoundingClientRect().height)"
    )
    assert min(heights) > 100


def test_weights_and_minus_change_what_is_found(open_page: Open) -> None:
    page = open_page('/?q="a dog" %2B "a church bell"&to=image')
    wait_for_results(page)
    both = names(page)
    slider = page.get_by_role("slider", name="Weight of a dog")
    slider.fill("0.1")
    page.wait_for_url(re.compile(r"q=0\.1"))
    wait_for_results(page)
    assert names(page) != both
    page.get_by_role("button", name="Added; take it away instead").last.click()
    page.wait_for_url(re.compile(r"\+-\+text"))
    expect(page.locator(".chip--minus")).to_have_count(1)
    page.get_by_role("button", name="Remove a church bell").click()
    expect(page.locator(".chip")).to_have_count(1)


def test_kinds_and_filters_bound_the_results(open_page: Open, repository: Path) -> None:
    page = open_page("/?q=bell")
    wait_for_results(page)
    page.get_by_role("button", name="Sounds", exact=False).first.click()
    page.wait_for_url(re.compile("to=audio"))
    wait_for_results(page)
    assert page.locator(".tile--audio").count() == page.locator(".tile").count() > 5
    page.locator(".menu__open").click()
    panel = page.locator(".menu__panel").bounding_box()
    assert panel is not None
    assert 0 <= panel["x"] <= SIZES["laptop"][0] - panel["width"]
    page.get_by_role("combobox", name="A filter").fill("type:wav")
    shoot(page, repository, "filter")
    page.keyboard.press("Enter")
    expect(page.locator(".filter code")).to_have_text("type:wav")
    wait_for_results(page)
    assert all(name.endswith(".wav") for name in names(page))
    page.get_by_role("button", name="Remove the filter type:wav").click()
    expect(page.locator(".filter")).to_have_count(0)


def test_a_query_that_does_not_parse_says_where_and_what_to_do(open_page: Open, repository: Path) -> None:
    page = open_page()
    page.get_by_role("textbox", name="Search with words").fill("(dog")
    page.keyboard.press("Enter")
    alert = page.get_by_role("alert").filter(has_text="never closed")
    expect(alert).to_contain_text("add a ) at the end of the sum")
    shoot(page, repository, "does-not-parse")
    page.get_by_role("button", name='"a city street" - 0.4*"cars"').click()
    expect(page.locator(".chip")).to_have_count(2)
    wait_for_results(page)
    expect(alert).to_have_count(0)


def test_a_server_that_does_not_answer_can_be_asked_again(open_page: Open, repository: Path) -> None:
    page = open_page("/?q=dog")
    wait_for_results(page)
    page.route("**/v1/search", lambda route: route.abort())
    page.get_by_role("textbox", name="Search with words").fill("cat")
    page.keyboard.press("Enter")
    expect(page.get_by_text("the server does not answer")).to_be_visible()
    shoot(page, repository, "no-answer")
    page.unroute("**/v1/search")
    page.get_by_role("button", name="Try again").click()
    wait_for_results(page)


def test_what_fits_nothing_is_set_apart(open_page: Open, repository: Path) -> None:
    page = open_page("/?q=a dog barking&where=name:bread_recipe.txt")
    wait_for_results(page)
    expect(page.locator(".grid__divide")).to_have_text("Nothing is a good match; the nearest are")
    shoot(page, repository, "no-good-match")
    page = open_page("/?q=dog&where=name:nothing")
    expect(page.get_by_text("Nothing passes these filters")).to_be_visible()


def test_the_keyboard_is_enough(open_page: Open, repository: Path) -> None:
    page = open_page("/?q=dog&to=image")
    wait_for_results(page)
    page.keyboard.press("/")
    expect(page.get_by_role("textbox", name="Search with words")).to_be_focused()
    page.keyboard.press("ArrowDown")
    first = page.locator(".tile__open").first
    expect(first).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".tile__open").nth(1)).to_be_focused()
    page.keyboard.press("Space")
    dialog = page.locator("#preview")
    expect(dialog).to_be_visible()
    second = page.locator(".tile__name").nth(1).inner_text()
    expect(dialog.get_by_role("heading", name=second)).to_be_visible()
    shoot(page, repository, "preview")
    page.keyboard.press("ArrowRight")
    expect(
        dialog.get_by_role("heading", name=page.locator(".tile__name").nth(2).inner_text())
    ).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.locator(".tile__open").nth(2)).to_be_focused()
    page.keyboard.press("m")
    expect(page.locator(".chip")).to_have_count(2)
    page.keyboard.press("Escape")
    page.locator("h1").first.click(force=True)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()


def test_not_a_match_goes_away(open_page: Open) -> None:
    page = open_page("/?q=dog&to=image")
    wait_for_results(page)
    gone = names(page)[0]
    page.locator(".tile__open").first.focus()
    page.keyboard.press("n")
    expect(page.locator(".chip--minus")).to_have_count(1)
    wait_for_results(page)
    assert gone not in names(page)
    expect(page.locator(".tile__open").first).to_be_focused()
    page.locator(".tile__open").first.press("n")
    expect(page.locator(".chip--minus")).to_have_count(2)
    page.get_by_role("button", name="Undo").last.click()
    expect(page.locator(".chip--minus")).to_have_count(1)
    page.get_by_role("button", name=re.compile(f"Remove like {gone}")).click()
    expect(page.locator(".chip--minus")).to_have_count(0)
    expect(page.locator(".tile__name").first).to_have_text(gone)


def test_results_fill_in_while_scrolling_and_rows_fill_the_width(open_page: Open) -> None:
    page = open_page("/?q=music")
    wait_for_results(page)
    before = page.locator(".tile").count()
    page.mouse.wheel(0, 20_000)
    expect(page.locator(".tile")).not_to_have_count(before)
    tops = page.evaluate(
        """() => {
            const rows = new Map();
            const list = document.querySelector('.grid').getBoundingClientRect();
            for (const tile of document.querySelectorAll('.tile')) {
                const box = tile.getBoundingClientRect();
                const top = Math.round(box.top);
                rows.set(top, Math.max(rows.get(top) ?? 0, box.right - list.left));
            }
            return [Math.floor(list.width), [...rows.values()]];
        }"""
    )
    width, rights = tops
    full = [right for right in rights if abs(right - width) <= 1.5]
    assert len(full) >= len(rights) - 2


def test_sounds_play_and_videos_start_where_they_were_found(open_page: Open) -> None:
    # The longest sound: it must still be playing when it is looked at.
    page = open_page("/?q=rain&to=audio&where=name:rain_thunderstorm.ogg")
    wait_for_results(page)
    page.locator(".wave__play").first.click()
    expect(page.locator(".wave.is-playing")).to_have_count(1)
    page.locator(".wave__play").first.click()
    expect(page.locator(".wave.is-playing")).to_have_count(0)
    page = open_page("/?q=rain&to=video&spans=1")
    wait_for_results(page)
    later = (
        page.locator(".tile").filter(has=page.locator(".tile__badge", has_text=re.compile("0:0[2-9]"))).first
    )
    start_s = int(later.locator(".tile__badge").inner_text().split(":")[1])
    later.locator(".tile__open").click()
    video = page.locator("#preview video")
    page.wait_for_function(
        "start => Math.abs(document.querySelector('#preview video').currentTime - start) < 1.1", arg=start_s
    )
    expect(video).to_be_visible()


def test_a_part_of_a_picture_can_be_searched_with(open_page: Open, repository: Path) -> None:
    page = open_page("/?q=image:cat_kitten.jpg&to=image")
    wait_for_results(page)
    page.locator(".tile__open").first.click()
    page.get_by_role("button", name="Search a part").click()
    page.keyboard.press("Shift+ArrowLeft")
    shoot(page, repository, "crop")
    page.get_by_role("button", name="Search with this part").click()
    expect(page.locator(".chip__text")).to_have_text("part of a picture.png")
    wait_for_results(page)


def test_a_sound_can_be_recorded(open_page: Open) -> None:
    page = open_page()
    wait_for_results(page)
    page.get_by_role("button", name="Record a sound to search with").click()
    stop = page.get_by_role("button", name="Stop recording and search")
    expect(stop).to_be_visible()
    # The browser's made-up microphone beeps: what has been heard has been recorded.
    page.wait_for_function(
        "button => Number(button.style.getPropertyValue('--level')) > 0", arg=stop.element_handle()
    )
    stop.click()
    expect(page.locator(".chip__text")).to_have_text("recording.wav")


def test_nothing_of_the_library_runs_as_html(open_page: Open) -> None:
    page = open_page("/?where=type:txt,html")
    wait_for_results(page)
    assert EVIL_NAME in names(page)
    page.locator(".tile").filter(has_text=EVIL_NAME).locator(".tile__open").click()
    expect(page.get_by_role("heading", name=EVIL_NAME)).to_be_visible()
    assert page.locator("#preview img[src=x], .tile img[src=x]").count() == 0
    assert page.title() != "pwned"


def test_the_map_can_be_zoomed_and_points_chosen_with_a_lasso(open_page: Open, repository: Path) -> None:
    page = open_page("/#map")
    canvas = page.get_by_role("img", name=re.compile("Map of the library, [0-9]+ points"))
    expect(canvas).to_be_visible()
    shoot(page, repository, "map")
    canvas.focus()
    page.keyboard.press("+")
    page.keyboard.press("0")
    page.keyboard.down("Shift")
    page.mouse.move(300, 150)
    page.mouse.down()
    for x, y in ((1150, 150), (1150, 850), (300, 850), (300, 160)):
        page.mouse.move(x, y, steps=5)
    page.mouse.up()
    page.keyboard.up("Shift")
    expect(page.get_by_role("heading", name=re.compile("files? chosen"))).to_be_visible()
    expect(page.locator(".map__chosen .tile").first).to_be_visible()
    shoot(page, repository, "map-lasso")
    page.get_by_role("button", name="Search for more like these").click()
    expect(page.locator(".chip").first).to_be_visible()
    wait_for_results(page)


def test_the_indexing_view_tells_what_could_not_be_read(open_page: Open, repository: Path) -> None:
    page = open_page("/#indexing")
    expect(page.get_by_role("heading", name="1 file could not be read")).to_be_visible()
    expect(page.locator("td", has_text="broken.jpg")).to_be_visible()
    expect(page.locator(".state--done").first).to_be_visible()
    shoot(page, repository, "indexing")


def test_a_run_can_be_started_and_watched(open_page: Open) -> None:
    page = open_page("/#indexing")
    runs = page.locator("[aria-labelledby=card-runs] tbody tr")
    expect(runs).not_to_have_count(0)
    before = runs.count()
    page.get_by_role("button", name="Update now").click()
    expect(page.get_by_text("The run has begun")).to_be_visible()
    expect(runs).to_have_count(before + 1)
    expect(runs.first.locator(".state--done")).to_be_visible()
    expect(page.get_by_role("button", name="Update now")).to_be_visible()


def test_tags_can_be_given_in_the_preview(open_page: Open) -> None:
    page = open_page("/?q=image:duck.jpg&to=image")
    wait_for_results(page)
    page.locator(".tile__open").first.click()
    page.get_by_role("textbox", name="Add a tag").fill("pond")
    page.keyboard.press("Enter")
    expect(page.locator(".tag", has_text="pond")).to_be_visible()
    page.get_by_role("button", name="Remove the tag pond").click()
    expect(page.locator(".tag")).to_have_count(0)


def test_the_theme_can_be_switched_and_stays(open_page: Open) -> None:
    page = open_page()
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Switch to the dark theme").click()
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert light != dark
    page.reload()
    expect(page.get_by_role("button", name="Switch to the light theme")).to_be_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", list(SIZES))
def test_every_size_and_theme_fits_and_has_no_serious_barrier(
    open_page: Open, repository: Path, size: str, theme: str
) -> None:
    sum_ = '/?q=audio:dog_barking.ogg %2B 0.5*"in the snow" - 0.4*"a cat"&where=size_bytes<5MB'
    page = open_page(sum_, size=size, theme=theme)
    for view in ("results", "preview", "indexing", "map"):
        if view == "preview":
            page.locator(".tile__open").first.click()
            expect(page.locator("#preview .facts")).to_be_visible()
        elif view == "results":
            wait_for_results(page)
        else:
            page.keyboard.press("Escape")
            page.locator(f".views__link[data-view={view}]").click()
            expect(page.locator(".card, .map__legend label").first).to_be_visible()
        overflow = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert overflow <= 0, f"{view} is wider than the {size}"
        shoot(page, repository, f"{view}-{size}-{theme}")
        found = Axe().run(page).response["violations"]
        barriers = [
            (rule["id"], [node["html"] for node in rule["nodes"]][:3])
            for rule in found
            if rule["impact"] in ("serious", "critical")
        ]
        assert barriers == [], view
