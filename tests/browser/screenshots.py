"""Pictures for the user guide: `python -m tests.browser.screenshots URL FOLDER`, of a desk that holds sample news only.

Each picture is one page at one width; charts are waited for, so that none is empty.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from tests.browser.conftest import FLAGS
from tests.tools import require_tool

PICTURES = (
    ("now", "", 1280, "light"),
    ("now-dark", "", 1280, "dark"),
    ("now-phone", "", 390, "light"),
    ("news", "news?sentiment=negative", 1280, "light"),
    ("news-chinese", "news?sentiment=negative", 1280, "light"),
    ("topics", "topics?topic=credit_distress&range=30d", 1280, "light"),
    ("watchlist", "watchlist?range=30d", 1280, "light"),
    ("alerts", "alerts", 1280, "light"),
    ("rules", "alerts?view=rules", 1280, "light"),
    ("score", "score", 1280, "light"),
    ("feeds", "feeds", 1280, "light"),
    ("model", "model", 1280, "light"),
    ("settings", "settings", 1280, "light"),
)
PATIENCE_MS = 180_000


def settle(page: Page) -> None:
    page.wait_for_selector("h1")
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
    page.wait_for_function(
        "[...document.querySelectorAll('[data-testid=stPlotlyChart]')].every(e => e.querySelector('.main-svg'))"
        " && !document.querySelector('[data-testid=stSkeleton]')"
    )
    page.wait_for_timeout(1500)


def _shrink(path: Path) -> None:
    """256 colours are enough for a page of text and charts, at a third of the size."""
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def main(url: str, folder: Path, wanted: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as play:
        path = require_tool("chromium", "/usr/bin/chromium")
        chromium = play.chromium.launch(executable_path=path, args=list(FLAGS))
        for name, address, width, scheme in PICTURES:
            if wanted and name not in wanted:
                continue
            context = chromium.new_context(
                viewport={"width": width, "height": 800},
                color_scheme="dark" if scheme == "dark" else "light",
                locale="zh-CN" if name.endswith("chinese") else "en-GB",
                timezone_id="Asia/Shanghai" if name.endswith("chinese") else "Europe/Zurich",
            )
            page = context.new_page()
            page.set_default_timeout(PATIENCE_MS)
            page.goto(f"{url}/{address}")
            settle(page)
            if name == "score":
                page.get_by_label("Text", exact=True).fill(
                    "Calderwick Bank's deposits fell by a fifth in a week, two people familiar with the matter said. "
                    "The lender denied that it was seeking emergency funding. Its shares recovered after the statement."
                )
                page.get_by_role("button", name="Score", exact=True).click()
                page.get_by_text("Sentence by sentence").wait_for()
                page.wait_for_timeout(1500)
            height = int(page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight"))
            page.set_viewport_size({"width": width, "height": min(max(height + 8, 600), 2200)})
            settle(page)
            page.screenshot(path=str(folder / f"{name}.png"), timeout=PATIENCE_MS)
            _shrink(folder / f"{name}.png")
            context.close()
        chromium.close()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
