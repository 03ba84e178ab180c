"""A small person in the SMPL-X layout and a scan of it in the raw 4D-Dress layout, made in a second for tests."""

import pickle
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree
from skimage.measure import marching_cubes

from avatarpipe.body.model import JOINT_NAMES, Body
from avatarpipe.body.params import SIZES, BodyParams

PARENTS = [
    -1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 15, 15, 15,
    20, 25, 26, 20, 28, 29, 20, 31, 32, 20, 34, 35, 20, 37, 38,
    21, 40, 41, 21, 43, 44, 21, 46, 47, 21, 49, 50, 21, 52, 53,
]  # fmt: skip
_LEFT = {
    "left_hip": (0.08, -0.45, 0), "left_knee": (0.1, -0.8, 0), "left_ankle": (0.1, -1.15, -0.02),
    "left_foot": (0.1, -1.22, 0.1), "left_collar": (0.06, 0.07, 0), "left_shoulder": (0.17, 0.1, 0),
    "left_elbow": (0.42, 0.1, 0), "left_wrist": (0.66, 0.1, 0), "left_eye": (0.03, 0.32, 0.08),
}  # fmt: skip
_MIDDLE = {
    "pelvis": (0, -0.35, 0), "spine1": (0, -0.25, 0), "spine2": (0, -0.12, 0), "spine3": (0, -0.05, 0),
    "neck": (0, 0.15, 0), "head": (0, 0.24, 0.01), "jaw": (0, 0.22, 0.03),
}  # fmt: skip
_RADII = {
    "head": 0.1,
    "neck": 0.06,
    "pelvis": 0.13,
    "spine": 0.13,
    "hip": 0.09,
    "knee": 0.06,
    "ankle": 0.05,
}


def joints() -> np.ndarray:
    """(55, 3) rest joints, metres, pelvis as far below the origin as SMPL-X has it."""
    known = {name: np.array(place, float) for name, place in (_LEFT | _MIDDLE).items()}
    for row, finger in enumerate(("index", "middle", "ring", "pinky", "thumb")):
        for k in (1, 2, 3):
            spread = 0.035 - 0.0175 * row if finger != "thumb" else 0.06
            known[f"left_{finger}{k}"] = np.array([0.7 + 0.03 * k, 0.1, spread])
    mirrored = {name.replace("left", "right"): at * [-1, 1, 1] for name, at in known.items()}
    return np.stack([(known | mirrored | known)[name] for name in JOINT_NAMES])


def write_body(path: Path) -> Path:
    """A union of capsules along the bones; all that avatarpipe and smplx read, with random but fixed hand PCA."""
    rest, rng = joints(), np.random.default_rng(0)
    vertices, faces = _capsules(rest)
    weights = _weights(vertices, rest)
    count = len(vertices)
    shapes = np.zeros((count, 3, 20))
    shapes[:, 1, 0], shapes[:, 0, 1] = 0.02 * vertices[:, 1], 0.03 * vertices[:, 0]
    regressor = np.zeros((55, count))
    near = cKDTree(vertices).query(rest, k=8)[1]
    np.put_along_axis(regressor, near, 1 / 8, axis=1)
    hands = np.linalg.qr(rng.normal(size=(2, 45, 45)))[0]
    np.savez(
        path, v_template=vertices, f=faces, shapedirs=shapes, posedirs=np.zeros((count, 3, 486)),
        J_regressor=regressor, kintree_table=np.array([PARENTS, range(55)]), weights=weights,
        hands_componentsl=hands[0], hands_componentsr=hands[1],
        hands_meanl=rng.normal(0, 0.2, 45), hands_meanr=rng.normal(0, 0.2, 45),
        lmk_faces_idx=np.zeros(51, int), lmk_bary_coords=np.full((51, 3), 1 / 3),
        dynamic_lmk_faces_idx=np.zeros((79, 17), int), dynamic_lmk_bary_coords=np.full((79, 17, 3), 1 / 3),
    )  # fmt: skip
    return path


def _radius(name: str) -> float:
    return next(
        (radius for part, radius in _RADII.items() if part in name), 0.045 if "_" in name else 0.05
    )


def _segments(rest: np.ndarray):
    for joint, parent in enumerate(PARENTS):
        if parent >= 0 and "eye" not in JOINT_NAMES[joint]:
            finger = joint >= 25
            yield (
                parent,
                rest[parent],
                rest[joint],
                0.012 if finger else _radius(JOINT_NAMES[joint]),
            )


def _capsules(rest: np.ndarray, step: float = 0.0138):
    low, high = rest.min(axis=0) - 0.2, rest.max(axis=0) + 0.2
    axes = [np.arange(a, b, step) for a, b in zip(low, high, strict=True)]
    field = np.full([len(axis) for axis in axes], 1.0, np.float32)
    for _, a, b, radius in _segments(rest):
        window = tuple(
            slice(
                *np.searchsorted(
                    axes[k], [min(a[k], b[k]) - radius - 0.03, max(a[k], b[k]) + radius + 0.03]
                )
            )
            for k in range(3)
        )
        points = np.stack(np.meshgrid(*(axes[k][window[k]] for k in range(3)), indexing="ij"), -1)
        field[window] = np.minimum(field[window], _to_segment(points, a, b) - radius)
    vertices, faces, _, _ = marching_cubes(field, 0.0, spacing=(step,) * 3)
    volume = np.einsum(
        "fi,fi->", vertices[faces[:, 0]], np.cross(vertices[faces[:, 1]], vertices[faces[:, 2]])
    )
    return vertices + low, (faces if volume > 0 else faces[:, ::-1]).copy()


def _to_segment(points: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    along = np.clip((points - a) @ (b - a) / max((b - a) @ (b - a), 1e-9), 0, 1)
    return np.linalg.norm(points - a - along[..., None] * (b - a), axis=-1)


def _weights(vertices: np.ndarray, rest: np.ndarray) -> np.ndarray:
    weights = np.zeros((len(vertices), 55))
    for parent, a, b, radius in _segments(rest):
        near = np.exp(-np.square(_to_segment(vertices, a, b) / max(radius, 0.02)) * 4)
        weights[:, parent] = np.maximum(weights[:, parent], near)
    return weights / weights.sum(axis=1, keepdims=True)


def raw_fit(seed: int = 0, hand_comps: int = 12) -> dict[str, np.ndarray]:
    """A body fit as 4D-Dress stores it: 1-D arrays, hands as PCA coefficients."""
    rng = np.random.default_rng(seed)
    fit = {name: np.zeros(size) for name, size in SIZES.items()}
    fit["betas"] = rng.normal(0, 1, 10)
    fit["global_orient"] = np.array([0.05, 1.1, 0.03])
    fit["transl"] = np.array([0.3, 1.2, -0.4])
    fit["body_pose"] = rng.normal(0, 0.08, 63)
    fit["body_pose"][[16 * 3 - 1, 17 * 3 - 1]] = [-0.8, 0.8]  # arms down
    for side in ("left", "right"):
        fit[f"{side}_hand_pose"] = rng.normal(0, 0.2, hand_comps)
    return fit


def decoded(fit: dict[str, np.ndarray], body: Body) -> BodyParams:
    """The same fit as BodyParams, decoded here by the formula: coefficients @ components + mean."""
    arrays = {name: np.asarray(value)[None] for name, value in fit.items()}
    for side in ("left", "right"):
        name = f"{side}_hand_pose"
        components, mean = body.hand_pca(side)
        arrays[name] = arrays[name] @ components[: arrays[name].shape[1]] + mean
    return BodyParams.from_arrays(arrays, "fixture")


def write_raw(root: Path, body: Body, fit: dict[str, np.ndarray], thickness: float = 0.004) -> Path:
    """The body of `fit`, a little inflated, as the scan 00001/Inner/Take1, frame 00011; returns the sequence's folder."""
    folder = root / "00001" / "Inner" / "Take1"
    for name in ("Meshes_pkl", "SMPLX", "Semantic/labels"):
        (folder / name).mkdir(parents=True)
    vertices = body.vertices(decoded(fit, body))[0].double().numpy()
    labels = dressed_labels(body)
    vertices = vertices + thickness * _normals(vertices, body.faces)
    mesh = {
        "vertices": vertices.astype(np.float32), "faces": body.faces.astype(np.int32),
        "uvs": label_uvs(labels), "colors": np.full((len(vertices), 4), 200, np.uint8),
    }  # fmt: skip
    dump(folder / "basic_info.pkl", {"scan_frames": ["00010", "00011"], "rotation": None})
    dump(folder / "Meshes_pkl" / "mesh-f00011.pkl", mesh)
    dump(folder / "Meshes_pkl" / "atlas-f00011.pkl", atlas())
    dump(folder / "SMPLX" / "mesh-f00011_smplx.pkl", fit)
    dump(folder / "Semantic" / "labels" / "label-f00011.pkl", {"scan_labels": labels})
    return folder


def dressed_labels(body: Body) -> np.ndarray:
    """(V,) in the dataset's numbering, by height and side in the rest pose: shoes, lower, upper, skin, hair."""
    x, y = body.v_template[:, 0].abs().numpy(), body.v_template[:, 1].numpy()
    labels = np.select([y < -1.15, y < -0.35, y > 0.3, y > 0.15, x > 0.4], [2, 4, 1, 0, 0], 3)
    return labels.astype(np.int64)


def label_uvs(labels: np.ndarray) -> np.ndarray:
    """(V, 2): the middle of the label's band of the atlas, v up."""
    return np.stack([np.full(len(labels), 0.5), (labels + 0.5) / 6], axis=1).astype(np.float32)


COLOURS = np.array(
    [(200, 160, 140), (60, 40, 20), (20, 20, 20), (180, 40, 40), (40, 60, 160), (90, 90, 90)],
    np.uint8,
)


def atlas() -> np.ndarray:
    """(96, 32, 3) six bands, bottom row first as the dataset stores it: band k has COLOURS[k]."""
    return np.repeat(np.repeat(COLOURS[:, None], 32, axis=1), 16, axis=0)


def _normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    normals = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(normals, faces[:, k], np.cross(b - a, c - a))
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def dump(path: Path, content) -> None:
    """A plain pickle, as the dataset's makers write them."""
    path.write_bytes(pickle.dumps(content))
