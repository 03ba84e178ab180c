"""TRAM (Wang et al. 2024): SMPL tracks in a moving camera's frame, and that camera in a world with gravity along -y.

A track may have holes: its `frame` says which images it has. They stay in the motion, filled and marked as not valid.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from avatarpipe.errors import InputError
from avatarpipe.motions.content import Content, peek
from avatarpipe.motions.motion import Motion
from avatarpipe.motions.reading import ReadOptions, rate, smpl_params, upright

EXPECTS = "pickled npy with pred_rotmat, pred_trans and frame, or TRAM's folder of results"
FPS = 30.0
_CAMERAS = ("camera.npy", "../camera.npy", "../camera/camera.npy")
_LONGEST = 100_000  # frames; more means that `frame` holds no frame numbers


def recognises(content: Content) -> bool:
    """Whether the file is a track of TRAM."""
    return content.kind == "object npy" and {"pred_rotmat", "pred_trans"} <= content.keys


def track_file(folder: Path, person: int) -> Path:
    """The file of the track numbered `person` (0 is the longest) in a folder of results."""
    tracks = [folder / part / f"hps_track_{person}.npy" for part in ("hps", "animation", ".")]
    found = next((path for path in tracks if path.is_file()), None)
    if found is None:
        raise InputError(
            f"{folder}: no hps/hps_track_{person}.npy. Give a motion file, or the folder of TRAM's results."
        )
    return found


def read(content: Content, options: ReadOptions) -> Motion:
    """The track in the world of camera.npy where that lies beside it, else in the camera's frame turned upright."""
    frames = _frames(content)
    compact = _in_camera(content, len(frames), options)
    camera = next(
        (path for name in _CAMERAS if (path := content.path.parent / name).is_file()), None
    )
    if camera is None:
        return upright(_spread(compact, frames), "-y", options)
    K, c2w = _camera(peek(camera), frames[-1])
    motion = _spread(compact.rotated(c2w[frames], options.body), frames)
    span = slice(frames[0], frames[-1] + 1)
    K = np.repeat(K[None], len(motion), axis=0)
    return upright(replace(motion, K=K, w2c=np.linalg.inv(c2w[span])), "y", options)


def _frames(content: Content) -> np.ndarray:
    """(n,) increasing numbers of the images that the track has."""
    frames = content.array("frame", (None,))
    steps = np.diff(frames)
    whole = len(frames) and (frames == np.round(frames)).all() and frames[0] >= 0
    if not whole or (steps <= 0).any() or frames[-1] - frames[0] > _LONGEST:
        content.fail("frame is not an increasing list of image numbers")
    return frames.astype(np.int64)


def _in_camera(content: Content, count: int, options: ReadOptions) -> Motion:
    """The bodies as the camera sees them, without the holes."""
    matrices = content.array("pred_rotmat", (count, 24, 3, 3)).reshape(-1, 3, 3)
    off = np.abs(matrices @ matrices.transpose(0, 2, 1) - np.eye(3)).max()
    if off > 1e-2 or (np.linalg.det(matrices) < 0).any():
        content.fail(f"pred_rotmat holds matrices that are no rotations (off by {off:.3g})")
    pose = Rotation.from_matrix(matrices).as_rotvec().reshape(count, 72)
    transl = content.array("pred_trans", (count, 3))
    return Motion(rate(FPS, options), smpl_params(pose, transl, options))


def _spread(motion: Motion, frames: np.ndarray) -> Motion:
    """The motion with a frame for every image from the first to the last of `frames`; holes are filled and not valid."""
    numbers = np.arange(frames[0], frames[-1] + 1)
    last_seen = np.searchsorted(frames, numbers, side="right") - 1
    valid = np.isin(numbers, frames)
    spread = replace(motion, poses=motion.poses[last_seen.tolist()], valid=valid)
    return spread if valid.all() else spread.filled()


def _camera(content: Content, last: int) -> tuple[np.ndarray, np.ndarray]:
    """K (3, 3) and the cameras to the world, (images, 4, 4)."""
    rotations = content.array("world_cam_R", (None, 3, 3))
    if last >= len(rotations):
        content.fail(f"cameras of {len(rotations)} images, but the track has image {last}")
    c2w = np.tile(np.eye(4), (len(rotations), 1, 1))
    c2w[:, :3, :3] = rotations
    c2w[:, :3, 3] = content.array("world_cam_T", (len(rotations), 3))
    K = np.diag([content.number("img_focal")] * 2 + [1.0])
    K[:2, 2] = content.array("img_center", (2,))
    return K, c2w
