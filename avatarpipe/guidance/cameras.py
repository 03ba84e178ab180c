"""The cameras from which a diffusion model looks at the subject: right-handed, spread around it, sometimes close up."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from avatarpipe.body.model import JOINT_NAMES
from avatarpipe.cameras import Cameras, intrinsics, look_at
from avatarpipe.guidance.randomness import stratified
from avatarpipe.guidance.words import view_word

WHOLE = "whole body"
_JOINTS = {
    "head": ("head", "left_eye", "right_eye"),
    "upper": ("neck", "spine3", "spine2"),
    "legs": ("left_hip", "right_hip", "left_knee", "right_knee"),
}


@dataclass(frozen=True)
class CameraSettings:
    """Ranges that cameras are drawn from, evenly."""

    elevation: tuple[float, float] = (-30.0, 30.0)
    """Degrees, positive looking down; half of the views even in degrees, half even in area of the sphere."""
    distance: tuple[float, float] = (1.5, 2.0)
    """Metres from the middle of the body."""
    fov: tuple[float, float] = (40.0, 70.0)
    """Vertical field of view, degrees."""


@dataclass(frozen=True)
class Zoom:
    """When all views of an iteration look at one part of the body from near by."""

    probability: float = 0.0
    start: int = 0
    """First iteration."""
    stop: int = 1_000_000
    """First iteration no more."""
    distance: tuple[float, float] = (0.6, 0.8)
    """Metres from the middle of the part."""
    azimuth: tuple[float, float] = (-180.0, 180.0)
    """Degrees: 0 is the front, 90 the subject's left; (90, 270) is the rear."""


@dataclass(frozen=True)
class Zooms:
    """Close-ups by part of the body."""

    head: Zoom = field(default_factory=Zoom)
    upper: Zoom = field(default_factory=Zoom)
    legs: Zoom = field(default_factory=Zoom)

    def drawn(self, step: int, rng: np.random.Generator) -> tuple[str, Zoom | None]:
        """What iteration `step` looks at: a part and its zoom, or the whole body."""
        place = rng.random()
        for part in _JOINTS:
            zoom = getattr(self, part)
            if zoom.start <= step < zoom.stop:
                place -= zoom.probability
                if place < 0:
                    return part, zoom
        return WHOLE, None


@dataclass(frozen=True)
class GuidanceViews:
    """B cameras of one iteration, what they look at, and the words for how each sees it."""

    cameras: Cameras
    part: str
    words: tuple[str, ...]
    azimuths: np.ndarray  # (B,) degrees
    elevations: np.ndarray  # (B,) degrees


def part_centres(joints: np.ndarray) -> dict[str, np.ndarray]:
    """(3,) middle of each part, and of the whole body, of joints (55 or more, 3) in smplx order."""
    named = dict(zip(JOINT_NAMES, joints, strict=False))
    centres = {part: np.mean([named[name] for name in names], axis=0) for part, names in _JOINTS.items()}
    lowest = np.mean([named["left_ankle"], named["right_ankle"]], axis=0)
    return centres | {WHOLE: np.array([0.0, 0.5 * (lowest[1] + named["head"][1]), 0.0])}


def sample_views(
    settings: CameraSettings, zooms: Zooms, centres: Mapping[str, np.ndarray],
    step: int, count: int, size: int, rng: np.random.Generator,
) -> GuidanceViews:  # fmt: skip
    """`count` cameras of size x size pixels for iteration `step`, azimuths one in each equal share of the range."""
    part, zoom = zooms.drawn(step, rng)
    low, high = zoom.azimuth if zoom else (-180.0, 180.0)
    azimuths = low + (high - low) * stratified(count, rng)
    elevations = _elevations(settings.elevation, count, rng)
    distances = rng.uniform(*(zoom or settings).distance, count)
    fovs = rng.uniform(*settings.fov, count)
    w2c = [
        look_at(centres[part] + distance * _direction(azimuth, elevation), centres[part])
        for azimuth, elevation, distance in zip(azimuths, elevations, distances, strict=True)
    ]
    K = [intrinsics(fov, size, size) for fov in fovs]
    names = tuple(f"{i:03d}" for i in range(count))
    words = tuple(view_word(a, e) for a, e in zip(azimuths, elevations, strict=True))
    return GuidanceViews(Cameras(np.stack(w2c), np.stack(K), size, size, names), part, words, azimuths, elevations)


def _direction(azimuth: float, elevation: float) -> np.ndarray:
    """(3,) from the target to a camera; degrees, azimuth 0 on +Z and 90 on +X, as cameras.orbit has it."""
    azimuth, elevation = np.radians([azimuth, elevation])
    flat = np.cos(elevation)
    return np.array([flat * np.sin(azimuth), np.sin(elevation), flat * np.cos(azimuth)])


def _elevations(limits: tuple[float, float], count: int, rng: np.random.Generator) -> np.ndarray:
    """(count,) degrees, each drawn evenly in degrees or evenly in area, with equal chance."""
    in_degrees = rng.uniform(*limits, count)
    in_area = np.degrees(np.arcsin(rng.uniform(*np.sin(np.radians(limits)), count)))
    return np.where(rng.random(count) < 0.5, in_degrees, in_area)
