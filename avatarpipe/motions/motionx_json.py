"""Motion-X as JSON annotations: local (a camera's frame) and global (a world with moving cameras), one body a frame."""

from collections.abc import Sequence

import numpy as np

from avatarpipe.motions.content import Content
from avatarpipe.motions.motion import Motion, first_ten
from avatarpipe.motions.motionx import FPS
from avatarpipe.motions.reading import ReadOptions, rate, smplx_params, upright

EXPECTS = "JSON with annotations, each with smplx_params"
# SMPL-X name: (name in local motion, name in global motion, numbers)
_NAMES = {
    "global_orient": ("root_pose", "root_orient", 3), "body_pose": ("body_pose", "pose_body", 63),
    "jaw_pose": ("jaw_pose", "pose_jaw", 3), "transl": ("trans", "trans", 3),
    "expression": ("expr", "face_expr", None), "betas": ("shape", "betas", None),
}  # fmt: skip
_HANDS = ("left_hand_pose", "right_hand_pose")
_CROP = np.array([192.0, 256.0])  # pixels of the image crop that local motion was estimated on
_CROP_FOCAL = 5000.0


def recognises(content: Content) -> bool:
    """Whether the file has annotations."""
    return content.kind == "json" and "annotations" in content.keys


def read(content: Content, options: ReadOptions) -> Motion:
    """The clip, frames in the order of their images; full hands as they stand.

    Local motion lives in the frame of an OpenCV camera, which becomes the world turned upright; its intrinsics follow from
    the box of each frame. Global motion is y up and brings a camera a frame.
    """
    rows = _ordered(content)
    bodies = [_body(content, row, number) for number, row in enumerate(rows)]
    is_global = "root_orient" in bodies[0].keys
    params = smplx_params(_fields(bodies, is_global), options)
    K, w2c = (_global_cameras if is_global else _local_cameras)(content, rows)
    motion = Motion(rate(FPS, options), params, "neutral", None, K, w2c)
    return upright(motion, "y" if is_global else "-y", options)


def _ordered(content: Content) -> list[dict]:
    rows = content.data.get("annotations") if isinstance(content.data, dict) else None
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        content.fail("annotations is no list of one entry a frame")
    ids = [row.get("image_id") for row in rows]
    if all(number is None for number in ids):
        return rows
    if not all(isinstance(number, int) for number in ids) or len(set(ids)) < len(ids):
        content.fail(
            "the annotations' image_id are not one different whole number a frame (several people?)"
        )
    return sorted(rows, key=lambda row: row["image_id"])


def _body(content: Content, row: dict, number: int) -> Content:
    body = row.get("smplx_params")
    if not isinstance(body, dict):
        content.fail(f"annotation {number} has no smplx_params")
    return content.part(f"annotation {number}, smplx_params", body)


def _fields(bodies: Sequence[Content], is_global: bool) -> dict[str, np.ndarray]:
    fields = {}
    for name, (local, world, size) in _NAMES.items():
        key = world if is_global else local
        rows = [body.array(key, (size,)) for body in bodies]
        if size is None:
            rows = [first_ten(row[None])[0] for row in rows]
        fields[name] = np.stack(rows)
    hands = np.stack([_hands(body) for body in bodies])
    return fields | {name: hands[:, k] for k, name in enumerate(_HANDS)}


def _hands(body: Content) -> np.ndarray:
    """(2, 45): one array of 90 or one of 45 a hand."""
    if "pose_hand" in body.keys:
        return body.array("pose_hand", (90,)).reshape(2, 45)
    return np.stack([body.array(f"{letter}hand_pose", (45,)) for letter in "lr"])


def _global_cameras(content: Content, rows: Sequence[dict]):
    """(K, w2c), each one a frame: x_camera = cam_R x + cam_T, OpenCV axes; None where no camera is given."""
    if "cam_params" not in rows[0]:
        return None, None
    K, w2c = np.tile(np.eye(3), (len(rows), 1, 1)), np.tile(np.eye(4), (len(rows), 1, 1))
    for number, row in enumerate(rows):
        if not isinstance(row.get("cam_params"), dict):
            content.fail(f"annotation {number} has no cam_params")
        camera = content.part(f"annotation {number}, cam_params", row["cam_params"])
        w2c[number, :3, :3] = camera.array("cam_R", (3, 3))
        w2c[number, :3, 3] = camera.array("cam_T", (3,))
        K[number, [0, 1, 0, 1], [0, 1, 2, 2]] = camera.array("intrins", (4,))
    return K, w2c


def _local_cameras(content: Content, rows: Sequence[dict]):
    """(K, w2c): the camera is the world, its focal length that of the crop scaled to the box [x, y, w, h]."""
    w2c = np.tile(np.eye(4), (len(rows), 1, 1))
    if "bbox" not in rows[0]:
        return None, w2c
    K = np.tile(np.eye(3), (len(rows), 1, 1))
    for number, row in enumerate(rows):
        box = content.part(f"annotation {number}", row).array("bbox", (4,))
        K[number, [0, 1], [0, 1]] = _CROP_FOCAL * box[2:] / _CROP
        K[number, [0, 1], 2] = box[:2] + 0.5 * box[2:]
    return K, w2c
