"""Chromium with the page of a running server, and what a person does there.

Playwright, the server and the evaluation are imported where they are used: every process of a test run loads this
plugin, and most tests do without them.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import pytest

from tests.fakes.release import some_questions, write_release

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Dialog, Error, Page, Request, Route

    from tests.plugins.web_server import RunningServer

CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "chromium-browser"))), None
)
"""The headless shell, where it is installed, takes a quarter less CPU time."""
CHROMIUM_ARGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
)
TIMEOUT_MS = 60_000
ColorScheme = Literal["light", "dark"]

needs_browser = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="needs Chromium: apt-get install chromium-headless-shell, or set CHROMIUM"),
]

IS_SHOWN_AT = """time_s => {
  const player = document.querySelector("#player");
  const shown_s = Number(document.querySelector("#timeline").getAttribute("aria-valuenow"));
  return Math.abs(shown_s - time_s) < 0.5 && player.readyState >= 2 && !player.seeking;
}"""


class OpenPage(Protocol):
    """Opens the page of a server at a path."""

    def __call__(
        self, server: RunningServer, path: str = "/", width_px: int = 1280, scheme: ColorScheme = "light"
    ) -> Page: ...


@contextmanager
def chromium_tab() -> Iterator[Page]:
    """A tab of Chromium. Its event loop runs in this thread until the tab is closed."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=TIMEOUT_MS)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        page = chromium.new_context(reduced_motion="reduce").new_page()
        page.set_default_timeout(TIMEOUT_MS)
        yield page
        chromium.close()


@pytest.fixture
def open_page(tab: Page) -> Iterator[OpenPage]:
    """Asserts at the end that the pages had no errors and made no requests to other servers."""
    errors: list[str] = []
    listeners: list[tuple[Any, Callable[[Any], None]]] = []

    def open_page(server: RunningServer, path: str = "/", width_px: int = 1280, scheme: ColorScheme = "light") -> Page:
        _leave(tab, server)
        if not listeners:
            listeners.extend(_error_listeners(server, errors))
            for event, listener in listeners:
                tab.on(event, listener)
        tab.set_viewport_size({"width": width_px, "height": 900})
        tab.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        tab.goto(server.url + path)
        return tab

    yield open_page
    tab.unroute_all(behavior="ignoreErrors")
    for event, listener in listeners:
        tab.remove_listener(event, listener)
    assert not errors


def _leave(tab: Page, server: RunningServer) -> None:
    """Leave the page of another test, and keep nothing that it has stored.

    One tab serves all tests, because a new one costs more CPU time than a test. Pages of the same host share a process.
    """
    tab.goto(f"{server.url}/api/health")
    tab.evaluate("() => { localStorage.clear(); sessionStorage.clear(); }")
    tab.context.clear_cookies()
    tab.mouse.move(0, 0)


def _error_listeners(server: RunningServer, errors: list[str]) -> list[tuple[Any, Callable[[Any], None]]]:
    def on_console(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text or "Uncaught" in message.text:
            errors.append(message.text)

    def on_dialog(dialog: Dialog) -> None:
        errors.append(dialog.message)
        dialog.dismiss()

    def on_request(request: Request) -> None:
        if not request.url.startswith((server.url, "data:", "blob:")):
            errors.append(request.url)

    def on_page_error(error: Error) -> None:
        errors.append(str(error))

    return [("console", on_console), ("dialog", on_dialog), ("request", on_request), ("pageerror", on_page_error)]


@pytest.fixture
def run_library(tmp_path: Path) -> Path:
    """A library of two runs, ``one`` and ``two``, over the six questions of one data set."""
    from tests.plugins.runs import eval_config, run

    folder = tmp_path / "runs"
    folder.mkdir()
    release = write_release(folder / "data", some_questions(6))
    with ThreadPoolExecutor(1) as executor:  # the browser's event loop runs in this thread
        executor.submit(run, eval_config(release), folder / "one").result()
        executor.submit(run, eval_config(release, first_clip="gold"), folder / "two").result()
    return folder


def ask_on_page(page: Page, question: str, *options: str) -> None:
    """Fill in the form and submit it."""
    page.fill("#question", question)
    for number, option in enumerate(options):
        if page.locator(".option-input").count() <= number:
            page.click("#add-option")
        page.locator(".option-input").nth(number).fill(option)
    page.locator("#ask-button").press("Enter")  # a click can miss a button that moves while the page loads


def wait_until(page: Page, predicate: str, arg: object = None) -> None:
    """Evaluate a JavaScript function until it returns something true.

    Polls from Python: ``page.wait_for_function`` polls by eval inside the page, which the page's CSP forbids.
    """
    deadline_s = time.monotonic() + TIMEOUT_MS / 1000
    while not page.evaluate(predicate, arg):
        assert time.monotonic() < deadline_s, predicate
        page.wait_for_timeout(50)


def wait_until_shown(page: Page, time_s: float) -> None:
    """Wait until timeline and player have reached a time."""
    wait_until(page, IS_SHOWN_AT, time_s)


def shown_time_s(page: Page) -> float:
    """The time of the player in the video, as the timeline shows it (whole seconds)."""
    return float(page.get_attribute("#timeline", "aria-valuenow") or "nan")


def click_timeline(page: Page, fraction: float) -> None:
    """Click at a fraction of the timeline's width. Playwright waits until the timeline does not move."""
    timeline = page.locator("#timeline")
    timeline.wait_for(state="visible")
    box = timeline.bounding_box()
    assert box is not None
    timeline.click(position={"x": box["width"] * fraction, "y": box["height"] / 2})


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until an element has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"Tab does not reach {selector}")


class HeldRequests:
    """Loads the page of its address again and holds its requests for ``pattern``, whose replies wait for ``release``.

    The page is left before requests are held: one that its former document had still to make would be taken for the
    first request of the next document.
    """

    def __init__(self, page: Page, pattern: str) -> None:
        self._page = page
        self._routes: list[Route] | None = []
        url = page.url
        page.goto("about:blank")
        page.route(pattern, self._hold)
        page.goto(url)

    def _hold(self, route: Route) -> None:
        if self._routes is None:
            route.continue_()
        else:
            self._routes.append(route)

    def release(self, **response: Any) -> None:
        """Answer the requests that wait with ``response``; without one, and later requests, from the server. Waits for
        the first request, which the page may not have made yet."""
        for _ in range(3_000):
            if self._routes:
                break
            self._page.wait_for_timeout(20)
        routes, self._routes = self._routes or [], None
        for route in routes:
            route.fulfill(**response) if response else route.continue_()
