"""The /docs page in a real browser: it shows the contract, fits a phone, and asks nobody outside."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import sync_playwright
from twisted.internet.threads import deferToThread

from tests.processes import children

CHROMIUM = "/usr/bin/chromium"


def visit(address: str, width: int, height: int) -> dict[str, object]:
    """Open the page; what a person would see, and what the browser asked for."""
    asked: list[str] = []
    errors: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        try:
            page = browser.new_page(viewport={"width": width, "height": height})
            page.on("request", lambda request: asked.append(request.url))
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.goto(f"http://{address}/docs")
            page.get_by_text("/v1/users/{id}").first.wait_for()
            return {
                "title": page.title(),
                "asked": asked,
                "errors": errors,
                "summaries": page.get_by_text("/v1/users/{id}").count(),
                "overflow": page.evaluate(
                    "document.documentElement.scrollWidth - document.documentElement.clientWidth"
                ),
            }
        finally:
            browser.close()


async def test_the_docs_page_shows_the_contract_on_a_desk_and_on_a_phone(tmp_path: Path) -> None:
    with children(tmp_path) as start:
        child = start("users", "users-1")
        address, _ = await child.ready()
        for width, height in [(1280, 800), (360, 640)]:
            seen = await deferToThread(visit, address, width, height)
            assert seen["title"] == "users - API"
            assert seen["errors"] == []
            assert seen["overflow"] == 0
            assert all(url.startswith(f"http://{address}/") for url in seen["asked"])  # type: ignore[attr-defined]
