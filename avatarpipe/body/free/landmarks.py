"""The 51 iBUG face landmarks and the face contour, as points on triangles.

Landmarks were picked by eye on renders of the left half of the face and are mirrored. The contour is found by yaw, as smplx wants it: for each of 79 head yaws (index 0-39: turned 0-39 degrees to
the subject's right, 40-78: 1-39 degrees to the left) the 17 points where the face ends in a frontal view.
"""

import numpy as np

# (x, y) in millimetres on the base mesh seen from the front; the subject's left half.
_LEFT_HALF = {
    "brow": ((11.2, 741.1), (20.8, 746.0), (31.9, 747.7), (42.6, 745.3), (53.1, 738.6)),
    "bridge": ((0.0, 734.4), (0.0, 721.5), (0.0, 708.5), (0.0, 696.3)),
    "nose_base": ((0.0, 680.0), (6.5, 682.4), (15.8, 685.9)),
    "eye": ((17.5, 727.0), (25.8, 732.3), (37.2, 733.9), (44.6, 728.8), (38.0, 724.6), (25.8, 724.6)),
    "lip_outer": (
        (0.0, 669.6), (5.7, 671.1), (14.6, 670.3), (25.7, 661.7), (19.9, 654.9), (9.7, 650.5),
        (0.0, 649.0),
    ),
    "lip_inner": ((0.0, 661.1), (8.5, 661.9), (23.3, 661.3), (8.9, 659.7), (0.0, 659.7)),
}  # fmt: skip
BROWS = slice(0, 10)  # of the 51 landmarks: five of the right brow, then five of the left

YAWS = (*range(40), *range(-1, -40, -1))  # degrees to the subject's right
# Half the face outline on the same picture, from beside the eye to the chin.
_OUTLINE = (
    (68.5, 729.0), (68.2, 710.0), (66.0, 688.0), (61.8, 672.0), (53.2, 653.5), (42.8, 640.5), (28.0, 628.5),
    (14.0, 621.5), (0.0, 619.0),
)  # fmt: skip
_HEAD_AXIS_DEPTH = 0.06  # z of the vertical line around which the outline's heights are sliced
_AZIMUTH_STEPS = 48


def face_landmarks(reference: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Faces (51,) and barycentric coordinates (51, 3) of iBUG's landmarks without contour.

    reference (V, 3): the base mesh's own vertices, on which the landmarks were picked.
    """
    near_face = np.flatnonzero((reference[triangles][:, :, 1] > 0.6).all(1))
    spots = _ibug_order() * 1e-3
    origins = np.column_stack([spots, np.ones(len(spots))])
    towards = np.broadcast_to([0.0, 0.0, -1.0], origins.shape)
    faces, barycentric, _ = cast_rays(origins, towards, reference[triangles[near_face]], "nearest")
    return near_face[faces], barycentric


def _ibug_order() -> np.ndarray:
    """(51, 2) spots: right brow, left brow, nose, right eye, left eye, outer lips, inner lips."""
    left = {name: [(max(x, 1e-4), y) for x, y in spots] for name, spots in _LEFT_HALF.items()}
    right = {name: [(-x, y) for x, y in spots] for name, spots in left.items()}
    nose = right["nose_base"][:0:-1] + left["nose_base"]
    right_eye = [right["eye"][k] for k in (3, 2, 1, 0, 5, 4)]
    lips = [
        spot for ring in ("lip_outer", "lip_inner") for spot in _mouth_ring(left[ring], right[ring])
    ]
    return np.array(
        [
            *right["brow"][::-1],
            *left["brow"],
            *left["bridge"],
            *nose,
            *right_eye,
            *left["eye"],
            *lips,
        ]
    )


def _mouth_ring(left: list, right: list) -> list:
    """From the right corner over the upper lip to the left corner and back along the lower lip."""
    corner = len(left) // 2
    upper = right[corner:0:-1] + left[: corner + 1]
    return upper + left[corner + 1 :] + right[-2:corner:-1]


def contour(reference: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Faces (79, 17) and barycentric coordinates (79, 17, 3) of the contour, from the subject's right to left.

    reference (V, 3): as for `face_landmarks`.
    """
    near_face = np.flatnonzero((reference[triangles][:, :, 1] > 0.55).all(1))
    corners = reference[triangles[near_face]]
    sides = []
    for side in (-1.0, 1.0):
        levels = [_slice(corners, side * max(x, 0.1) * 1e-3, y * 1e-3) for x, y in _OUTLINE]
        sides.append([[_silhouette(level, side, yaw) for level in levels] for yaw in YAWS])
    hits = [[*right, *left[-2::-1]] for right, left in zip(*sides, strict=True)]
    faces = np.array([[near_face[face] for face, _ in row] for row in hits])
    return faces, np.array([[barycentric for _, barycentric in row] for row in hits])


def _slice(
    corners: np.ndarray, x: float, height: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outermost skin around the head at one height, from straight ahead to the frontal outline at x."""
    axis = np.array([0.0, height, _HEAD_AXIS_DEPTH])
    towards = np.array([[0.0, 0.0, -1.0]])
    edge = cast_rays(np.array([[x, height, 1.0]]), towards, corners, "nearest")[2][0] - axis
    azimuths = np.linspace(np.copysign(1e-4, x), np.arctan2(edge[0], edge[2]), _AZIMUTH_STEPS)
    directions = np.stack([np.sin(azimuths), np.zeros_like(azimuths), np.cos(azimuths)], axis=1)
    return cast_rays(np.broadcast_to(axis, directions.shape), directions, corners, "farthest")


def _silhouette(level: tuple, side: float, yaw: float) -> tuple[int, np.ndarray]:
    """The point of a slice that lies farthest to `side` as a frontal camera sees a head turned by yaw."""
    faces, barycentric, points = level
    turned = np.radians(-yaw)
    across = points[:, 0] * np.cos(turned) + points[:, 2] * np.sin(turned)
    best = int(np.argmax(side * across))
    return int(faces[best]), barycentric[best]


def cast_rays(
    origins: np.ndarray, directions: np.ndarray, corners: np.ndarray, which: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nearest or farthest hit of each ray: triangles (R,), barycentric (R, 3), points (R, 3).

    corners (F, 3, 3). Moeller and Trumbore 1997. Raises ValueError where a ray hits nothing.
    """
    a, ab, ac = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    found = []
    for origin, direction in zip(origins, directions, strict=True):
        normal = np.cross(direction, ac)
        det = (ab * normal).sum(1)
        scale = np.where(np.abs(det) > 1e-15, det, np.inf)
        offset = origin - a
        u = (offset * normal).sum(1) / scale
        across = np.cross(offset, ab)
        v = across @ direction / scale
        t = (ac * across).sum(1) / scale
        hit = np.flatnonzero((u >= 0) & (v >= 0) & (u + v <= 1) & (t > 0) & (np.abs(det) > 1e-15))
        if len(hit) == 0:
            raise ValueError(f"no surface along {direction} from {origin}")
        best = hit[t[hit].argmin() if which == "nearest" else t[hit].argmax()]
        found.append(
            (best, [1 - u[best] - v[best], u[best], v[best]], origin + t[best] * direction)
        )
    faces, barycentric, points = zip(*found, strict=True)
    return np.array(faces), np.array(barycentric), np.array(points)
