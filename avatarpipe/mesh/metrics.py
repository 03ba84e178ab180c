"""How alike two surfaces are, and how far one sticks into another. All from seeded samples, in metres."""

from dataclasses import dataclass

import numpy as np

from avatarpipe.mesh.closest import closest_points
from avatarpipe.mesh.mesh import Mesh
from avatarpipe.mesh.signed import signed_distance


@dataclass
class SurfaceComparison:
    """Points sampled on each of two meshes against the other's surface (exact closest points, not samples)."""

    forward: np.ndarray  # (N,) metres from points of the first mesh to the second
    backward: np.ndarray  # (N,) metres from points of the second mesh to the first
    forward_cosine: np.ndarray  # (N,) |cosine| between the face normals there
    backward_cosine: np.ndarray  # (N,)

    @property
    def chamfer(self) -> float:
        """Mean of the two mean distances, metres."""
        return float(0.5 * (self.forward.mean() + self.backward.mean()))

    @property
    def normal_consistency(self) -> float:
        """Mean |cosine| of both directions, in [0, 1]."""
        return float(0.5 * (self.forward_cosine.mean() + self.backward_cosine.mean()))

    def f_score(self, tau: float) -> float:
        """Harmonic mean of the shares of points within `tau` metres of the other surface."""
        precision, recall = (self.forward <= tau).mean(), (self.backward <= tau).mean()
        total = precision + recall
        return float(2.0 * precision * recall / total) if total > 0 else 0.0


def compare(first: Mesh, second: Mesh, samples: int = 50_000, seed: int = 0) -> SurfaceComparison:
    """Sample both meshes uniformly by area and measure each sample against the other mesh; all metrics from one pass."""
    rng = np.random.default_rng(seed)
    forward, forward_cosine = _against(first, second, samples, rng)
    backward, backward_cosine = _against(second, first, samples, rng)
    return SurfaceComparison(forward, backward, forward_cosine, backward_cosine)


def _against(source: Mesh, target: Mesh, samples: int, rng: np.random.Generator):
    points, face_ids = sample_surface(source, samples, rng)
    _, target_ids, _, distances = closest_points(points, target.vertices, target.faces)
    normals = source.normals()[face_ids], target.normals()[target_ids]
    return distances, np.abs(np.einsum("ni,ni->n", *normals))


def sample_surface(mesh: Mesh, count: int, rng: np.random.Generator):
    """`count` points (N, 3) uniform by area, and the faces (N,) that they lie on."""
    areas = np.linalg.norm(mesh.area_vectors(), axis=1)
    face_ids = rng.choice(len(areas), size=count, p=areas / areas.sum())
    root, along = np.sqrt(rng.random(count)), rng.random(count)
    weights = np.stack([1.0 - root, root * (1.0 - along), root * along], axis=1)
    return np.einsum("nc,ncd->nd", weights, mesh.vertices[mesh.faces[face_ids]]), face_ids


def chamfer(first: Mesh, second: Mesh, samples: int = 50_000, seed: int = 0) -> float:
    """Mean of both directions' mean distance, metres; several metrics at once: `compare`."""
    return compare(first, second, samples, seed).chamfer


def f_score(first: Mesh, second: Mesh, tau: float, samples: int = 50_000, seed: int = 0) -> float:
    """Harmonic mean of precision and recall within `tau` metres."""
    return compare(first, second, samples, seed).f_score(tau)


def normal_consistency(first: Mesh, second: Mesh, samples: int = 50_000, seed: int = 0) -> float:
    """Mean |cosine| between the normals of each sample and of its closest point."""
    return compare(first, second, samples, seed).normal_consistency


@dataclass
class Penetration:
    """How far points of an outer layer lie inside an inner body."""

    share: float  # of points that lie inside, in [0, 1]
    mean_depth: float  # metres, over the points inside; 0 if none
    max_depth: float  # metres


def penetration(points: np.ndarray, inner: Mesh, tolerance: float = 0.0) -> Penetration:
    """Measure (N, 3) `points` of the outer layer against `inner`, whose faces point outward and which is nearly closed.

    Points less than `tolerance` metres deep count as lying on the surface, not inside.
    """
    if len(points) == 0:
        return Penetration(0.0, 0.0, 0.0)
    depth = -signed_distance(points, inner.vertices, inner.faces)
    inside = depth[depth > tolerance]
    if inside.size == 0:
        return Penetration(0.0, 0.0, 0.0)
    return Penetration(inside.size / len(points), float(inside.mean()), float(inside.max()))
