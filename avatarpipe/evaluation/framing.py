"""Cameras that show all of a subject, however tall it is and however it stands."""

import numpy as np

from avatarpipe.cameras import Cameras, orbit
from avatarpipe.gaussians.cloud import GaussianCloud

FOV_DEG = 25.0
_OUTERMOST, _STRAY = 0.001, 0.15
_MOST_POINTS = 20_000


def shown_points(clouds: list[GaussianCloud]) -> np.ndarray:
    """(N, 3) centres of what shows, at most 20 000 of them evenly picked: opaque over 0.1 and not gone astray.

    Astray is what lies over 15 cm outside of the box that a cloud has without the outermost thousandth at each side.
    Raises ValueError where nothing is opaque.
    """
    points = np.concatenate([_kept(cloud) for cloud in clouds])
    if not len(points):
        raise ValueError("nothing to frame: no Gaussian is opaque")
    return points[:: -(-len(points) // _MOST_POINTS)]


def _kept(cloud: GaussianCloud) -> np.ndarray:
    points = cloud.means[cloud.opacities > 0.1].cpu().double().numpy()
    if not len(points):
        return points
    low, high = np.quantile(points, [_OUTERMOST, 1 - _OUTERMOST], axis=0)
    return points[((points >= low - _STRAY) & (points <= high + _STRAY)).all(axis=1)]


def framed_orbit(
    clouds: list[GaussianCloud],
    azimuths_deg,
    height: int,
    elevation_deg: float = 8.0,
    margin: float = 1.07,
    aspect: float | None = None,
) -> Cameras:
    """Cameras at one elevation, the nearest that still hold all of `clouds` from every azimuth.

    height: of the image in pixels. margin: by how much the field of view is larger than what it must hold. aspect:
    width / height; by default that of the widest view of the clouds.
    """
    return framed_points(
        shown_points(clouds), azimuths_deg, height, elevation_deg, margin, aspect
    )


def framed_points(
    points: np.ndarray,
    azimuths_deg,
    height: int,
    elevation_deg: float = 8.0,
    margin: float = 1.07,
    aspect: float | None = None,
) -> Cameras:
    """The same for points (N, 3) in metres."""
    target = 0.5 * (points.min(axis=0) + points.max(axis=0))
    rotations = orbit([elevation_deg], azimuths_deg, 1.0, FOV_DEG, 8, 8).w2c[:, :3, :3]
    x, y, z = np.einsum("cij,nj->icn", rotations, points - target)
    aspect = np.abs(x).max() / np.abs(y).max() if aspect is None else aspect
    width = 2 * round(height * aspect / 2)
    reach = np.tan(0.5 * np.radians(FOV_DEG)) / margin  # |y| / depth at the image's edge
    distance = np.maximum(np.abs(y) / reach - z, np.abs(x) / (reach * width / height) - z).max()
    return orbit([elevation_deg], azimuths_deg, distance, FOV_DEG, width, height, target=target)
