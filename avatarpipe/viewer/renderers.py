"""Two ways to get Gaussians onto a screen: the browser draws them, or the server does and sends pictures."""

import math
import time
from dataclasses import dataclass, field

import numpy as np
import viser

from avatarpipe.gaussians.cloud import GaussianCloud
from avatarpipe.viewer.pictures import Pace, Rate, Viewpoint, picture, viewpoint
from avatarpipe.viewer.splats import MOVING, STILL, UNIT, packed, thinned

RENDERERS = ("browser", "server")
_REST = 0.3  # seconds without change after which a thing is still


@dataclass
class Shown:
    """What is to be seen: a cloud, which one it is, the colour behind it, where its floor is, how fine a picture may be."""

    cloud: GaussianCloud | None
    version: int
    background: tuple[int, int, int]
    floor: float | None = None
    detail: float = 1.0


class Stillness:
    """Whether something has kept its value for a while."""

    def __init__(self):
        self._value, self._since = None, 0.0

    def moving(self, value, now: float) -> bool:
        """Tell the present value; whether it changed in the last moments. What is first seen is still."""
        if self._value is None:
            self._value, self._since = value, -math.inf
        elif value != self._value:
            self._value, self._since = value, now
        return now - self._since < _REST


class BrowserRenderer:
    """Sends Gaussians to viser's own renderer: 32 bytes each and pose, so the fewer while they move."""

    def __init__(self, server: viser.ViserServer):
        self.server = server
        self.rate = Rate()
        self.note = ""
        self._node = self._floor = None
        self._sent: tuple | None = None
        self._stillness = Stillness()
        self._backgrounds: dict[int, tuple] = {}

    def draw(self, shown: Shown, clients: dict[int, viser.ClientHandle]) -> None:
        """Send what is new since the last time."""
        self._paint(shown, clients)
        moving = self._stillness.moving(shown.version, time.monotonic())
        count = 0 if shown.cloud is None else len(shown.cloud)
        kept = min(count, MOVING if moving else STILL)
        if (shown.version, kept) == self._sent:
            return
        self._send(shown.cloud if kept == count else thinned(shown.cloud, kept))
        self._sent = shown.version, kept
        self.rate.tick()
        sent = f"{kept:,} of {count:,} Gaussians" if kept < count else f"{count:,} Gaussians"
        self.note = f"the browser draws {sent}, {32 * kept / 1e6:.1f} MB a pose"

    def _send(self, cloud: GaussianCloud | None) -> None:
        buffer = packed(cloud)
        if self._node is None:
            one = np.zeros((1, 3))
            self._node = self.server.scene.add_gaussian_splats(
                "/avatar", one, np.zeros((1, 3, 3)), one, np.zeros((1, 1)), scale=UNIT
            )
        self._node.buffer = buffer

    def _paint(self, shown: Shown, clients: dict[int, viser.ClientHandle]) -> None:
        self._backgrounds = {k: v for k, v in self._backgrounds.items() if k in clients}
        for key, client in clients.items():
            if self._backgrounds.get(key) != shown.background:
                client.scene.set_background_image(
                    np.full((2, 2, 3), shown.background, np.uint8), format="png"
                )
                self._backgrounds[key] = shown.background
        if shown.floor is None:
            self._lift_floor()
        elif self._floor is None:
            self._floor = self.server.scene.add_grid(
                "/floor", width=4.0, height=4.0, plane="xz", cell_size=0.25, section_size=1.0,
                cell_color=(205, 208, 212), section_color=(170, 174, 180), position=(0.0, shown.floor, 0.0),
            )  # fmt: skip
        elif self._floor.position[1] != shown.floor:
            self._floor.position = (0.0, shown.floor, 0.0)

    def _lift_floor(self) -> None:
        if self._floor is not None:
            self._floor.remove()
            self._floor = None

    def close(self) -> None:
        """Take everything away again."""
        self._lift_floor()
        if self._node is not None:
            self._node.remove()
        self._node = self._sent = None
        self._backgrounds = {}


@dataclass
class _Window:
    """One browser and what it was last sent."""

    view: Viewpoint | None = None
    stillness: Stillness = field(default_factory=Stillness)
    turns: int = 0
    sent: tuple | None = None

    def turned_to(self, view: Viewpoint) -> int:
        """How often the camera has moved so far."""
        if not view.same(self.view):
            self.view, self.turns = view, self.turns + 1
        return self.turns


class ServerRenderer:
    """Renders at each browser's camera and sends JPEGs, coarse while anything moves."""

    def __init__(self, server: viser.ViserServer):
        self.server = server
        self.rate = Rate()
        self.pace = Pace()
        self.note = "the server draws"
        self._windows: dict[int, _Window] = {}

    def draw(self, shown: Shown, clients: dict[int, viser.ClientHandle]) -> None:
        """Send a picture to each browser that has not seen this."""
        self._windows = {key: self._windows.get(key) or _Window() for key in clients}
        for key, client in clients.items():
            window = self._windows[key]
            turns = window.turned_to(viewpoint(client.camera))
            seen = shown.version, shown.background, shown.detail, turns
            moving = window.stillness.moving(seen, time.monotonic())
            if window.sent != (seen, moving):
                self._picture(shown, client, window.view, moving)
                window.sent = seen, moving

    def _picture(
        self, shown: Shown, client: viser.ClientHandle, view: Viewpoint, moving: bool
    ) -> None:
        start = time.perf_counter()
        scale = min(self.pace.scale, shown.detail) if moving else shown.detail
        image = picture(shown.cloud, view, shown.background, scale)
        client.scene.set_background_image(image, format="jpeg", jpeg_quality=80 if moving else 92)
        if moving:
            self.pace.measured(time.perf_counter() - start)
        self.rate.tick()
        height, width = image.shape[:2]
        took = 1e3 * (time.perf_counter() - start)
        self.note = f"the server draws {width} x {height} in {took:.0f} ms"

    def close(self) -> None:
        """Forget what was sent; the next renderer paints its own background."""
        self._windows = {}
