"""From where a moving figure is filmed: a camera a frame, all at one distance, that show all of it all the time."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import ConvexHull

from avatarpipe.cameras import Cameras
from avatarpipe.capture.capture import Capture
from avatarpipe.errors import InputError
from avatarpipe.evaluation.framing import framed_points

Shot = Literal["front", "orbit", "following"]
_ELEVATION_DEG, _MARGIN, _NARROWEST = 8.0, 1.1, 0.6
_LAG = 0.4  # seconds over which a following camera evens out the figure's way


def filmed(
    shot: Shot,
    bodies: Sequence[np.ndarray],
    way: np.ndarray,
    seen: Sequence[int],
    fps: float,
    height: int,
    aspect: float | None = None,
    azimuth_deg: float = 20.0,
) -> Cameras:
    """F cameras named by frame, 000000 and on.

    bodies: points (N, 3) of the figure in the frames `seen`. way: (F, 3) where it is in each frame. front: one place for
    all frames. orbit: once around; the frame after the last would be the first again. following: over the floor beside the
    figure, never up or down. aspect: width / height, by default what the figure's
    widest view needs, or 0.6. azimuth_deg: from
    +z toward +x, of the first frame.
    """
    targets = np.zeros_like(way)
    if shot == "following":
        targets[:, [0, 2]] = gaussian_filter1d(way[:, [0, 2]], _LAG * fps, axis=0, mode="nearest")
    points = outermost([body - targets[frame] for frame, body in zip(seen, bodies, strict=True)])
    turning = np.arange(len(way)) * 360.0 / len(way) if shot == "orbit" else np.zeros(1)
    azimuths = azimuth_deg + turning
    cameras = framed_points(points, azimuths, height, _ELEVATION_DEG, _MARGIN, aspect)
    if aspect is None and cameras.width < _NARROWEST * height:
        cameras = framed_points(points, azimuths, height, _ELEVATION_DEG, _MARGIN, _NARROWEST)
    return _shifted(repeated(cameras, len(way)), targets)


def captured_by(capture: Capture, name: str, height: int, width: int | None = None) -> Cameras:
    """A camera of the capture, its image scaled to `height` and `width` (by default in its own shape)."""
    cameras = capture.cameras()
    if name not in cameras.names:
        raise InputError(
            f"camera {name}: {capture.path} has {len(cameras)}, {cameras.names[0]} to {cameras.names[-1]}."
        )
    camera = cameras[cameras.names.index(name)]
    return camera.resized(width or round(camera.width * height / camera.height), height)


def outermost(clouds: Sequence[np.ndarray]) -> np.ndarray:
    """(N, 3) the corners of the convex hull of points (N, 3): what fits around them fits around all."""
    corners = [points[ConvexHull(points, qhull_options="QJ").vertices] for points in clouds]
    return np.concatenate(corners)


def repeated(cameras: Cameras, count: int) -> Cameras:
    """`count` cameras named by frame: as they are, or one of them `count` times."""
    names = tuple(f"{frame:06d}" for frame in range(count))
    chosen = cameras if len(cameras) == count else cameras[[0] * count]
    return Cameras(chosen.w2c, chosen.K, cameras.width, cameras.height, names)


def _shifted(cameras: Cameras, by: np.ndarray) -> Cameras:
    """Each camera moved by its row of `by` (F, 3)."""
    w2c = cameras.w2c.copy()
    w2c[:, :3, 3] -= np.einsum("fij,fj->fi", w2c[:, :3, :3], by)
    return Cameras(w2c, cameras.K, cameras.width, cameras.height, cameras.names)
