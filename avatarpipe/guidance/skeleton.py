"""The skeleton that tells a ControlNet how the subject stands: OpenPose's 18 points, drawn from a body's joints.

What the body itself hides from a camera is not drawn: rays from the camera to each point are cast against the body's
triangles, all at once, which on a GPU takes less than a millisecond for eight views.
"""

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from avatarpipe.body.model import Body
from avatarpipe.body.params import BodyParams

POINTS = (
    "nose", "neck", "right shoulder", "right elbow", "right wrist", "left shoulder", "left elbow", "left wrist",
    "right hip", "right knee", "right ankle", "left hip", "left knee", "left ankle",
    "right eye", "left eye", "right ear", "left ear",
)  # fmt: skip
SMPLX_JOINTS = (55, 12, 17, 19, 21, 16, 18, 20, 2, 5, 8, 1, 4, 7, 56, 57, 58, 59)  # of smplx's output
LIMBS = (
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13),
    (1, 0), (0, 14), (14, 16), (0, 15), (15, 17),
)  # fmt: skip
COLORS = (
    (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0), (0, 255, 0),
    (0, 255, 85), (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255), (0, 0, 255), (85, 0, 255),
    (170, 0, 255), (255, 0, 255), (255, 0, 170), (255, 0, 85),
)  # fmt: skip
FACE_DEPTH, JOINT_DEPTH = 0.03, 0.2  # metres that a visible point may lie behind the body's surface
DEPTHS = tuple(
    FACE_DEPTH if name.endswith(("nose", "eye", "ear")) else JOINT_DEPTH if name != "neck" else float("inf")
    for name in POINTS
)  # the neck holds the skeleton together: an arm in front of it hides it from no one
RADIUS = 4 / 512  # of a dot, and half the width of a limb, in image sides
LIMB_OPACITY = 0.6
NEAREST = 0.05  # metres in front of the camera


@dataclass(frozen=True)
class Figure:
    """One posed body as skeletons need it: points (18, 3), and its triangles as corner and two edges, each (F, 3)."""

    points: Tensor
    corners: Tensor
    edges_1: Tensor
    edges_2: Tensor


def figure(body: Body, params: BodyParams) -> Figure:
    """The points and the surface of one body (a batch of one)."""
    points = body.joints(params)[0, list(SMPLX_JOINTS)]
    faces = torch.as_tensor(body.faces, device=points.device)
    a, b, c = body.vertices(params)[0][faces].unbind(1)
    return Figure(points.contiguous(), a, b - a, c - a)


def draw_skeletons(shown: Figure, viewmats: Tensor, Ks: Tensor, size: int) -> Tensor:
    """(C, size, size, 3) pictures in [0, 1] on black, of cameras w2c (C, 4, 4) with K (C, 3, 3) of size x size pixels."""
    places, depths = _projected(shown.points, viewmats, Ks)
    seen = visible_points(shown, viewmats) & (depths > NEAREST)
    return _drawn(places, seen, size)


def _projected(points: Tensor, viewmats: Tensor, Ks: Tensor) -> tuple[Tensor, Tensor]:
    """(C, 18, 2) pixels and (C, 18) depths in metres."""
    in_camera = points @ viewmats[:, :3, :3].transpose(1, 2) + viewmats[:, None, :3, 3]
    projected = in_camera @ Ks.transpose(1, 2)
    return projected[..., :2] / projected[..., 2:].clamp_min(NEAREST), in_camera[..., 2]


def visible_points(shown: Figure, viewmats: Tensor) -> Tensor:
    """(C, 18) whether no surface lies farther in front of a point than its own flesh is thick."""
    eyes = -(viewmats[:, :3, :3].transpose(1, 2) @ viewmats[:, :3, 3:])[..., 0]
    rays = shown.points - eyes[:, None]
    distance = rays.norm(dim=-1)
    hits = first_hits(eyes, rays / distance[..., None], shown)
    return distance - hits <= _constants(hits.device).depths


def first_hits(eyes: Tensor, directions: Tensor, shown: Figure) -> Tensor:
    """(C, P) distance from eyes (C, 3) along unit directions (C, P, 3) to the nearest triangle; inf where none is met.

    Möller and Trumbore 1997 as dot products of precomputed normals, every ray against every triangle.
    """
    from_corner = eyes[:, None] - shown.corners  # (C, F, 3)
    normal = torch.linalg.cross(shown.edges_1, shown.edges_2)
    moment = torch.linalg.cross(from_corner, shown.edges_1.expand_as(from_corner))
    moment_2 = torch.linalg.cross(shown.edges_2.expand_as(from_corner), from_corner)
    facing = -directions @ normal.T  # (C, P, F)
    u, v = directions @ moment_2.transpose(1, 2), directions @ moment.transpose(1, 2)
    sign = facing.sign()
    u, v, facing = u * sign, v * sign, facing.abs()
    along = (from_corner * normal).sum(dim=-1)[:, None] * sign
    inside = (u >= 0) & (v >= 0) & (u + v <= facing) & (facing > 0) & (along > 0)
    return torch.where(inside, along / facing.clamp_min(1e-20), torch.inf).amin(dim=-1)


@dataclass(frozen=True)
class _Constants:
    """What is drawn, dots then limbs, as tensors on a device: depths (18,); ends, opacities, colours of 35 ellipses."""

    depths: Tensor
    starts: Tensor
    ends: Tensor
    opacities: Tensor
    colors: Tensor


@cache
def _constants(device: torch.device) -> _Constants:
    dots = [(i, i) for i in range(len(POINTS))]
    starts, ends = torch.tensor(dots + list(LIMBS)).T
    opacities = torch.tensor([1.0] * len(dots) + [LIMB_OPACITY] * len(LIMBS))
    colors = torch.tensor(COLORS + COLORS[: len(LIMBS)]) / 255.0
    return _Constants(*(x.to(device) for x in (torch.tensor(DEPTHS), starts, ends, opacities, colors)))


def _drawn(places: Tensor, seen: Tensor, size: int) -> Tensor:
    """Dots under limbs, as the ControlNet was shown them; edges smoothed over a pixel. places: (C, 18, 2) pixels."""
    known = _constants(places.device)
    starts, ends = places[:, known.starts], places[:, known.ends]
    opacities = (seen[:, known.starts] & seen[:, known.ends]) * known.opacities
    return torch.stack(
        [_one_picture(*view, known.colors, size) for view in zip(starts, ends, opacities, strict=True)]
    )


def _one_picture(starts: Tensor, ends: Tensor, opacities: Tensor, colors: Tensor, size: int) -> Tensor:
    """(size, size, 3) the K ellipses from starts (K, 2) to ends (K, 2), later ones over earlier ones."""
    alphas = opacities[:, None, None] * _ellipses(starts, ends, max(RADIUS * size, 1.0), size)
    left_by_later = torch.cumprod((1.0 - alphas).flip(0), dim=0).flip(0)[1:]
    weights = torch.cat([alphas[:-1] * left_by_later, alphas[-1:]])
    return torch.einsum("khw,kc->hwc", weights, colors)


def _ellipses(starts: Tensor, ends: Tensor, radius: float, size: int) -> Tensor:
    """(K, size, size) coverage of ellipses with long axes from starts to ends (K, 2), 2 radius wide; dots where those meet.

    With u, v the pixel's place along the two axes in units of the half axes and l = |(u, v)|, the distance to the rim is
    to first order (l - 1) / |grad l|.
    """
    middle, half = 0.5 * (starts + ends), 0.5 * (ends - starts)
    reach = half.norm(dim=-1, keepdim=True)
    across = torch.cat([torch.ones_like(reach), torch.zeros_like(reach)], dim=1)
    axis = torch.where(reach > 1e-3, half / reach.clamp_min(1e-3), across)
    length = reach.clamp_min(radius)
    u = _affine(axis / length, middle, size)
    v = _affine(torch.stack([-axis[:, 1], axis[:, 0]], dim=1) / radius, middle, size)
    u, v, shrink = u * u, v * v, (radius / length[:, :, None]) ** 2
    level = (u + v).sqrt()
    slope = (u * shrink + v).sqrt() / radius  # |grad l| times l
    return (0.5 - (level - 1.0) * level / slope.clamp_min(1e-6)).clamp(0.0, 1.0)


def _affine(direction: Tensor, origin: Tensor, size: int) -> Tensor:
    """(K, size, size) dot products of directions (K, 2) with pixel centres seen from origins (K, 2)."""
    centres = torch.arange(size, device=origin.device, dtype=origin.dtype) + 0.5
    across = direction[:, :1] * (centres - origin[:, :1])
    down = direction[:, 1:] * (centres - origin[:, 1:])
    return across[:, None, :] + down[:, :, None]
