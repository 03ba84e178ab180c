"""What a driven figure is shown in front of: one colour, and a floor under its feet that takes its shadow.

Both are computed on the floor's plane, pixel by pixel, so that they cost milliseconds and need no scene. The shadow is no light
transport: the nearer the floor a part of the figure is, the darker is the floor straight under it.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from avatarpipe.cameras import Cameras

_SQUARE = 0.5  # metres
_TILES = 0.045, 0.10  # how much of mid grey is mixed into light and dark squares
_FADE = 1.0, 3.2  # metres from the figure between which the squares fade away
_SPAN, _CELL = 4.0, 0.025  # metres of the shadow's map and of one of its cells
_SOFT, _REACH = 0.045, 0.28  # metres of its blur, and of the height at which it is weaker by e
_DEPTH, _DENSITY = (
    0.55,
    0.35,
)  # its darkest, and figure per square metre that is darkened by 1 - 1/e of it


@dataclass(frozen=True)
class Floor:
    """The plane y = `height`, metres, in front of `color` (3,) sRGB; no floor where `height` is None."""

    color: tuple[float, float, float]
    height: float | None

    def behind(self, camera: Cameras, points: np.ndarray) -> np.ndarray:
        """(H, W, 3) float32 of what one camera sees where the figure, points (N, 3), is not."""
        image = np.empty((camera.height, camera.width, 3), np.float32)
        image[:] = self.color
        if self.height is None or not len(points):
            return image
        places, hit = self._places(camera)
        middle = np.median(points[:, [0, 2]], axis=0)
        away = np.linalg.norm(places - middle, axis=-1)
        near = np.clip((_FADE[1] - away) / (_FADE[1] - _FADE[0]), 0.0, 1.0)
        near = np.where(hit, near * near * (3 - 2 * near), 0.0)
        light, dark = _TILES
        grey = (light + (dark - light) * _checks(places / _SQUARE)) * near
        image += (grey[..., None] * (0.5 - image)).astype(np.float32)
        shade = np.where(
            hit, self._shadow(places - middle, points - [middle[0], 0, middle[1]]), 0.0
        )
        return image * (1.0 - shade[..., None]).astype(np.float32)

    def _places(self, camera: Cameras) -> tuple[np.ndarray, np.ndarray]:
        """(H, W, 2) x and z where the ray of each pixel meets the floor, and (H, W) whether it does, before 100 m."""
        x, y = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
        rays = np.stack([x, y, np.ones_like(x)], axis=-1) @ np.linalg.inv(camera.K[0]).T
        rays = rays @ camera.w2c[0, :3, :3]
        centre = camera.centres[0]
        with np.errstate(divide="ignore", invalid="ignore"):
            along = (self.height - centre[1]) / rays[..., 1]
        hit = np.isfinite(along) & (along > 0) & (along < 100.0)
        along = np.where(hit, along, 1.0)
        return centre[[0, 2]] + along[..., None] * rays[..., [0, 2]], hit

    def _shadow(self, places: np.ndarray, points: np.ndarray) -> np.ndarray:
        """(H, W) share of the light that the figure takes from `places` (H, W, 2); both from the figure's middle."""
        cells = int(_SPAN / _CELL)
        edges = np.linspace(-_SPAN / 2, _SPAN / 2, cells + 1)
        weights = np.exp(-np.maximum(points[:, 1] - self.height, 0.0) / _REACH)
        density, _, _ = np.histogram2d(points[:, 0], points[:, 2], [edges, edges], weights=weights)
        density = gaussian_filter(density / (len(points) * _CELL**2), _SOFT / _CELL)
        at = (places + _SPAN / 2) / _CELL - 0.5
        seen = map_coordinates(density, [at[..., 0], at[..., 1]], order=1)
        return _DEPTH * (1.0 - np.exp(-seen / _DENSITY))


def _checks(places: np.ndarray) -> np.ndarray:
    """(H, W) from 0 to 1: a chessboard of unit squares at `places` (H, W, 2), averaged over each pixel's own footprint.

    A chessboard is the product of two square waves; the mean of one over an interval is the difference of its integral, a
    triangle wave, at the ends.
    """
    waves = []
    for axis in (0, 1):
        value = places[..., axis]
        width = np.abs(np.gradient(value, axis=0)) + np.abs(np.gradient(value, axis=1)) + 1e-6
        waves.append((_triangle(value + width / 2) - _triangle(value - width / 2)) / width)
    return 0.5 - 0.5 * waves[0] * waves[1]


def _triangle(value: np.ndarray) -> np.ndarray:
    """The integral of a wave that is 1 on [0, 1), -1 on [1, 2) and so on."""
    return 1.0 - np.abs(value % 2.0 - 1.0)
