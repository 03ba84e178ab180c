"""Captures with one known mistake each, as people make them: what the alignment check must name."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from scipy.spatial.transform import Rotation

from avatarpipe.body.model import Body
from avatarpipe.body.params import BodyParams
from avatarpipe.cameras import Cameras
from avatarpipe.capture.capture import Capture
from avatarpipe.capture.manifest import MANIFEST_NAME
from avatarpipe.capture.normalization import moved_poses, rest_pelvis
from avatarpipe.capture.writing import publishing, write_split
from avatarpipe.images import read_mask, write_image

_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])


@dataclass(frozen=True)
class Recorded:
    """What of a capture a mistake may change."""

    cameras: Cameras
    poses: BodyParams
    body: Body
    flipped: bool = False
    """Whether the masks are turned left for right."""

    def with_w2c(self, w2c: np.ndarray) -> "Recorded":
        return replace(self, cameras=replace(self.cameras, w2c=w2c))

    def with_poses(self, **changes: torch.Tensor) -> "Recorded":
        return replace(self, poses=self.poses.replaced(**changes))


def write_mistaken(capture: Capture, body: Body, mistake: Callable[[Recorded], Recorded], folder: Path) -> Path:
    """The capture after `mistake`, in `folder`, its masks referred to where they lie; returns its capture.json."""
    test = capture.cameras("test").names
    wrong = mistake(Recorded(capture.cameras(), capture.poses, body))
    path = folder / MANIFEST_NAME
    with publishing(path) as draft:
        entries = write_split(draft, wrong.cameras, test)
        wrong.poses.save(draft / "poses.npz")
        if wrong.flipped:
            entries["masks"] = _flip_masks(capture, draft)
        manifest = capture.manifest.moved(capture.folder, folder, poses="poses.npz", **entries)
        manifest.save(draft / MANIFEST_NAME)
    return path


def _flip_masks(capture: Capture, draft: Path) -> str:
    for frame in capture.frame_names:
        for camera in capture.cameras().names:
            mask = read_mask(capture.image_path("masks", camera, frame))
            write_image(draft / "masks" / frame / f"{camera}.png", cv2.flip(mask, 1))
    return "masks"


def world_times(factor: float) -> Callable[[Recorded], Recorded]:
    """Cameras in a world of another unit or scale than the bodies: the subject is `factor` times as large as its body."""

    def change(recorded: Recorded) -> Recorded:
        w2c = recorded.cameras.w2c.copy()
        w2c[:, :3, 3] *= factor
        return recorded.with_w2c(w2c)

    return change


def transl_times(factor: float) -> Callable[[Recorded], Recorded]:
    """transl in another unit."""
    return lambda recorded: recorded.with_poses(transl=recorded.poses.transl * factor)


def unscaled_fit(factor: float) -> Callable[[Recorded], Recorded]:
    """The scale of a fit left out: every body is 1 / `factor` of its size about its own origin, seen by its cameras."""

    def change(recorded: Recorded) -> Recorded:
        w2c = recorded.cameras.w2c.copy()
        origin = recorded.poses.transl[:1].double().numpy() / factor
        w2c[:, :3, 3] = (w2c[:, :3, 3] + w2c[:, :3, :3] @ (origin[0] * factor)) / factor - w2c[:, :3, :3] @ origin[0]
        transl = recorded.poses.transl / factor
        return recorded.with_w2c(w2c).with_poses(transl=transl)

    return change


def hand_mean(times: float) -> Callable[[Recorded], Recorded]:
    """The hand mean added once more (1), or missing (-1)."""

    def change(recorded: Recorded) -> Recorded:
        hands = {}
        for side in ("left", "right"):
            mean = torch.as_tensor(recorded.body.hand_pca(side)[1], dtype=torch.float32)
            hands[f"{side}_hand_pose"] = getattr(recorded.poses, f"{side}_hand_pose") + times * mean
        return recorded.with_poses(**hands)

    return change


def opengl(recorded: Recorded) -> Recorded:
    """Cameras in OpenGL axes."""
    return recorded.with_w2c(_OPENGL @ recorded.cameras.w2c)


def inverted(recorded: Recorded) -> Recorded:
    """c2w where w2c belongs."""
    return recorded.with_w2c(np.linalg.inv(recorded.cameras.w2c))


def opengl_inverted(recorded: Recorded) -> Recorded:
    """OpenGL's c2w, as nerfstudio and Blender write it, where w2c belongs."""
    return recorded.with_w2c(np.linalg.inv(_OPENGL @ recorded.cameras.w2c))


def transposed(recorded: Recorded) -> Recorded:
    """Rotations of the other memory order."""
    w2c = recorded.cameras.w2c.copy()
    w2c[:, :3, :3] = w2c[:, :3, :3].transpose(0, 2, 1)
    return recorded.with_w2c(w2c)


def left_handed(recorded: Recorded) -> Recorded:
    """Cameras as Unity has them: y up, z forward, x right, in a world whose x is mirrored."""
    w2c = np.diag([1.0, -1, 1, 1]) @ recorded.cameras.w2c @ np.diag([-1.0, 1, 1, 1])
    return recorded.with_w2c(w2c)


def mirrored(recorded: Recorded) -> Recorded:
    """Images turned left for right."""
    return replace(recorded, flipped=True)


def half_size(recorded: Recorded) -> Recorded:
    """K of images half as wide and high."""
    K = np.diag([0.5, 0.5, 1.0]) @ recorded.cameras.K
    return replace(recorded, cameras=replace(recorded.cameras, K=K))


def frames_late(count: int) -> Callable[[Recorded], Recorded]:
    """Poses of `count` frames later (the last one stands still)."""

    def change(recorded: Recorded) -> Recorded:
        last = len(recorded.poses) - 1
        index = np.clip(np.arange(last + 1) + count, 0, last)
        return replace(recorded, poses=recorded.poses[index.tolist()])

    return change


def turned(axis: str, degrees: float, what: str = "both") -> Callable[[Recorded], Recorded]:
    """Bodies in a world turned against the cameras'; `what`: "both", or only the "root" or "transl" of the poses."""

    def change(recorded: Recorded) -> Recorded:
        matrix = np.eye(4)
        matrix[:3, :3] = Rotation.from_euler(axis, degrees, degrees=True).as_matrix()
        if what == "transl":
            transl = recorded.poses.transl.double() @ torch.from_numpy(matrix[:3, :3].T)
            return recorded.with_poses(transl=transl.float())
        poses = moved_poses(recorded.body, recorded.poses, matrix)
        if what == "root":
            return recorded.with_poses(global_orient=poses.global_orient)
        return replace(recorded, poses=poses)

    return change


def shifted(x: float, y: float, z: float) -> Callable[[Recorded], Recorded]:
    """Every body off by metres."""
    move = torch.tensor([[x, y, z]])
    return lambda recorded: recorded.with_poses(transl=recorded.poses.transl + move)


def pelvis_as_transl(recorded: Recorded) -> Recorded:
    """The pelvis' place given as transl."""
    pelvis = torch.from_numpy(rest_pelvis(recorded.body, recorded.poses)).float()
    return recorded.with_poses(transl=recorded.poses.transl + pelvis)


def noisy(degrees: float, metres: float, seed: int = 0) -> Callable[[Recorded], Recorded]:
    """A calibration that is a little off: each camera turned by `degrees` about any axis and moved by `metres` any way."""

    def change(recorded: Recorded) -> Recorded:
        rng = np.random.default_rng(seed)
        w2c = recorded.cameras.w2c.copy()
        for matrix in w2c:
            turn, move = (vector / np.linalg.norm(vector) for vector in rng.normal(size=(2, 3)))
            rotation = Rotation.from_rotvec(np.radians(degrees) * turn).as_matrix()
            matrix[:3] = rotation @ matrix[:3]
            matrix[:3, 3] += metres * move
        return recorded.with_w2c(w2c)

    return change


def swapped(recorded: Recorded) -> Recorded:
    """The first two cameras' calibrations under each other's name."""
    order = [1, 0, *range(2, len(recorded.cameras))]
    return recorded.with_w2c(recorded.cameras.w2c[order])


MISTAKES: dict[str, tuple[str, Callable[[Recorded], Recorded]]] = {
    "cameras in mm, bodies in m": ("scale", world_times(1000.0)),
    "cameras in cm, bodies in m": ("scale", world_times(100.0)),
    "transl in mm": ("scale", transl_times(1000.0)),
    "transl in cm": ("scale", transl_times(100.0)),
    "fit's scale 1.15 not applied": ("scale", unscaled_fit(1.15)),
    "fit's scale 0.8 not applied": ("scale", unscaled_fit(0.8)),
    "hand mean twice": ("hand mean", hand_mean(1)),
    "hand mean missing": ("hand mean", hand_mean(-1)),
    "OpenGL axes": ("camera axes", opengl),
    "c2w for w2c": ("camera axes", inverted),
    "OpenGL c2w for w2c": ("camera axes", opengl_inverted),
    "rotations transposed": ("camera axes", transposed),
    "left-handed world": ("camera axes", left_handed),
    "images mirrored": ("camera axes", mirrored),
    "K of half the size": ("camera intrinsics", half_size),
    "bodies z-up": ("world up axis", turned("x", 90)),
    "bodies z-up, the other way": ("world up axis", turned("x", -90)),
    "only global_orient turned": ("world up axis", turned("x", 90, "root")),
    "pelvis as transl": ("transl offset", pelvis_as_transl),
    "12 cm off": ("transl offset", shifted(0.02, -0.118, 0.01)),
}
"""Expected cause and mistake, by name; for any capture."""

VIDEO_MISTAKES: dict[str, tuple[str, Callable[[Recorded], Recorded]]] = {
    f"poses {count:+d} frames": ("frame offset", frames_late(count)) for count in (1, -1, 3, -8, 10)
}
"""The same, for captures of many frames."""

TROUBLE: dict[str, Callable[[Recorded], Recorded]] = {
    "nothing": lambda recorded: recorded,
    "cameras 1 degree, 1 cm off": noisy(1.0, 0.01),
    "cameras 2 degrees, 1 cm off": noisy(2.0, 0.01),
    "all bodies 1 cm off": shifted(0.006, 0.006, -0.005),
}
"""What must pass, with warnings where it is anything."""
