"""Gaussians as the browser's renderer takes them: 32 bytes each, colour without view dependence, thinned where they are too many.

Eight 32-bit words: centre (3 float32), one unused, the upper triangle of the covariance (6 float16), RGBA (4 uint8).
"""

from dataclasses import replace

import numpy as np
import torch

from avatarpipe.gaussians.cloud import GaussianCloud
from avatarpipe.gaussians.harmonics import C0
from avatarpipe.gaussians.rotations import quats_to_matrices

UNIT = 0.1
"""Metres in one unit of the packed numbers: float16 would lose variances of millimetres squared."""
MOVING, STILL = 60_000, 400_000
"""Gaussians sent at most while the figure moves, and once it is still: 1.9 MB a picture, 13 MB once."""
_FLATTEST = 2e-4  # metres: a surfel's thickness
_UPPER = (0, 0, 0, 1, 1, 2), (0, 1, 2, 1, 2, 2)


def thinned(cloud: GaussianCloud, limit: int) -> GaussianCloud:
    """At most `limit` Gaussians, evenly picked and larger instead, so that the surface stays closed.

    The same ones of every cloud of that length, so that nothing flickers from pose to pose.
    """
    count = len(cloud)
    if count <= limit:
        return cloud
    order = np.random.default_rng(0).permutation(count)[:limit]
    kept = cloud.select(torch.from_numpy(np.sort(order)).to(cloud.device))
    return replace(kept, scales=kept.scales * (count / limit) ** 0.5)


@torch.no_grad()
def packed(cloud: GaussianCloud | None) -> np.ndarray:
    """(N, 8) uint32, lengths in UNIT; a single invisible Gaussian where there is nothing to show."""
    if cloud is None or len(cloud) == 0:
        return np.zeros((1, 8), np.uint32)
    buffer = np.zeros((len(cloud), 8), np.uint32)
    buffer[:, :3] = (cloud.means / UNIT).float().cpu().numpy().view(np.uint32)
    buffer[:, 4:7] = _covariances(cloud).half().cpu().numpy().view(np.uint32)
    rgba = torch.cat([_colors(cloud), cloud.opacities[:, None]], dim=1).clamp(0, 1)
    buffer[:, 7:] = (rgba * 255 + 0.5).byte().cpu().numpy().view(np.uint32)
    return buffer


def _covariances(cloud: GaussianCloud) -> torch.Tensor:
    """(N, 6) upper triangles of R S S^T R^T, row by row."""
    scales = cloud.scales.clone()
    if cloud.kind == "surfel":
        scales[:, 2] = _FLATTEST
    root = quats_to_matrices(cloud.quats) * (scales / UNIT)[:, None, :]
    return (root @ root.transpose(1, 2))[:, *_UPPER]


def _colors(cloud: GaussianCloud) -> torch.Tensor:
    """(N, 3) sRGB; of harmonics the part that is the same from everywhere."""
    return cloud.colors if cloud.sh is None else cloud.sh[:, 0] * C0 + 0.5
