"""Cameras that show all of a subject, however tall it is and however it stands."""

import numpy as np

from avatarpipe.cameras import Cameras, orbit
from avatarpipe.gaussians.cloud import GaussianCloud

FOV_DEG = 25.0


def bounds(clouds: list[GaussianCloud]) -> tuple[np.ndarray, np.ndarray]:
    """(lowest, highest) corner of what shows: Gaussians of opacity over 0.1, a stray thousandth on each side left out."""
    points = np.concatenate([cloud.means[cloud.opacities > 0.1].cpu().numpy() for cloud in clouds])
    if not len(points):
        raise ValueError("nothing to frame: no Gaussian is opaque")
    return np.quantile(points, 0.001, axis=0), np.quantile(points, 0.999, axis=0)


def framed_orbit(
    clouds: list[GaussianCloud],
    azimuths_deg,
    height: int,
    elevation_deg=8.0,
    margin=1.08,
    aspect=None,
) -> Cameras:
    """Cameras around `clouds` at one elevation, near enough to fill the image and far enough to hold all of it.

    height: of the image in pixels. aspect: width / height; by default what the subject needs from these azimuths.
    """
    low, high = bounds(clouds)
    low, high = low - 0.03, high + 0.03
    tall = float(high[1] - low[1]) * margin
    wide = margin * max(_seen_width(high - low, azimuth) for azimuth in np.radians(azimuths_deg))
    aspect = wide / tall if aspect is None else aspect
    width = 2 * round(height * aspect / 2)
    view = max(tall, wide / aspect)
    distance = 0.5 * view / np.tan(0.5 * np.radians(FOV_DEG)) + 0.5 * float(high[2] - low[2])
    target = 0.5 * (low + high)
    return orbit([elevation_deg], azimuths_deg, distance, FOV_DEG, width, height, target=target)


def _seen_width(size: np.ndarray, azimuth: float) -> float:
    """Of a box of `size`, seen from `azimuth`; an ellipse's, as a body has no corners."""
    return float(np.hypot(size[0] * np.cos(azimuth), size[2] * np.sin(azimuth)))
