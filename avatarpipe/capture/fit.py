"""Does the body belong to the scan? Clothes may stand off the body, but the body may not stick out of them."""

from dataclasses import asdict, dataclass

import numpy as np

from avatarpipe.body.model import Body
from avatarpipe.body.params import BodyParams
from avatarpipe.errors import InputError
from avatarpipe.mesh.closest import closest_points
from avatarpipe.mesh.mesh import Mesh
from avatarpipe.mesh.signed import inside

_FIRST_HAND_JOINT = 25
_OUTSIDE = 0.015  # metres a body vertex may stick out before it counts


@dataclass(frozen=True)
class Tolerance:
    """How far body and scan may disagree."""

    median: float = 0.03
    """Metres from body to scan at half of the body's vertices."""
    p90: float = 0.12
    """Metres from body to scan at 90 % of the vertices; a wide skirt or coat needs the most."""
    hands: float = 0.025
    """Metres from body to scan at 90 % of the hands' vertices."""
    outside: float = 0.1
    """Share of the body's vertices that may stick out of the scan by more than 1.5 cm."""


def measure(body: Body, poses: BodyParams, scan: Mesh) -> dict[str, float]:
    """How the first body of `poses` fits `scan`; both in one world.

    median, p90: metres from body vertices to the scan. hands: the 90th percentile over vertices that finger joints move.
    outside: share of body vertices more than 1.5 cm outside the scan. scale: height of the scan over the body's.
    """
    vertices = body.vertices(poses[0])[0].double().cpu().numpy()
    distances = closest_points(vertices, scan.vertices, scan.faces)[3]
    hands = body.lbs_weights.cpu().numpy().argmax(axis=1) >= _FIRST_HAND_JOINT
    outside = ~inside(vertices, scan.vertices, scan.faces) & (distances > _OUTSIDE)
    return {
        "median": float(np.median(distances)),
        "p90": float(np.percentile(distances, 90)),
        "hands": float(np.percentile(distances[hands], 90)),
        "outside": float(outside.mean()),
        "scale": float(np.ptp(scan.vertices[:, 1]) / np.ptp(vertices[:, 1])),
    }


def check(found: dict[str, float], tolerance: Tolerance, name: str) -> None:
    """Raise InputError, with the likely cause, where `found` (of `measure`) exceeds the tolerance; `name` is the capture."""
    over = [key for key, limit in asdict(tolerance).items() if not found[key] <= limit]
    if not over:
        return
    measured = ", ".join(
        f"{key} {found[key]:.3f} (at most {getattr(tolerance, key)})" for key in over
    )
    raise InputError(
        f"{name}: the body fit does not match the scan: {measured}. {_likely_cause(found, over)}"
    )


def _likely_cause(found: dict[str, float], over: list[str]) -> str:
    if not 0.85 < found["scale"] < 1.2:
        return (
            f"The scan is {found['scale']:.3g} times as high as the body: likely a wrong scale or unit; "
            "both must be in metres."
        )
    if over == ["hands"]:
        return (
            "Only the hands are off: likely the hand mean is missing or added twice, or the hand PCA is of "
            "another body model; give the body file of the subject's gender."
        )
    if found["median"] > 0.08:
        return (
            "They are far apart: likely scan and fit are of different frames, or not in one world."
        )
    return (
        "They are close, but not close enough: likely the body file is of another gender or model than the fit, "
        "or the fit is of a neighbouring frame."
    )
