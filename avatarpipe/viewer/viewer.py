"""The viewer: one loop that runs what users ask for, poses the figure and has it drawn."""

import io
import logging
import queue
import threading
import time
from collections.abc import Callable

import numpy as np
import torch
import viser
from PIL import Image

from avatarpipe.errors import InputError
from avatarpipe.gaussians.cloud import GaussianCloud
from avatarpipe.viewer.follow import Follower, News
from avatarpipe.viewer.panels import (
    LookPanel,
    Mirror,
    MotionPanel,
    PosePanel,
    ShapePanel,
    note,
    on_change,
)
from avatarpipe.viewer.pictures import Rate, picture, viewpoint
from avatarpipe.viewer.renderers import RENDERERS, BrowserRenderer, ServerRenderer, Shown
from avatarpipe.viewer.stage import Stage

FOV_DEG = 30.0
_FASTEST = 1 / 40  # seconds between two poses
_REFRESH = 0.12  # seconds between two looks at the panels
_SMALLEST_PICTURE = 1080  # pixels high


class Viewer:
    """Panels, a renderer and a stage on one viser server. Everything but callbacks happens in the thread of `run`."""

    def __init__(self, server: viser.ViserServer, stage: Stage, renderer: str, follower: Follower):
        self.server, self.stage, self.follower = server, stage, follower
        self._posted: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._over = threading.Event()
        self._cloud: GaussianCloud | None = None
        self._posed = self._posed_avatar = None
        self._pose_rate, self._pose_seconds = Rate(), 0.0
        self._refreshed, self._mirror = 0.0, Mirror()
        self._renderers = {"browser": BrowserRenderer, "server": ServerRenderer}
        self.renderer_name = renderer
        self.renderer = self._renderers[renderer](server)
        self._pose_figure()
        self._set_up_scene()
        self._set_up_panels()

    def post(self, action: Callable[[], None]) -> None:
        """Have `action` run by the loop, in order."""
        self._posted.put(action)

    def stop(self) -> None:
        """End the loop; may be called from any thread or signal handler."""
        self._over.set()

    def run(self) -> None:
        """Until `stop`."""
        stop_following = self.follower.start(lambda news: self.post(lambda: self.hear(news)))
        try:
            while not self._over.is_set():
                start = time.monotonic()
                self.turn()
                self._over.wait(max(0.0, start + _FASTEST - time.monotonic()))
        finally:
            stop_following()

    def turn(self) -> None:
        """One round: what was posted, the motion, the picture, the panels. A failure is told, and the viewer goes on."""
        acted = False
        try:
            acted = self._run_posted()
            self.stage.advance()
            self._pose_figure()
            self.renderer.draw(self._shown(), self.server.get_clients())
        except InputError as error:
            self._tell(str(error))
        except Exception as error:  # whatever it is, other avatars and poses can still be looked at
            self._tell(f"{type(error).__name__}: {error}", error)
        if acted or time.monotonic() > self._refreshed + _REFRESH:
            self._refresh()

    def _tell(self, problem: str, unforeseen: Exception | None = None) -> None:
        """Once, however often it happens."""
        if problem != self.stage.problem:
            self.stage.problem, self._refreshed = problem, 0.0
            self._mirror.forget()  # the controls show what was asked for: back to what is
            if unforeseen is not None:
                logging.error("viewer", exc_info=unforeseen)

    def _run_posted(self) -> bool:
        """What was there when the turn began; what comes meanwhile, at the next one."""
        count = self._posted.qsize()
        for _ in range(count):
            self.stage.problem = ""
            self._posted.get()()
        return count > 0

    def hear(self, news: News) -> None:
        """Take in what the follower found."""
        if news.listed is not None:
            self.stage.listed = news.listed
        if news.status is not None:
            self.stage.status = news.status
        if news.avatar is not None:
            self.stage.put(news.avatar, news.found)
        elif news.status is not None:
            self._mirror.forget()  # the list shows the one that was asked for

    @torch.no_grad()
    def _pose_figure(self) -> None:
        figure = self.stage.figure
        if figure.version == self._posed:
            return
        self._posed = figure.version  # once only, even if it fails
        start = time.perf_counter()
        self._cloud = figure.cloud()
        self._pose_seconds = time.perf_counter() - start
        self._pose_rate.tick()
        if figure.avatar is not self._posed_avatar:
            self._posed_avatar = figure.avatar
            self._low, self._high = _extent(figure.avatar.pose(figure.avatar.captured[0]))

    def _shown(self) -> Shown:
        floor = float(self._low[1]) if self.stage.floor else None
        return Shown(self._cloud, self._posed, self.stage.background, floor, self.stage.detail)

    def _set_up_scene(self) -> None:
        self.server.scene.set_up_direction("+y")
        self.server.scene.world_axes.visible = False
        camera = self.server.initial_camera
        camera.fov = np.radians(FOV_DEG)
        camera.position, camera.look_at = self._overview()

    def _overview(self) -> tuple[np.ndarray, np.ndarray]:
        """Where a camera stands and looks to see all of the figure from a little to its left."""
        middle, size = (self._low + self._high) / 2, self._high - self._low
        distance = 0.62 * max(size[1], 0.8 * size[0]) / np.tan(np.radians(FOV_DEG / 2))
        direction = np.array([0.3, 0.12, 1.0])
        return middle + distance * direction / np.linalg.norm(direction), middle

    def _set_up_panels(self) -> None:
        gui, stage = self.server.gui, self.stage
        gui.configure_theme(show_logo=False, show_share_button=False, brand_color=(60, 98, 150))
        gui.main_panel.dock_right()
        self.avatar = gui.add_dropdown("Avatar", (stage.found.name,))
        on_change(self.avatar, self.post, self._choose_avatar)
        self.status, self.rates = gui.add_html(""), gui.add_html("")
        tabs = gui.add_tab_group()
        with tabs.add_tab("Pose", viser.Icon.STRETCHING):
            self.panels = [PosePanel(gui, stage, self.post)]
        with tabs.add_tab("Motion", viser.Icon.RUN):
            self.panels.append(MotionPanel(gui, stage, self.post))
        with tabs.add_tab("Shape", viser.Icon.RULER_2):
            self.panels.append(ShapePanel(gui, stage, self.post))
        with tabs.add_tab("View", viser.Icon.EYE):
            self.panels.append(LookPanel(gui, stage, self.post))
            self._set_up_view(gui)
        self._refresh()

    def _set_up_view(self, gui: viser.GuiApi) -> None:
        self.drawn_by = gui.add_dropdown(
            "Drawn by", RENDERERS, initial_value=self.renderer_name,
            hint="The browser (Gaussians travel) or the server (pictures travel)",
        )  # fmt: skip
        on_change(self.drawn_by, self.post, self._choose_renderer)
        camera = gui.add_button("Reset camera", icon=viser.Icon.CAMERA_ROTATE)
        save = gui.add_button("Save picture", icon=viser.Icon.PHOTO_DOWN)

        @camera.on_click
        def _(event) -> None:
            self.post(lambda: self._reset_camera(event.client))

        @save.on_click
        def _(event) -> None:
            self.post(lambda: self._save_picture(event.client))

    def _choose_avatar(self, name: str) -> None:
        for found in self.stage.listed:
            if found.name == name and found != self.stage.found:
                self.stage.status = f"reading {name}"
                self.follower.want(found)

    def _choose_renderer(self, name: str) -> None:
        if name in self._renderers and name != self.renderer_name:
            self.renderer.close()
            self.renderer_name = name
            self.renderer = self._renderers[name](self.server)

    def _reset_camera(self, client: viser.ClientHandle) -> None:
        position, target = self._overview()
        with client.atomic():
            client.camera.up_direction = np.array([0.0, 1.0, 0.0])
            client.camera.position, client.camera.look_at = position, target
            client.camera.fov = np.radians(FOV_DEG)

    def _save_picture(self, client: viser.ClientHandle) -> None:
        """A PNG as the server draws it, at least 1080 pixels high, to the browser's downloads."""
        view = viewpoint(client.camera)
        scale = max(1.0, _SMALLEST_PICTURE / view.height)
        image = picture(self._cloud, view, self.stage.background, scale)
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "PNG")
        stamp = time.strftime("%H%M%S")
        name = f"{self.stage.figure.avatar.subject}_{stamp}.png"
        client.send_file_download(name, stream.getvalue(), save_immediately=True)

    def _refresh(self) -> None:
        self._refreshed = time.monotonic()
        stage, mirror = self.stage, self._mirror
        names = tuple(dict.fromkeys([f.name for f in stage.listed] + [stage.found.name]))
        mirror.show(self.avatar, names, of="options")
        mirror.show(self.avatar, stage.found.name)
        told = note(stage.problem, "#b02a2a") if stage.problem else note(stage.status)
        mirror.show(self.status, told, of="content")
        rates = note(f"{self.renderer.note}\n{self._rates()}")
        mirror.show(self.rates, rates, of="content")
        for panel in self.panels:
            panel.refresh(mirror)

    def _rates(self) -> str:
        poses, drawn = self._pose_rate.value(), self.renderer.rate.value()
        took = f"{1e3 * self._pose_seconds:.0f} ms a pose"
        return f"{took}, {poses:.1f} poses/s, {drawn:.1f} pictures/s" if poses or drawn else took


def _extent(cloud: GaussianCloud) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest corner (3,) of what shows, less the outermost thousandth at each side."""
    points = cloud.means[cloud.opacities > 0.1]
    points = (points if len(points) else cloud.means).cpu().numpy()
    return np.quantile(points, 0.001, axis=0), np.quantile(points, 0.999, axis=0)
