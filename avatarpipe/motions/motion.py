"""One clip of one body: poses at a steady frame rate, y up, metres, hands in full with their mean added."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from avatarpipe.body.model import Body
from avatarpipe.body.params import SIZES, BodyParams
from avatarpipe.body.smpl import rest_pelvis_of
from avatarpipe.errors import InputError
from avatarpipe.files import atomic_file
from avatarpipe.motions.content import Content, peek
from avatarpipe.motions.interpolation import between_valid, interpolated_cameras, lerp, slerp

FORMAT_VERSION = 1
GENDERS = ("neutral", "female", "male")
_LABELS = {"up": "y", "unit": "m", "body_model": "smplx"}
_POSES = [name for name in SIZES if name.endswith("pose") or name == "global_orient"]
_BATCH = 64  # bodies posed at a time


@dataclass(frozen=True)
class Motion:
    """F frames of one body in a right-handed world, y up, metres; betas are the same in every frame.

    poses: F bodies in the SMPL-X layout. valid: (F,) bool, False where the source had nothing reliable (all True where None).
    K: (F, 3, 3) pixels and w2c: (F, 4, 4) OpenCV, the camera that filmed each frame, where the source knows it.
    """

    fps: float
    poses: BodyParams
    gender: str = "neutral"
    valid: np.ndarray | None = None
    K: np.ndarray | None = None
    w2c: np.ndarray | None = None

    def __post_init__(self):
        valid = np.ones(len(self), bool) if self.valid is None else np.asarray(self.valid, bool)
        object.__setattr__(self, "valid", valid)
        sizes = {len(x) for x in (valid, self.K, self.w2c) if x is not None} | {len(self)}
        if len(sizes) != 1 or not len(self) or not (np.isfinite(self.fps) and self.fps > 0):
            raise ValueError(f"one frame rate above 0 and one length expected: {self.fps}, {sizes}")

    def __len__(self) -> int:
        return len(self.poses)

    @property
    def times(self) -> np.ndarray:
        """(F,) seconds from the first frame."""
        return np.arange(len(self)) / self.fps

    def cut(self, start: int, stop: int | None = None) -> "Motion":
        """Frames start to stop (not included), numbered as slices are."""
        part = slice(start, stop)
        if not len(range(*part.indices(len(self)))):
            raise InputError(f"frames {start}:{stop} of a motion of {len(self)} frames are none.")
        cameras = {name: _sliced(getattr(self, name), part) for name in ("K", "w2c")}
        return replace(self, poses=self.poses[part], valid=self.valid[part], **cameras)

    def resampled(self, fps: float) -> "Motion":
        """The same seconds at another frame rate; joints turn along shortest arcs between the valid frames.

        A frame is valid where both frames of the source next to it are; the others are filled from the nearest valid ones.
        """
        count = int(np.floor((len(self) - 1) / self.fps * fps + 1e-6)) + 1
        return self._sampled(np.arange(count) / fps, fps)

    def filled(self) -> "Motion":
        """The same frames, those that are not valid interpolated between their valid neighbours; `valid` stays."""
        return self._sampled(self.times, self.fps)

    def _sampled(self, times: np.ndarray, fps: float) -> "Motion":
        if not self.valid.any():
            raise InputError("a motion without a single valid frame cannot be interpolated.")
        keys, chosen = self.times[self.valid], np.flatnonzero(self.valid)
        arrays = {name: value.double().numpy() for name, value in self.poses[chosen].items()}
        for name in _POSES:
            joints = arrays[name].reshape(len(keys), -1, 3)
            arrays[name] = slerp(keys, joints, times).reshape(len(times), -1)
        for name in ("transl", "expression", "betas"):
            arrays[name] = lerp(keys, arrays[name], times)
        return Motion(
            fps,
            BodyParams(**{name: torch.from_numpy(array).float() for name, array in arrays.items()}),
            self.gender,
            between_valid(self.valid, np.minimum(times * self.fps, len(self) - 1)),
            None if self.K is None else lerp(keys, self.K[self.valid], times),
            None if self.w2c is None else interpolated_cameras(keys, self.w2c[self.valid], times),
        )

    def rotated(self, matrix: np.ndarray, body: Body) -> "Motion":
        """The motion after a rigid move of the world, its cameras with it: vertices become R V + t.

        matrix: (3, 3), (4, 4), or one a frame, (F, 4, 4). smplx turns a body about its rest pelvis J0(betas) and then adds
        transl, hence root' = R root and transl' = R (J0 + transl) - J0 + t.
        """
        matrices = _matrices(matrix, len(self))
        R, t = matrices[:, :3, :3], matrices[:, :3, 3]
        pelvis = rest_pelvis_of(body, self.poses.betas.numpy())
        root = Rotation.from_matrix(R) * Rotation.from_rotvec(
            self.poses.global_orient.double().numpy()
        )
        places = np.einsum("fij,fj->fi", R, pelvis + self.poses.transl.double().numpy())
        poses = self.poses.replaced(
            global_orient=torch.from_numpy(root.as_rotvec()).float(),
            transl=torch.from_numpy(places - pelvis + t).float(),
        )
        w2c = None if self.w2c is None else self.w2c @ np.linalg.inv(matrices)
        return replace(self, poses=poses, w2c=w2c)

    def shaped(self, betas: np.ndarray, body: Body) -> "Motion":
        """The motion of a body with other betas (10,), its pelvis where it was."""
        new = np.broadcast_to(np.asarray(betas, np.float64), (len(self), 10))
        step = rest_pelvis_of(body, self.poses.betas.numpy()) - rest_pelvis_of(body, new)
        transl = self.poses.transl.double().numpy() + step
        return replace(
            self,
            poses=self.poses.replaced(
                betas=torch.from_numpy(new.copy()).float(), transl=torch.from_numpy(transl).float()
            ),
        )

    def grounded(self, body: Body) -> "Motion":
        """The motion moved along y so that the lowest vertex of its valid frames is at 0; cameras move with it."""
        chosen = np.flatnonzero(self.valid)
        lowest = [
            body.vertices(self.poses[part.tolist()])[..., 1].min()
            for part in np.array_split(chosen, -(-len(chosen) // _BATCH))
        ]
        shift = np.eye(4)
        shift[1, 3] = -float(min(lowest))
        return self.rotated(shift, body)

    def save(self, path: str | Path) -> None:
        """Write the neutral npz: plain arrays only, see docs/motions.md. The file appears whole or not at all."""
        arrays = {name: value.cpu().numpy() for name, value in self.poses.items()}
        arrays["betas"] = arrays["betas"][0]
        arrays |= _LABELS | {
            "format_version": FORMAT_VERSION, "fps": float(self.fps), "gender": self.gender,
            "flat_hand_mean": True, "valid": self.valid,
        }  # fmt: skip
        arrays |= {
            f"cam_{name}": _shortest(getattr(self, name))
            for name in ("K", "w2c")
            if getattr(self, name) is not None
        }
        with atomic_file(path) as temporary:
            np.savez_compressed(temporary, **arrays)

    @staticmethod
    def load(path: str | Path) -> "Motion":
        """Read what `save` wrote. Raises InputError where the file is missing, broken, or not of this container."""
        return from_content(peek(path))


def is_neutral(content: Content) -> bool:
    """Whether the file says that it is of this container."""
    return content.kind == "npz" and {"format_version", "flat_hand_mean", "fps"} <= content.keys


def from_content(content: Content) -> Motion:
    """The motion of a neutral npz; InputError where a label or an array is not as the container has it."""
    _check_labels(content)
    orient = content.array("global_orient", (None, 3))
    count = len(orient)
    arrays = {name: content.array(name, (count, SIZES[name])) for name in _POSES}
    arrays["transl"] = content.array("transl", (count, 3))
    arrays["expression"] = first_ten(content.array("expression", (count, None)))
    betas = first_ten(content.array("betas", (None,))[None])
    arrays["betas"] = np.repeat(betas, count, axis=0)
    cameras = {
        name: _cameras(content, f"cam_{name}", count, size) for name, size in (("K", 3), ("w2c", 4))
    }
    valid = content.array("valid", (count,)) > 0
    poses = BodyParams.from_arrays(arrays, content.path)
    return Motion(content.rate("fps"), poses, content.gender("gender"), valid, **cameras)


def _cameras(content: Content, name: str, count: int, size: int) -> np.ndarray | None:
    """(count, size, size), be there one row for all frames or one a frame; None where the file has no cameras."""
    array = content.optional(name, (None, size, size))
    if array is None or len(array) == count:
        return array
    if len(array) != 1:
        content.fail(f"{name} must have 1 or {count} rows")
    return np.repeat(array, count, axis=0)


def _check_labels(content: Content) -> None:
    version = content.number("format_version")
    if version != FORMAT_VERSION:
        content.fail(f"format_version {version:g}; this avatarpipe reads {FORMAT_VERSION}")
    for name, wanted in _LABELS.items():
        if (found := content.text(name)) != wanted:
            content.fail(f"{name} is {found!r}, expected {wanted!r}")
    if not content.number("flat_hand_mean"):
        content.fail("flat_hand_mean is false; the container holds hands with their mean added")


def first_ten(array: np.ndarray) -> np.ndarray:
    """(F, 10): the first ten coefficients of (F, N), zeros where there are fewer."""
    kept = array[:, :10]
    return np.pad(kept, ((0, 0), (0, 10 - kept.shape[1])))


def _matrices(matrix: np.ndarray, count: int) -> np.ndarray:
    matrix = np.asarray(matrix, np.float64)
    full = np.tile(np.eye(4), (count, 1, 1))
    rows, columns = matrix.shape[-2:]
    full[:, :rows, :columns] = matrix
    return full


def _sliced(array: np.ndarray | None, part: slice) -> np.ndarray | None:
    return None if array is None else array[part]


def _shortest(array: np.ndarray) -> np.ndarray:
    """One row where all are alike."""
    return array[:1] if (array == array[:1]).all() else array
