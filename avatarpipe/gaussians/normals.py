"""Surface normals from a depth image."""

import torch
from torch import Tensor


def depth_normals(depth: Tensor, alpha: Tensor, Ks: Tensor, viewmats: Tensor) -> Tensor:
    """World normals (C, H, W, 3), facing the camera and weighted by alpha without its gradient.

    depth, alpha: (C, H, W, 1); Ks: (C, 3, 3); viewmats: w2c (C, 4, 4). Each is the cross product of
    the central differences of the back-projected depth (2DGS, Huang et al. 2024, eq. 15); the
    one-pixel border is zero.
    """
    points = _points(depth, Ks)
    right = points[:, 1:-1, 2:] - points[:, 1:-1, :-2]
    down = points[:, 2:, 1:-1] - points[:, :-2, 1:-1]
    inner = torch.nn.functional.normalize(torch.linalg.cross(down, right), dim=-1)
    world = torch.einsum("cji,chwj->chwi", viewmats[:, :3, :3], inner)
    return torch.nn.functional.pad(world, (0, 0, 1, 1, 1, 1)) * alpha.detach()


def _points(depth: Tensor, Ks: Tensor) -> Tensor:
    """Points (C, H, W, 3) in the camera's frame of depths (C, H, W, 1) at pixel centres + 0.5."""
    height, width = depth.shape[1:3]
    y, x = torch.meshgrid(
        torch.arange(height, device=depth.device) + 0.5,
        torch.arange(width, device=depth.device) + 0.5,
        indexing="ij",
    )
    slope_x = (x - Ks[:, 0, 2, None, None]) / Ks[:, 0, 0, None, None]
    slope_y = (y - Ks[:, 1, 2, None, None]) / Ks[:, 1, 1, None, None]
    return torch.stack([slope_x, slope_y, torch.ones_like(slope_x)], dim=-1) * depth
