"""The page of a report in Chromium: it loads nothing, shows what is clicked, and makes valid files.

Needs the extra ``browser`` and Chromium in CHROMIUM.
"""

import base64
import csv
import io
import os
import shutil
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from runs import finished_run

from design.designs import read_designs
from design.report import write_report
from design.report.content import content
from design.report.page import page as page_text
from homog.units.family import unfold

playwright = pytest.importorskip(
    "playwright.sync_api", reason="needs playwright: pip install 'homog-toolkit[browser]'"
)
trimesh = pytest.importorskip("trimesh", reason="needs the extra files")

CHROMIUM = os.environ.get("CHROMIUM", shutil.which("chromium") or "/usr/bin/chromium")
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--use-gl=angle", "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
CHANGED = 1.0  # grey values in the mean: how finely a view is drawn changes it by less
INJECTED = "<img src=x onerror=window.hurt=1>"
HOSTILE = "</script><img src=x onerror=window.hurt=1><b>bold</b>"

pytestmark = pytest.mark.skipif(
    not Path(CHROMIUM).exists(), reason=f"no Chromium at {CHROMIUM}; name one in CHROMIUM"
)


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    return finished_run(model, tmp_path_factory.mktemp("page") / "run")


@pytest.fixture(scope="module")
def report(folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(folder, path)
    return path


@contextmanager
def opened(browser, path, **options):
    """The page of a file, with all that it requests and complains of."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, **options)
    page = context.new_page()
    page.heard = []
    page.on("request", lambda request: page.heard.append(request.url))
    page.on("pageerror", lambda error: page.heard.append(str(error)))
    page.on("console", lambda said: said.type == "error" and page.heard.append(said.text))
    page.goto(f"file://{path}")
    page.wait_for_selector("#details table")
    yield page
    context.close()


@pytest.fixture
def shown(browser, report):
    with opened(browser, report) as page:
        yield page


def picture(page):
    """Pixels of the view when nothing in it changes any more."""
    page.wait_for_timeout(900)
    return page.locator("#stage canvas").screenshot()


def saved(page, ending, tmp_path):
    with page.expect_download() as download:
        page.get_by_role("button", name=f".{ending}").first.click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_it_loads_without_errors_and_without_the_network(shown, report):
    picture(shown)
    shown.locator("#units").scroll_into_view_if_needed()
    picture(shown)
    assert shown.heard == [f"file://{report}"]


def test_it_works_offline(browser, report):
    with opened(browser, report, offline=True) as page:
        assert page.locator("#front path.mark").count() > 0
        assert len(page.heard) == 1


def test_a_click_on_the_front_shows_another_unit(shown):
    before, name = picture(shown), shown.locator("#chosen").inner_text()
    marks = shown.locator("#front .plot path.mark")
    boxes = [marks.nth(n).bounding_box() for n in range(marks.count())]
    frame = shown.locator("#front .plot")
    inside = frame.bounding_box()
    for box in boxes:
        place = {
            "x": box["x"] + box["width"] / 2 - inside["x"],
            "y": box["y"] + box["height"] / 2 - inside["y"],
        }
        frame.click(position=place)
        if shown.locator("#chosen").inner_text() != name:
            break
    chosen = shown.locator("#chosen").inner_text()
    assert chosen != name
    assert shown.locator("#details h2").inner_text() == chosen
    assert chosen in shown.locator("tr[data-picked]").inner_text()
    assert mean_difference(picture(shown), before) > CHANGED


def test_keys_go_through_the_front(shown):
    names = set()
    shown.locator("#front .plot").focus()
    for _ in range(3):
        names.add(shown.locator("#chosen").inner_text())
        shown.keyboard.press("ArrowRight")
    assert len(names) == 3


def test_the_unit_turns_is_tiled_and_is_cut(shown):
    pictures = [picture(shown)]
    canvas = shown.locator("#stage canvas")
    box = canvas.bounding_box()
    shown.mouse.move(box["x"] + 200, box["y"] + 200)
    shown.mouse.down()
    shown.mouse.move(box["x"] + 260, box["y"] + 220)
    shown.mouse.up()
    pictures.append(picture(shown))
    canvas.focus()
    for _ in range(3):
        shown.keyboard.press("ArrowLeft")
    pictures.append(picture(shown))
    shown.mouse.wheel(0, -300)
    pictures.append(picture(shown))
    for tiles in ("2", "3"):
        shown.locator(f"[name=tiles][value='{tiles}']").check(force=True)
        pictures.append(picture(shown))
    shown.locator("[name=share]").fill("50")
    pictures.append(picture(shown))
    shown.locator("[name=plane]").select_option("(111)")
    pictures.append(picture(shown))
    changes = [mean_difference(*pair) for pair in pairwise(pictures)]
    assert min(changes) > CHANGED
    shown.get_by_role("button", name="reset").click()
    shown.locator("[name=share]").fill("100")
    shown.locator("[name=tiles][value='1']").check(force=True)
    assert mean_difference(picture(shown), pictures[0]) < CHANGED


def mean_difference(*pictures):
    """Of grey values: how finely a picture is drawn depends on how busy the machine is."""
    first, second = (
        np.asarray(Image.open(io.BytesIO(picture)).convert("L"), float) for picture in pictures
    )
    return np.abs(first - second).mean()


def test_numbers_on_the_page_are_those_of_the_run(shown, folder):
    designs = read_designs(folder / "designs.h5")
    row = shown.locator("#details tbody tr").first.locator("td")
    expected = [designs.predicted("E")[0], designs.predicted("E", "aleatoric")[0],
                designs.predicted("E", "epistemic")[0], designs.predicted("E", "total")[0],
                designs.true("E")[0]]  # fmt: skip
    found = [float(row.nth(n).inner_text().replace(",", "")) for n in range(5)]
    assert found == pytest.approx(expected, rel=5e-3)


def test_downloads_are_the_files_of_the_run(shown, folder, tmp_path):
    expected = np.load(folder / "units" / "design-000.npy")
    cell = np.load(saved(shown, "npy", tmp_path), allow_pickle=False)
    assert cell.dtype == bool
    assert np.array_equal(cell, expected)
    with saved(shown, "csv", tmp_path).open() as made, (folder / "front.csv").open() as known:
        assert list(csv.reader(made)) == list(csv.reader(known))[:2]
    mesh = trimesh.load(saved(shown, "stl", tmp_path))
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.volume == pytest.approx(expected.mean() * 10**3, rel=0.01)
    assert mesh.bounds[1].max() <= 10.0 + 1e-6


def test_a_mesh_is_closed_where_voxels_touch_along_an_edge(browser, folder, tmp_path):
    shown = content(folder)
    octant = np.zeros((8, 8, 8), bool)
    octant[2:5, 2:5, 2:5] = octant[5:7, 5:7, 2:5] = octant[0, 7, 3] = True
    octant |= np.transpose(octant, (1, 2, 0)) | np.transpose(octant, (2, 0, 1))
    octant |= np.transpose(octant, (1, 0, 2))
    shown["units"][0] |= {"octant": base64_of(octant), "edge": 16}
    path = tmp_path / "report.html"
    path.write_text(page_text(shown))
    with opened(browser, path) as page:
        mesh = trimesh.load(saved(page, "stl", tmp_path))
        cell = np.load(saved(page, "npy", tmp_path))
    assert np.array_equal(cell, unfold(octant))
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(octant.mean() * 10**3, rel=0.01)


def base64_of(octant):
    return base64.b64encode(np.packbits(octant).tobytes()).decode()


def test_texts_of_strangers_stay_texts(browser, folder, tmp_path):
    shown = content(folder)
    shown["units"][0] |= {"name": HOSTILE, "problems": [{"kind": HOSTILE, "text": HOSTILE}]}
    shown["notices"] = [HOSTILE]
    shown["provenance"]["commands"] = [HOSTILE]
    path = tmp_path / "report.html"
    path.write_text(page_text(shown))
    with opened(browser, path) as page:
        assert page.locator("#chosen").inner_text() == HOSTILE
        assert page.locator("#notices li").inner_text() == HOSTILE
        assert page.locator("img, b:has-text('bold')").count() == 0
        assert page.evaluate("window.hurt") is None
        page.evaluate(f"document.body.insertAdjacentHTML('beforeend', {INJECTED!r})")
        page.wait_for_timeout(200)
        assert page.evaluate("window.hurt") is None


@pytest.mark.parametrize("goals", [("E",), ("nu", "E")])
def test_one_design_and_one_goal_make_a_page(browser, folder, tmp_path, goals):
    shown = content(folder)
    shown["units"] = [shown["units"][0]]
    shown["task"]["goals"] = [{"name": name, "maximize": True} for name in goals]
    path = tmp_path / "report.html"
    path.write_text(page_text(shown))
    with opened(browser, path, color_scheme="dark") as page:
        assert page.locator("#figures b").first.inner_text() == "1"
        picture(page)
        assert len(page.heard) == 1


def test_the_table_is_sorted_and_filtered(shown, folder):
    count = len(read_designs(folder / "designs.h5"))
    rows = shown.locator("#units tbody tr")
    shown.locator("#units .filters button", has_text="designs").click()
    assert rows.count() == count
    shown.locator("#units thead").get_by_role("button", name="K", exact=True).click()
    column = shown.evaluate("document.querySelector('#units [aria-sort]').cellIndex")
    values = [
        float(rows.nth(n).locator("th, td").nth(column).inner_text().replace(",", ""))
        for n in range(count)
    ]
    assert values == sorted(values, reverse=True)


def test_without_webgl_the_rest_works(browser, report):
    context = browser.new_context()
    page = context.new_page()
    page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
    page.goto(f"file://{report}")
    assert "WebGL 2" in page.locator("#stage").inner_text()
    assert page.locator("#details table").count() == 1
    context.close()


def test_light_and_dark(shown):
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    before = shown.evaluate(ground)
    shown.locator("#theme").click()
    assert shown.evaluate(ground) != before
