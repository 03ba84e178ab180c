"""Pictures made on the server: at a browser's camera, coarser while things move, as fine as its window once they rest."""

import time
from dataclasses import dataclass

import numpy as np
import torch

from avatarpipe.cameras import Cameras, intrinsics
from avatarpipe.gaussians.cloud import GaussianCloud
from avatarpipe.gaussians.render import render

_LARGEST = 2160  # pixels a side


@dataclass(frozen=True)
class Viewpoint:
    """A browser's camera: OpenCV axes, as viser gives it."""

    rotation: np.ndarray  # (3, 3) camera to world
    position: np.ndarray  # (3,)
    fov: float  # vertical, radians
    width: int
    height: int

    def same(self, other: "Viewpoint | None") -> bool:
        """Whether both see the same picture."""
        return (
            other is not None
            and (self.fov, self.width, self.height) == (other.fov, other.width, other.height)
            and np.allclose(self.rotation, other.rotation, atol=1e-6)
            and np.allclose(self.position, other.position, atol=1e-6)
        )

    def camera(self, scale: float = 1.0) -> Cameras:
        """The camera of a picture `scale` times the window's size, at least 16 and at most 2160 pixels a side."""
        scale = min(scale, _LARGEST / max(self.width, self.height))
        width, height = (max(16, round(side * scale)) for side in (self.width, self.height))
        w2c = np.eye(4)
        w2c[:3, :3] = self.rotation.T
        w2c[:3, 3] = -self.rotation.T @ self.position
        K = intrinsics(np.degrees(self.fov), width, height)
        return Cameras(w2c[None], K[None], width, height, ("browser",))


def viewpoint(camera) -> Viewpoint:
    """That of viser's camera handle."""
    w, x, y, z = camera.wxyz / np.linalg.norm(camera.wxyz)
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    size = max(int(camera.image_width), 1), max(int(camera.image_height), 1)
    return Viewpoint(rotation, np.array(camera.position), float(camera.fov), *size)


@torch.no_grad()
def picture(
    cloud: GaussianCloud | None, view: Viewpoint, background: tuple[int, int, int], scale=1.0
) -> np.ndarray:
    """(H, W, 3) uint8 of the cloud over a background colour (0 to 255)."""
    camera = view.camera(scale)
    if cloud is None:
        return np.full((camera.height, camera.width, 3), background, np.uint8)
    colour = torch.tensor(background, dtype=torch.float32, device=cloud.device) / 255
    plain = GaussianCloud(
        cloud.means, cloud.quats, cloud.scales, cloud.opacities, cloud.colors, cloud.sh, cloud.kind
    )  # without feature channels, which nobody sees
    rgb = render(plain, camera, background=colour).rgb[0]
    return (rgb.clamp(0, 1) * 255 + 0.5).byte().cpu().numpy()


@dataclass
class Pace:
    """How fine pictures of moving things may be to come `budget` seconds apart."""

    budget: float = 0.08
    scale: float = 0.5
    least: float = 0.4

    def measured(self, seconds: float) -> None:
        """Learn from a picture that took `seconds` at the present scale; its cost grows with the number of pixels."""
        wanted = self.scale * (self.budget / max(seconds, 1e-4)) ** 0.5
        step = min(max(wanted, self.scale * 0.5), self.scale * 1.3)
        self.scale = min(max(step, self.least), 1.0)


class Rate:
    """Events a second over the last two seconds."""

    def __init__(self, window: float = 2.0):
        self.window = window
        self._times: list[float] = []

    def tick(self, now: float | None = None) -> None:
        """One more."""
        now = time.monotonic() if now is None else now
        self._times = [t for t in self._times if t > now - self.window] + [now]

    def value(self, now: float | None = None) -> float:
        """Events a second; 0 where there are fewer than two."""
        now = time.monotonic() if now is None else now
        times = [t for t in self._times if t > now - self.window]
        return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 0.0
