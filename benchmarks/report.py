"""Size and speed of the page of ``homog report`` in Chromium, and its picture for the docs.

    python benchmarks/report.py run/ --rival to/ --picture docs/images/report.png

Needs the extra ``browser`` and Chromium. Designs are repeated until there are 100. Without a GPU
the view is drawn by SwiftShader on the processor: any graphics card is faster.
"""

import argparse
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from design.report.content import content
from design.report.page import page as page_text

DESIGNS = 100
PICTURED = 10  # row of the unit in the picture
SIZE = {"width": 1280, "height": 800}
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--use-gl=angle", "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
DRAWN = """() => {
  const canvas = document.querySelector("#stage canvas");
  if (canvas.width === 300) return 0;  // as it is before the first frame
  canvas.toDataURL();  // waits for the frame
  return performance.now();
}"""
CHANGE = """async (change) => {
  const canvas = document.querySelector("#stage canvas"), begin = performance.now();
  eval(change);
  await new Promise(requestAnimationFrame);
  await new Promise(requestAnimationFrame);
  canvas.toDataURL();
  return performance.now() - begin;
}"""
NEXT = "document.querySelector('#units tbody tr:not([data-picked])').click()"
TILE = "document.querySelector('[name=tiles][value=\"{}\"]').click()"


def many(shown):
    """The content with its designs repeated."""
    designs = [unit for unit in shown["units"] if unit["kind"] == "design"]
    others = [unit for unit in shown["units"] if unit["kind"] != "design"]
    repeated = (designs * -(-DESIGNS // len(designs)))[:DESIGNS]
    return {**shown, "units": repeated + others}


def opened(browser, path, **options):
    """A new page, and milliseconds until its view is drawn."""
    page = browser.new_page(viewport=SIZE, bypass_csp=True, **options)
    page.goto(f"file://{path}")
    return page, page.wait_for_function(DRAWN).json_value()


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder")
    parser.add_argument("--rival", action="append", default=[])
    parser.add_argument("--picture")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    arguments = parser.parse_args()
    shown = content(arguments.folder, arguments.rival)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as started:
        one, hundred = Path(folder) / "one.html", Path(folder) / "hundred.html"
        one.write_text(page_text(shown))
        hundred.write_text(page_text(many(shown)))
        print(f"{hundred.stat().st_size / 1e6:.2f} MB with {DESIGNS} designs")
        browser = started.chromium.launch(executable_path=arguments.chromium, args=list(ARGUMENTS))
        for attempt in range(3):
            page, first = opened(browser, hundred)
            print(f"{first:6.0f} ms to the first view, attempt {attempt + 1}")
            if attempt < 2:
                page.close()
        time.sleep(2)
        for name, change in (
            ("another unit", NEXT), ("2 x 2 x 2 cells", TILE.format(2)),
            ("3 x 3 x 3 cells", TILE.format(3)),
        ):  # fmt: skip
            print(f"{page.evaluate(CHANGE, change):6.0f} ms to {name}")
            time.sleep(2)
        if arguments.picture:
            page, _ = opened(browser, one)
            page.set_viewport_size({"width": 1280, "height": 960})
            page.locator("#units tbody tr").nth(PICTURED).click()
            page.locator("[name=share]").fill("75")
            page.evaluate("document.activeElement.blur(), scrollTo(0, 0)")
            time.sleep(3)
            page.screenshot(path=arguments.picture)
        browser.close()


if __name__ == "__main__":
    main()
