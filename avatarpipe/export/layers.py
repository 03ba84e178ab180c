"""An avatar's layers as clouds that other programs can hold: ellipsoids, of any degree of harmonics, in any world."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from avatarpipe.avatar import Avatar
from avatarpipe.body.params import BodyParams
from avatarpipe.body.skinning import quaternion_product
from avatarpipe.export.harmonics import turned_sh
from avatarpipe.gaussians.cloud import GaussianCloud
from avatarpipe.gaussians.harmonics import C0

DISC_THICKNESS = 1e-4
"""Metres; a viewer of ellipsoids draws a disc this thin as the disc that it is."""


def ellipsoids(cloud: GaussianCloud) -> GaussianCloud:
    """Surfels as ellipsoids of almost no thickness along their normal, the third axis; ellipsoids as they are."""
    if cloud.kind == "ellipsoid":
        return cloud
    scales = cloud.scales.clone()
    scales[:, 2] = torch.clamp(scales[:, :2].amin(dim=1), max=DISC_THICKNESS)
    return replace(cloud, scales=scales, kind="ellipsoid")


def with_sh(cloud: GaussianCloud, degree: int) -> GaussianCloud:
    """Constant colours as spherical harmonics of `degree` with zeros above the first: viewers that read a fixed number
    of coefficients (the 3DGS release's own reads degree 3) need them. A cloud that has harmonics keeps them."""
    if cloud.sh is not None or degree == 0:
        return cloud
    sh = cloud.colors.new_zeros(len(cloud), (degree + 1) ** 2, 3)
    sh[:, 0] = (cloud.colors - 0.5) / C0
    return replace(cloud, colors=None, sh=sh)


def transformed(cloud: GaussianCloud, matrix: np.ndarray) -> GaussianCloud:
    """The cloud moved by a similarity (4, 4): rotation, uniform scale, translation; colours turn with it.

    Raises ValueError on a matrix that is none.
    """
    matrix = np.asarray(matrix, np.float64)
    linear = matrix[:3, :3]
    scale = np.cbrt(np.linalg.det(linear))
    if not np.allclose(linear @ linear.T, scale**2 * np.eye(3), atol=1e-6 * scale**2) or scale <= 0:
        raise ValueError("only rotation, uniform scale and translation move a Gaussian cloud")
    rotation = linear / scale
    wxyz = Rotation.from_matrix(rotation).as_quat(scalar_first=True)
    turn = torch.as_tensor(wxyz, dtype=cloud.quats.dtype, device=cloud.device)
    means = cloud.means.double() @ torch.as_tensor(linear.T, device=cloud.device)
    means = means + torch.as_tensor(matrix[:3, 3], device=cloud.device)
    return replace(
        cloud,
        means=means.to(cloud.means.dtype),
        quats=quaternion_product(turn.expand_as(cloud.quats), cloud.quats),
        scales=cloud.scales * float(scale),
        sh=None if cloud.sh is None else turned_sh(cloud.sh, rotation),
    )


def layer_clouds(
    avatar: Avatar, params: BodyParams, to_input: np.ndarray | None = None
) -> Iterator[tuple[str, GaussianCloud]]:
    """(name, cloud): composite and each layer, canonical and then posed ("..._posed").

    to_input: (4, 4) that moves the posed clouds from the capture's world to the dataset's; canonical space has no such.
    """
    named = {"composite": None} | {name: (name,) for name in avatar.layer_names}
    for name, layers in named.items():
        yield name, avatar.canonical(layers)
        posed = avatar.pose(params, layers)
        yield f"{name}_posed", posed if to_input is None else transformed(posed, to_input)
