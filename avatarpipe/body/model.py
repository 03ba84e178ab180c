"""A body read from any file in the SMPL-X v1.1 layout and posed by the unmodified smplx package."""

import contextlib
import copy
import io
import tempfile
import zipfile
import zlib
from functools import cached_property
from pathlib import Path

import numpy as np
import smplx
import torch
from smplx.lbs import batch_rodrigues, blend_shapes, vertices2joints

from avatarpipe.body.params import BodyParams
from avatarpipe.errors import InputError
from avatarpipe.files import require_file
from avatarpipe.npz import check_size

_FINGERS = [f"{finger}{k}" for finger in ("index", "middle", "pinky", "ring", "thumb") for k in (1, 2, 3)]
JOINT_NAMES = [
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle",
    "right_ankle", "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head",
    "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
    "jaw", "left_eye", "right_eye",
    *(f"left_{finger}" for finger in _FINGERS), *(f"right_{finger}" for finger in _FINGERS),
]  # fmt: skip
_NEEDED_KEYS = {
    "v_template", "f", "shapedirs", "posedirs", "J_regressor", "kintree_table", "weights",
    "hands_componentsl", "hands_componentsr", "hands_meanl", "hands_meanr",
}  # fmt: skip
_HINT = (
    "A body in the SMPL-X v1.1 npz layout was expected: build the free one with "
    "`avatarpipe body --gender neutral --out FILE`, or put the licensed SMPLX_*.npz there."
)


class Body:
    """A parametric human with V vertices and 55 joints, y up, metres, facing +Z.

    path: SMPLX_*.npz, licensed or free. Raises InputError where it is missing or lacks a key of the layout.
    """

    def __init__(self, path: str | Path, device: str | torch.device = "cpu"):
        self.path = require_file(path, _HINT)
        self._arrays, pickled = _read_layout(self.path)
        self._model = _load_with_smplx(self.path, self._arrays, pickled).to(device)
        self._model.requires_grad_(False)

    @property
    def device(self) -> torch.device:
        return self._model.v_template.device

    @cached_property
    def faces(self) -> np.ndarray:
        """(F, 3) int64 triangles, counter-clockwise seen from outside."""
        return self._model.faces.astype(np.int64)

    @property
    def parents(self) -> np.ndarray:
        """(55,) parent joint of each joint, -1 for the pelvis."""
        return self._model.parents.cpu().numpy()

    @property
    def v_template(self) -> torch.Tensor:
        """(V, 3) mean shape in T-pose."""
        return self._model.v_template

    @property
    def lbs_weights(self) -> torch.Tensor:
        """(V, 55) skinning weights, each row summing to 1."""
        return self._model.lbs_weights

    @property
    def uv(self) -> tuple[np.ndarray, np.ndarray] | None:
        """(vt (T, 2), ft (F, 3)) texture coordinates where the file has them."""
        if "vt" not in self._arrays:
            return None
        return self._arrays["vt"].astype(np.float32), self._arrays["ft"].astype(np.int64)

    def extra(self, name: str) -> np.ndarray | None:
        """An array of the file beyond the SMPL-X layout, or None: nothing may depend on one being there."""
        return self._arrays.get(name)

    def hand_pca(self, side: str) -> tuple[np.ndarray, np.ndarray]:
        """(components (45, 45), mean (45,)) of the "left" or "right" hand."""
        letter = side[0]
        return self._arrays[f"hands_components{letter}"], self._arrays[f"hands_mean{letter}"]

    def decode_hand(self, coefficients: np.ndarray, side: str) -> np.ndarray:
        """(B, 45) full hand pose, mean added, of (B, C) PCA coefficients (flat_hand_mean=False)."""
        components, mean = self.hand_pca(side)
        return coefficients @ components[: coefficients.shape[1]] + mean

    def vertices(self, params: BodyParams) -> torch.Tensor:
        """(B, V, 3) posed vertices."""
        return self._forward(params).vertices

    def exact_vertices(self, params: BodyParams) -> torch.Tensor:
        """(B, V, 3) float64 posed vertices: rounded to float32, they are the same on any number of threads."""
        exact = copy.deepcopy(self._model).double()
        values = {name: value.double() for name, value in params.to(self.device).items()}
        return exact(**values, return_verts=True).vertices

    def joints(self, params: BodyParams) -> torch.Tensor:
        """(B, J, 3) posed joints as smplx orders them: the 55 joints, then extra vertices and landmarks."""
        return self._forward(params).joints

    def _forward(self, params: BodyParams):
        return self._model(**dict(params.to(self.device).items()), return_verts=True)

    def shaped(self, params: BodyParams) -> torch.Tensor:
        """(B, V, 3) vertices in T-pose with the shape and expression of `params`."""
        return self.v_template + self._shape_offsets(params.to(self.device))

    def _shape_offsets(self, params: BodyParams) -> torch.Tensor:
        coefficients = torch.cat([params.betas, params.expression], dim=1)
        directions = torch.cat([self._model.shapedirs, self._model.expr_dirs], dim=-1)
        return blend_shapes(coefficients, directions)

    def vertex_offsets(self, params: BodyParams) -> torch.Tensor:
        """(B, V, 3) what blendshapes of shape, expression and pose add to v_template (SMPL, eq. 5-9)."""
        params = params.to(self.device)
        rotations = batch_rodrigues(params.full_pose.view(-1, 3)).view(len(params), 55, 3, 3)
        pose_feature = (rotations[:, 1:] - torch.eye(3, device=self.device)).flatten(1)
        correctives = (pose_feature @ self._model.posedirs).view(len(params), -1, 3)
        return self._shape_offsets(params) + correctives

    def rest_joints(self) -> np.ndarray:
        """(55, 3) joints of the mean shape in T-pose."""
        return vertices2joints(self._model.J_regressor, self.v_template[None])[0].cpu().numpy()

    def transforms(self, params: BodyParams) -> torch.Tensor:
        """(B, 55, 4, 4) rest-to-posed transform of each bone, transl included (SMPL, eq. 3-4)."""
        params = params.to(self.device)
        joints = vertices2joints(self._model.J_regressor, self.shaped(params))
        local = torch.eye(4, device=self.device).repeat(len(params), 55, 1, 1)
        local[:, :, :3, :3] = batch_rodrigues(params.full_pose.view(-1, 3)).view(-1, 55, 3, 3)
        parents = self.parents
        local[:, :, :3, 3] = joints - torch.where(
            torch.as_tensor(parents < 0, device=self.device)[None, :, None], 0.0, joints[:, parents]
        )
        chain = [local[:, 0]]
        for joint in range(1, 55):
            chain.append(chain[parents[joint]] @ local[:, joint])
        world = torch.stack(chain, dim=1)
        world[:, :, :3, 3] = (
            world[:, :, :3, 3] - torch.einsum("bjrc,bjc->bjr", world[:, :, :3, :3], joints)
            + params.transl[:, None]
        )  # fmt: skip
        return world


def _load_with_smplx(path: Path, arrays: dict[str, np.ndarray], pickled: list[str]) -> smplx.SMPLX:
    """smplx unpickles every object array of the file it is given: give it one that has none."""
    with contextlib.ExitStack() as stack:
        if pickled:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            path = Path(folder) / path.name
            np.savez(path, **arrays)
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))  # it reports by print
        return smplx.SMPLX(
            str(path), use_pca=False, flat_hand_mean=True, num_betas=10, num_expression_coeffs=10
        )


def _read_layout(path: Path) -> tuple[dict[str, np.ndarray], list[str]]:
    """The plain arrays of the npz, and the names of those that only a pickle could restore."""
    try:
        check_size(path)
        with np.load(path, allow_pickle=False) as archive:
            found = {name: _read_plain(archive, name) for name in archive.files}
    except (zipfile.BadZipFile, OSError, ValueError, EOFError, zlib.error, MemoryError) as error:
        raise InputError(f"{path}: not a readable npz ({error}). {_HINT}") from error
    arrays = {name: array for name, array in found.items() if array is not None}
    if missing := _NEEDED_KEYS - arrays.keys():
        raise InputError(f"{path}: lacks {', '.join(sorted(missing))}. {_HINT}")
    if not np.isfinite(arrays["v_template"]).all():
        raise InputError(f"{path}: v_template holds NaN or infinity. {_HINT}")
    return arrays, sorted(found.keys() - arrays.keys())


def _read_plain(archive: np.lib.npyio.NpzFile, name: str) -> np.ndarray | None:
    try:
        return archive[name]
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        return None
