"""Poses that training never saw, brought near those it saw before the networks see them: PCA with clamped components."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from avatarpipe.errors import InputError
from avatarpipe.files import atomic_file, require_file
from avatarpipe.methods.animatable.settings import ProjectionSettings


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

    def project(self, theta: np.ndarray) -> np.ndarray:
        """(63,) the nearest pose of the clamped subspace."""
        reach = self.limit * self.deviations
        along = np.clip(self.components @ (theta - self.mean), -reach, reach)
        return self.mean + along @ self.components

    def network_input(self, theta: np.ndarray) -> np.ndarray:
        """(63,) `theta` itself where training saw it, projected otherwise."""
        theta = np.asarray(theta, np.float64)
        known = np.abs(self.seen - theta).max(axis=1).min() <= self.seen_within
        return theta if known else self.project(theta)

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
