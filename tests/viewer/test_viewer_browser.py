"""The viewer in a real browser, headless: what a user sees when pressing and dragging."""

import io
import re
import shutil
import threading
import time
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image
from viewer_parts import coated_avatar

from avatarpipe.viewer.figure import Figure
from avatarpipe.viewer.follow import Follower, first_avatar
from avatarpipe.viewer.found import find_avatars
from avatarpipe.viewer.motions import MotionShelf
from avatarpipe.viewer.server import start_server, stop_server
from avatarpipe.viewer.stage import Stage
from avatarpipe.viewer.viewer import Viewer

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
playwright = pytest.importorskip(
    "playwright.sync_api", reason="requirements-test.txt has playwright"
)
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium here: apt-get install chromium"
)

FLAGS = (
    "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist", "--disable-dev-shm-usage",
)  # fmt: skip
SIZE = {"width": 860, "height": 420}
PATIENCE = 60.0  # seconds; software WebGL on a busy machine
# viser's quads have two coordinates, of whose third three.js complains once.
KNOWN_NOISE = "THREE.BufferGeometry.computeBoundingSphere(): Computed radius is NaN"


@dataclass
class Session:
    """A page and the viewer behind it."""

    page: object
    viewer: Viewer
    folder: object
    errors: list[str]

    def picture(self) -> np.ndarray:
        """(H, W, 3) of the canvas as it is on the screen, less what lies over it at the left."""
        box = self.page.locator("canvas").first.bounding_box()
        clip = {"x": box["x"], "y": box["y"], "width": box["width"], "height": box["height"]}
        return np.asarray(
            Image.open(io.BytesIO(self.page.screenshot(clip=clip))).convert("RGB")
        ).astype(int)

    def until(self, holds, what: str):
        """The first picture of which `holds` is true."""
        end = time.monotonic() + PATIENCE
        while True:
            image = self.picture()
            if holds(image):
                return image
            assert time.monotonic() < end, f"never seen: {what}"

    def at_rest(self) -> np.ndarray:
        """The first picture that is still the same a second later."""
        end = time.monotonic() + PATIENCE
        while True:
            image = self.picture()
            time.sleep(1.0)
            if np.abs(self.picture() - image).max() < 8:
                return image
            assert time.monotonic() < end, "it never rests"

    def tab(self, name: str) -> None:
        self.page.get_by_role("tab", name=name).click()

    def choose(self, label: str, option: str) -> None:
        """An option of a dropdown."""
        self.page.get_by_label(label, exact=True).locator("visible=true").first.click()
        self.page.get_by_role("option", name=option, exact=True).click()

    def text(self, pattern: str) -> str:
        """What the page shows that matches, once it does."""
        found = self.page.get_by_text(re.compile(pattern)).locator("visible=true").first
        found.wait_for(timeout=1e3 * PATIENCE)
        return found.inner_text()

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def session(browser, results, viewed_body, tmp_path_factory):
    """The viewer of a results folder with two subjects and a training in it, opened in a browser."""
    folder = tmp_path_factory.mktemp("opened") / "results"
    shutil.copytree(results / "zoe", folder / "zoe")
    shutil.copytree(results / "motions", folder / "motions")
    coated_avatar(viewed_body).save(folder / "ada/layered/outer/avatar")
    listed = find_avatars(folder)
    avatar, found = first_avatar(listed)
    assert avatar.subject == "ada"  # the youngest
    stage = Stage(Figure(avatar), MotionShelf((), folder), found, listed)
    follower = Follower(folder)
    follower.want(found)
    server = start_server("127.0.0.1", 0)
    viewer = Viewer(server, stage, "browser", follower)
    loop = threading.Thread(target=viewer.run)
    loop.start()
    page = browser.new_page(viewport=SIZE, accept_downloads=True)
    page.set_default_timeout(1e3 * PATIENCE)
    errors = []
    page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"http://127.0.0.1:{server.get_port()}")
    yield Session(page, viewer, folder, errors)
    page.close()
    viewer.stop()
    loop.join(30)
    stop_server(server)


def red(image: np.ndarray) -> np.ndarray:
    return (image[..., 0] > 130) & (image[..., 1] < 90) & (image[..., 2] < 90)


def blue(image: np.ndarray) -> np.ndarray:
    return (image[..., 2] > 130) & (image[..., 0] < 90) & (image[..., 1] < 110)


def span(mask: np.ndarray, axis: int) -> tuple[int, int]:
    """First and last row (axis 0) or column (axis 1) of a mask."""
    found = np.flatnonzero(mask.any(axis=1 - axis))
    return (int(found[0]), int(found[-1])) if len(found) else (0, 0)


def width(image: np.ndarray) -> int:
    first, last = span(blue(image) | red(image), 1)
    return last - first


def overlap(image: np.ndarray, other: np.ndarray) -> float:
    """Of the person: intersection over union."""
    return (blue(image) & blue(other)).sum() / max((blue(image) | blue(other)).sum(), 1)


def test_the_avatar_is_where_it_should_be(session):
    image = session.until(lambda i: red(i).sum() > 300 and blue(i).sum() > 900, "coat and person")
    height, across = image.shape[:2]
    top, bottom = span(blue(image), 0)
    first, last = span(blue(image), 1)
    assert top > 0.01 * height and bottom < 0.99 * height and bottom - top > 0.6 * height
    assert abs((first + last) / 2 - across / 2) < 0.15 * across
    coat = span(red(image), 0)
    assert top < coat[0] < coat[1] < bottom
    assert session.text("the browser draws [0-9,]+ Gaussians")


def test_poses_and_sliders_change_the_picture(session):
    captured = width(session.at_rest())
    session.tab("Pose")
    session.press("T-pose")
    spread = width(session.until(lambda i: width(i) > 1.05 * captured, "a T-pose"))
    session.choose("Part", "left arm")
    session.choose("Joint", "left_shoulder")
    slider = session.page.get_by_role("slider").locator("visible=true").nth(2)
    slider.focus()
    slider.press("End")  # z to 180 degrees: the arm folds over to the other side
    session.until(lambda i: width(i) < 0.75 * spread, "the arm folded")
    session.press("Straighten this joint")
    session.until(lambda i: abs(width(i) - spread) < 0.04 * spread, "the arm back")
    before = session.picture()
    session.press("random")
    session.until(
        lambda i: np.abs(i - before).max(axis=-1).__gt__(60).mean() > 0.01, "another pose"
    )
    session.press("captured")


def test_layers_come_and_go(session):
    session.tab("View")
    outer = session.page.get_by_label("outer", exact=True)
    outer.click()
    bare = session.until(lambda i: not red(i).any() and blue(i).sum() > 900, "no coat")
    outer.click()
    session.until(lambda i: red(i).sum() > 300, "the coat again")
    assert not red(bare).any()


def test_shape_changes_the_picture(session):
    height = np.ptp(span(blue(session.picture()), 0))
    session.tab("Shape")
    beta = session.page.get_by_role("slider").locator("visible=true").first
    beta.focus()
    beta.press("Home")  # -5: shorter by a tenth
    session.until(lambda i: np.ptp(span(blue(i), 0)) < 0.96 * height, "shorter")
    session.press("Shape of the subject")
    session.until(lambda i: np.ptp(span(blue(i), 0)) > 0.98 * height, "as tall as before")


def test_motions_play_pause_and_seek(session):
    session.tab("Motion")
    session.choose("Motion", "wave.npz")
    seen, end = set(), time.monotonic() + PATIENCE
    while len(seen) < 3 and time.monotonic() < end:
        seen.add(session.text(r"frame \d of 10"))
    assert len(seen) == 3
    arms = session.until(lambda i: blue(i).any(), "the person")
    session.until(
        lambda i: np.abs(i - arms).max(axis=-1).__gt__(60).mean() > 0.003, "an arm moving"
    )
    session.press("Pause")
    session.page.get_by_role("button", name="Play", exact=True).wait_for()
    held = session.text(r"frame \d of 10")
    time.sleep(0.5)
    assert session.text(r"frame \d of 10") == held
    slider = session.page.get_by_role("slider").locator("visible=true").first
    slider.focus()
    slider.press("End")
    session.text(r"frame 9 of 10")


def test_the_server_can_draw_too(session):
    session.tab("Pose")
    session.press("captured")
    session.tab("View")
    session.choose("Drawn by", "server")
    whole = session.picture().shape
    session.text(rf"the server draws {whole[1]} x {whole[0]}")
    image = session.at_rest()
    assert red(image).sum() > 300 and blue(image).sum() > 900
    session.choose("Drawn by", "browser")  # the same camera
    session.text("the browser draws")
    session.until(lambda i: overlap(i, image) > 0.8, "the same drawn by the browser")
    session.choose("Drawn by", "server")
    session.text(r"the server draws \d+ x \d+")
    canvas = session.page.locator("canvas").first.bounding_box()
    x, y = canvas["x"] + canvas["width"] / 2, canvas["y"] + canvas["height"] / 2
    session.page.mouse.move(x, y)
    session.page.mouse.down()
    session.page.mouse.move(x + 100, y, steps=4)
    session.page.mouse.up()
    session.until(lambda i: overlap(i, image) < 0.8, "from elsewhere")
    session.press("Reset camera")
    session.until(lambda i: overlap(i, image) > 0.8, "from the front")


def test_pictures_can_be_saved(session):
    session.tab("View")
    with session.page.expect_download() as download:
        session.press("Save picture")
    image = np.asarray(Image.open(download.value.path()).convert("RGB")).astype(int)
    assert re.fullmatch(r"ada_\d{6}\.png", download.value.suggested_filename)
    assert image.shape[0] == 1080 and red(image).sum() > 2000 and blue(image).sum() > 6000


def test_the_background_is_the_one_chosen(session):
    session.viewer.post(lambda: setattr(session.viewer.stage, "background", (10, 120, 30)))
    for drawn_by in ("server", "browser"):
        session.choose("Drawn by", drawn_by)
        session.until(
            lambda i: (np.abs(i[-30:-10, 5:25] - [10, 120, 30]).max(axis=-1) < 6).mean() > 0.5,
            "green",
        )
    session.viewer.post(lambda: setattr(session.viewer.stage, "background", (255, 255, 255)))


def test_another_avatar_with_a_shape_of_its_own(session):
    session.choose("Avatar", "zoe / animatable / full")
    session.text("^zoe, trained")
    session.until(lambda i: not red(i).any(), "ada gone")
    session.tab("Shape")
    assert "keeps the shape" in session.text("This avatar")
    assert session.page.get_by_role("button", name="Shape of the subject").is_disabled()
    session.tab("Motion")
    session.choose("Motion", "walk (made here)")
    session.text(r"frame [1-9]\d* of \d+")
    session.press("Pause")


def test_a_training_shows_up_and_is_followed(session, viewed_body):
    folder = session.folder / "bob/layered/outer"
    coated_avatar(viewed_body, "bob").save(folder / "snapshot")
    name = "bob / layered / outer / (in training)"
    end = time.monotonic() + PATIENCE
    while name not in session.viewer.avatar.options and time.monotonic() < end:
        time.sleep(0.1)
    session.choose("Avatar", name)
    session.text("^bob, in training: as of")
    session.until(lambda i: red(i).sum() > 300, "bob in a coat")
    better = coated_avatar(viewed_body, "bob")
    better.layers["outer"].cloud.colors[:] = better.layers["inner"].cloud.colors[0]
    better.save(folder / "snapshot")
    session.until(lambda i: not red(i).any() and blue(i).sum() > 900, "bob's new coat")
    better.save(folder / "avatar")
    shutil.rmtree(folder / "snapshot")
    session.text("^bob, trained")


def test_the_browser_had_nothing_to_complain_of(session):
    assert [error for error in session.errors if KNOWN_NOISE not in error] == []
    assert session.viewer.stage.problem == ""
