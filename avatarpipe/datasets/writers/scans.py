"""What a writer of a raw scan format is given: scans over time, each with its fit."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from avatarpipe.body.model import Body
from avatarpipe.body.params import BodyParams
from avatarpipe.errors import InputError
from avatarpipe.mesh.mesh import Mesh

HAND_PCA = 12
_LOST = 1e-3  # radians that the coefficients of a hand may leave out


@dataclass(frozen=True)
class RawScans:
    """F textured scans with their bodies, metres, one world; a scan is made when it is asked for."""

    frames: tuple[int, ...]  # F numbers, ascending
    poses: BodyParams  # F bodies, hands in full with their mean
    gender: str
    scan: Callable[[int], Mesh]  # of a frame's index: with UVs and texture, and vertex labels where it has them
    body: Body  # that of `poses`; its hand PCA encodes the hands


def fit_arrays(recording: RawScans, index: int, coefficients: int = HAND_PCA) -> dict[str, np.ndarray]:
    """The SMPL-X parameters of a frame as 1-D float32 arrays; hands as PCA coefficients without the mean.

    InputError where a hand is none that the coefficients can hold.
    """
    arrays = {name: value[index].double().cpu().numpy() for name, value in recording.poses.items()}
    for side in ("left", "right"):
        name = f"{side}_hand_pose"
        arrays[name] = _encoded(arrays[name], side, recording.body, coefficients)
    return {name: value.astype(np.float32) for name, value in arrays.items()}


def _encoded(pose: np.ndarray, side: str, body: Body, coefficients: int) -> np.ndarray:
    """(C,) of a (45,) hand: the least squares solution of coefficients @ components + mean = pose."""
    components, mean = body.hand_pca(side)
    found = np.linalg.lstsq(components[:coefficients].T, pose - mean, rcond=None)[0]
    lost = np.abs(found @ components[:coefficients] + mean - pose).max()
    if lost > _LOST:
        raise InputError(
            f"{side} hand: {coefficients} PCA coefficients leave {lost:.3f} rad of it out. Give a hand made of as many."
        )
    return found
