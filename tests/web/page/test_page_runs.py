"""Evaluation runs on the page."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from tests.plugins.browser import OpenPage, needs_browser
from tests.plugins.web_server import serving

pytestmark = needs_browser


def test_run_filtered_opened_and_compared(run_library: Path, open_page: OpenPage) -> None:
    with serving(run_library) as server:
        one, two = server.get("/api/runs")["runs"]
        rows = server.get(f"/api/runs/{one['id']}")["rows"]
        page = open_page(server)
        page.locator("#run-list").get_by_text("one").click()
        expect(page.locator("#run-rows tr")).to_have_count(6)
        expect(page.locator("#filter-verdict option")).to_have_text(["All", "Correct", "Wrong", "Failed"])
        num_correct = sum(row["correct"] for row in rows)
        page.select_option("#filter-verdict", "correct")
        expect(page.locator("#run-rows tr")).to_have_count(num_correct)
        page.select_option("#filter-verdict", "wrong")
        expect(page.locator("#run-rows tr")).to_have_count(6 - num_correct)
        page.select_option("#filter-verdict", "all")
        page.fill("#filter-text", "scene 3")
        expect(page.locator("#run-rows tr")).to_have_count(1)
        page.locator("#run-rows tr a").first.click()
        expect(page.locator("#steps .step").first).to_be_visible()
        expect(page.locator("#traces")).to_contain_text("A lantern")  # the gold answer
        page.reload()
        expect(page.locator("#steps .step").first).to_be_visible()
        page.select_option("#compare-with", two["id"])
        page.fill("#filter-text", "")
        expect(page.locator("#run-rows tr")).to_have_count(6)
        page.locator("#run-rows tr a").first.click()
        expect(page.locator(".steps")).to_have_count(2)
        expect(page.locator("#traces")).to_be_in_viewport()
        page.fill("#filter-text", "no such words")
        expect(page.locator("#run-count")).to_have_text("No question matches.")
