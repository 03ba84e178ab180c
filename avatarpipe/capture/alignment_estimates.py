"""Where and how large the subject is by its silhouettes alone, against where and how large the body is."""

import numpy as np

from avatarpipe.capture.alignment import Scene, best_shift
from avatarpipe.capture.alignment_changes import moved, pelvises

_ROUNDS = 5


def scales(scene: Scene) -> list[float]:
    """Guesses of the subject's size over the body's: where the body stands, and where the silhouettes' rays meet."""
    found = [guess for guess in (_scale_in_place(scene), _scale_where_rays_meet(scene)) if guess is not None]
    return [guess for guess in found if np.isfinite(guess) and abs(np.log(guess)) > 0.02]


def offset(scene: Scene) -> np.ndarray:
    """(3,) metres in the world that the bodies must move by, from the shifts that bring silhouettes together; NaN where none do.

    Gauss-Newton over all looks at once: a shift in the image is the projection's Jacobian at the pelvis times the move.
    """
    total = np.zeros(3)
    for _ in range(2):
        here = moved(scene, shift=total)
        places = pelvises(scene) + total
        rows, shifts = [], []
        for index, look in enumerate(scene.looks):
            jacobian = _jacobian(scene, index, places[index])
            shift = best_shift(here.silhouette(index), look.mask)[0]
            if jacobian is not None and np.isfinite(shift).all():
                rows.append(jacobian)
                shifts.append(shift)
        if not rows:
            return np.full(3, np.nan)
        total = total + _robust_solution(np.stack(rows), np.stack(shifts))
    return total


def _jacobian(scene: Scene, index: int, point: np.ndarray) -> np.ndarray | None:
    """(2, 3) pixels of the window per metre in the world at `point`; None behind the camera."""
    rotation, K = scene.w2c[index, :3, :3], scene.K[index]
    x, y, z = rotation @ point + scene.w2c[index, :3, 3]
    if z < 1e-6:
        return None
    projection = np.array([[1 / z, 0, -x / z**2], [0, 1 / z, -y / z**2]])
    return K[:2, :2] @ projection @ rotation


def _robust_solution(jacobians: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """(3,) the move that explains most shifts: least squares, looks far from it weighed down (Cauchy), thrice.

    Depth along the one axis of a single camera stays as it is: the smallest of all solutions is taken.
    """
    weights = np.ones(len(shifts))
    for _ in range(3):
        root = np.sqrt(weights)[:, None]
        system = (jacobians * root[..., None]).reshape(-1, 3)
        move = np.linalg.lstsq(system, (shifts * root).ravel(), rcond=1e-3)[0]
        rest = np.linalg.norm(jacobians @ move - shifts, axis=1)
        weights = 1 / (1 + np.square(rest / max(np.median(rest), 1.0)))
    return move


def _scale_in_place(scene: Scene) -> float | None:
    """Median ratio of the silhouettes' extents to those of the bodies' projections."""
    ratios = [
        ratio
        for index, look in enumerate(scene.looks)
        if look.whole and (ratio := _extent_ratio(scene, index, scene.figures.vertices(look.frame)))
    ]
    return float(np.median(ratios)) if ratios else None


def _scale_where_rays_meet(scene: Scene) -> float | None:
    """The same with each body's middle put where the rays through its silhouettes' middles come closest."""
    guesses = []
    for frame in {look.frame for look in scene.looks}:
        indices = [i for i, look in enumerate(scene.looks) if look.frame == frame and look.whole]
        place = _meeting(scene, indices)
        if place is not None:
            guesses.append(_scale_at(scene, indices, place))
    guesses = [guess for guess in guesses if guess is not None]
    return float(np.median(guesses)) if guesses else None


def _meeting(scene: Scene, indices: list[int]) -> np.ndarray | None:
    """(3,) the point closest to the rays through the middles of the looks' silhouettes; None where they are parallel."""
    system, right = np.zeros((3, 3)), np.zeros(3)
    for index in indices:
        rotation, translation = scene.w2c[index, :3, :3], scene.w2c[index, :3, 3]
        middle = (_box(scene.looks[index].mask)[0] + _box(scene.looks[index].mask)[1]) / 2
        ray = rotation.T @ np.linalg.solve(scene.K[index], [*middle, 1.0])
        across = np.eye(3) - np.outer(ray, ray) / (ray @ ray)
        system += across
        right += across @ (-rotation.T @ translation)
    if len(indices) < 2 or np.linalg.cond(system) > 1e3:
        return None
    return np.linalg.solve(system, right)


def _scale_at(scene: Scene, indices: list[int], place: np.ndarray) -> float | None:
    vertices = scene.figures.vertices(scene.looks[indices[0]].frame)
    centred, scale = vertices - (vertices.min(axis=0) + vertices.max(axis=0)) / 2, 1.0
    for _ in range(_ROUNDS):
        ratios = [_extent_ratio(scene, index, place + scale * centred) for index in indices]
        ratios = [ratio for ratio in ratios if ratio]
        if not ratios:
            return None
        scale *= float(np.median(ratios))
    return scale


def _extent_ratio(scene: Scene, index: int, vertices: np.ndarray) -> float | None:
    """The longer side of the silhouette's box over that of the projected vertices; None where they are behind the camera."""
    w2c = scene.w2c[index]
    points = vertices @ w2c[:3, :3].T + w2c[:3, 3]
    if points[:, 2].min() <= 0:
        return None
    pixels = points @ scene.K[index].T
    extent = np.ptp(pixels[:, :2] / pixels[:, 2:], axis=0).max()
    low, high = _box(scene.looks[index].mask)
    return float((high - low).max() / extent)


def _box(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(2,) x, y of the first and behind the last pixel set."""
    y, x = np.nonzero(mask)
    return np.array([x.min(), y.min()]), np.array([x.max(), y.max()]) + 1
