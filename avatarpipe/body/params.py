"""What poses and shapes a body: the SMPL-X parameters, hands in full with their mean already added."""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch

from avatarpipe.errors import InputError
from avatarpipe.files import atomic_file, require_file
from avatarpipe.npz import BROKEN, check_size

SIZES = {
    "betas": 10, "expression": 10, "global_orient": 3, "body_pose": 63, "left_hand_pose": 45,
    "right_hand_pose": 45, "jaw_pose": 3, "leye_pose": 3, "reye_pose": 3, "transl": 3,
}  # fmt: skip


@dataclass
class BodyParams:
    """A batch of B bodies; poses are axis-angle in radians, transl in metres, hands include the hand mean."""

    betas: torch.Tensor  # (B, 10)
    expression: torch.Tensor  # (B, 10)
    global_orient: torch.Tensor  # (B, 3)
    body_pose: torch.Tensor  # (B, 63)
    left_hand_pose: torch.Tensor  # (B, 45)
    right_hand_pose: torch.Tensor  # (B, 45)
    jaw_pose: torch.Tensor  # (B, 3)
    leye_pose: torch.Tensor  # (B, 3)
    reye_pose: torch.Tensor  # (B, 3)
    transl: torch.Tensor  # (B, 3)

    @staticmethod
    def zeros(count: int = 1) -> "BodyParams":
        """The T-pose of the mean shape, `count` times."""
        return BodyParams(**{name: torch.zeros(count, size) for name, size in SIZES.items()})

    def __len__(self) -> int:
        return len(self.betas)

    def __getitem__(self, index) -> "BodyParams":
        """The bodies at an integer (kept as a batch of one), slice or list."""
        index = [index] if isinstance(index, int) else index
        return BodyParams(**{name: value[index] for name, value in self.items()})

    def items(self):
        """(name, tensor) of each parameter, in the order of SIZES."""
        return [(field.name, getattr(self, field.name)) for field in fields(self)]

    def replaced(self, **changes: torch.Tensor) -> "BodyParams":
        """A copy in which the named parameters are others."""
        return BodyParams(**(dict(self.items()) | changes))

    def to(self, device) -> "BodyParams":
        """The same parameters on another device."""
        return BodyParams(**{name: value.to(device) for name, value in self.items()})

    @property
    def full_pose(self) -> torch.Tensor:
        """(B, 165) axis-angle of the 55 joints, in the order of JOINT_NAMES."""
        return torch.cat(
            [
                self.global_orient, self.body_pose, self.jaw_pose, self.leye_pose,
                self.reye_pose, self.left_hand_pose, self.right_hand_pose,
            ],
            dim=1,
        )  # fmt: skip

    def save(self, path: str | Path) -> None:
        """Write the parameters as a float32 npz, one array a name."""
        with atomic_file(path) as temporary:
            np.savez(temporary, **{name: value.cpu().numpy() for name, value in self.items()})

    @staticmethod
    def load(path: str | Path) -> "BodyParams":
        """Read what `save` wrote. Raises InputError on a missing name, a wrong width or NaN."""
        path = require_file(path, "Body parameters (npz) were expected here; rerun the step that writes them.")
        try:
            check_size(path)
            with np.load(path, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
        except BROKEN as error:
            raise InputError(f"{path}: truncated, or not an npz of plain arrays ({error}). Rerun the step.") from error
        return BodyParams.from_arrays(arrays, path)

    @staticmethod
    def from_arrays(arrays: dict[str, np.ndarray], path: str | Path) -> "BodyParams":
        """Parameters from (B, size) arrays by name; `path` is named in the InputError where one does not fit."""
        values = {}
        for name, size in SIZES.items():
            if name not in arrays:
                raise InputError(f"{path}: body parameter {name} is missing.")
            array = np.asarray(arrays[name], np.float32)
            if array.ndim != 2 or array.shape[1] != size:
                raise InputError(f"{path}: {name} has shape {array.shape}, expected (frames, {size}).")
            if not np.isfinite(array).all():
                raise InputError(f"{path}: {name} holds NaN or infinity. Check the body fit.")
            values[name] = torch.from_numpy(array.copy())
        return BodyParams(**values)


def canonical_params(legs_apart_deg: float = 15.0) -> BodyParams:
    """Mean shape, arms horizontal, hips turned outward about z: the space in which avatars are stored.

    The 0.4 m upward keep feet to crown inside [-1, 1]^3, as in normalised captures: the same cameras see both.
    """
    params = BodyParams.zeros()
    angle = np.radians(legs_apart_deg)
    params.body_pose[0, 2], params.body_pose[0, 5] = angle, -angle
    params.transl[0, 1] = 0.4
    return params
