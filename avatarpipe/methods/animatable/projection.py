"""Poses that training never saw, brought near those it saw before the networks see them: PCA with clamped components."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from avatarpipe.body.model import JOINT_NAMES
from avatarpipe.errors import InputError
from avatarpipe.files import atomic_file, require_file
from avatarpipe.methods.animatable.settings import ProjectionSettings

Projecting = Literal["auto", "on", "off"]


@dataclass(frozen=True)
class PoseProjection:
    """The subspace of the training poses, axis-angle of 21 joints in radians. Skinning is not concerned."""

    mean: np.ndarray  # (63,)
    components: np.ndarray  # (K, 63), orthonormal rows
    deviations: np.ndarray  # (K,) of the training poses along them
    seen: np.ndarray  # (F, 63) the training poses
    limit: float
    """Deviations that a component is clamped to."""
    seen_within: float
    """Radians by which a pose may differ from a training pose and count as it."""

    @staticmethod
    def fit(poses: np.ndarray, settings: ProjectionSettings) -> "PoseProjection":
        """Of (F, 63) training poses; of few poses there are fewer components. ValueError without any."""
        poses = np.asarray(poses, np.float64)
        if poses.ndim != 2 or not len(poses):
            raise ValueError(f"poses of shape {poses.shape}, expected (F, 63) with at least one")
        mean = poses.mean(axis=0)
        _, sizes, rows = np.linalg.svd(poses - mean, full_matrices=False)
        count = min(settings.components, len(poses) - 1, poses.shape[1])
        deviations = sizes[:count] / np.sqrt(max(len(poses) - 1, 1))
        return PoseProjection(
            mean, rows[:count], deviations, poses, settings.deviations, settings.seen_within
        )

    def scores(self, theta: np.ndarray) -> np.ndarray:
        """(..., K) where poses (..., 63) lie along the components, in radians from the mean."""
        return (np.asarray(theta, np.float64) - self.mean) @ self.components.T

    def project(self, theta: np.ndarray) -> np.ndarray:
        """(63,) the nearest pose of the clamped subspace."""
        reach = self.limit * self.deviations
        along = np.clip(self.scores(theta), -reach, reach)
        return self.mean + along @ self.components

    def knows(self, theta: np.ndarray) -> bool:
        """Whether a pose (63,) counts as one that training saw."""
        return bool(np.abs(self.seen - theta).max(axis=1).min() <= self.seen_within)

    def network_input(self, theta: np.ndarray) -> np.ndarray:
        """(63,) `theta` itself where training saw it, projected otherwise."""
        theta = np.asarray(theta, np.float64)
        return theta if self.knows(theta) else self.project(theta)

    def switched(self, mode: Projecting) -> "PoseProjection":
        """on: every pose is projected, seen or not. off: none is. auto: as trained, those that training never saw."""
        within = {"auto": self.seen_within, "on": -1.0, "off": float("inf")}
        return replace(self, seen_within=within[mode])

    def report(self, theta: np.ndarray) -> dict[str, bool | float | int]:
        """What becomes of a pose (63,): whether it is projected, how far each joint moves on the mean (root mean square,
        degrees), how many components are clamped, and how far it is from the nearest training pose in the angle that
        differs most (degrees)."""
        theta = np.asarray(theta, np.float64)
        moved = np.sqrt(np.square(self.network_input(theta) - theta).sum() / 21)
        outside = np.abs(self.scores(theta)) > self.limit * self.deviations
        projected = not self.knows(theta)
        return {
            "projected": projected,
            "moved_deg": float(np.degrees(moved)),
            "clamped": int(outside.sum()) if projected else 0,
            "unlike_training_deg": float(np.degrees(np.abs(self.seen - theta).max(axis=1).min())),
        }

    def document(self) -> dict:
        """For people: how much of the training poses' variance the components hold, and which joints each one turns."""
        total = np.square(self.seen - self.mean).sum() / max(len(self.seen) - 1, 1)
        held = np.cumsum(self.deviations**2) / max(total, 1e-12)
        return {
            "format": "avatarpipe.pose_projection",
            "training_poses": len(self.seen),
            "limit_deviations": self.limit,
            "seen_within_rad": self.seen_within,
            "components": [
                {"deviation_deg": round(float(np.degrees(deviation)), 3), "variance_held": round(float(share), 5),
                 "joints": _strongest(row)}
                for deviation, share, row in zip(self.deviations, held, self.components, strict=True)
            ],
        }  # fmt: skip

    def save(self, path: str | Path) -> None:
        """Write it to `path` as safetensors."""
        arrays = {
            name: getattr(self, name) for name in ("mean", "components", "deviations", "seen")
        }
        arrays |= {"limit": np.array([self.limit]), "seen_within": np.array([self.seen_within])}
        with atomic_file(path) as temporary:
            save_file({name: np.ascontiguousarray(x) for name, x in arrays.items()}, temporary)

    @staticmethod
    def load(path: str | Path) -> "PoseProjection":
        """What `save` wrote; InputError where it is not that."""
        path = require_file(
            path, "The projection of novel poses was expected here; train the avatar again."
        )
        try:
            arrays = load_file(path)
            numbers = [float(arrays.pop(name)[0]) for name in ("limit", "seen_within")]
            projection = PoseProjection(**arrays, limit=numbers[0], seen_within=numbers[1])
        except (SafetensorError, KeyError, TypeError) as error:
            raise InputError(
                f"{path}: not a projection of poses ({error}). Train the avatar again."
            ) from error
        return projection


def _strongest(row: np.ndarray, count: int = 3) -> dict[str, float]:
    """The joints that a component (63,) turns most, with their share of its length squared."""
    shares = np.square(row).reshape(21, 3).sum(axis=1)
    return {
        JOINT_NAMES[1 + joint]: round(float(shares[joint]), 3)
        for joint in np.argsort(-shares)[:count]
    }
