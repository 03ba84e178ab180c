"""The avatar in its canonical space, layers apart and together, and in poses that nobody captured."""

import numpy as np
import torch
from matplotlib.figure import Figure

from avatarpipe.avatar import Avatar
from avatarpipe.body.params import BodyParams
from avatarpipe.cameras import Cameras
from avatarpipe.evaluation.framing import framed_orbit
from avatarpipe.evaluation.rendering import render_views
from avatarpipe.evaluation.style import PAPER
from avatarpipe.evaluation.tiles import picture_grid
from avatarpipe.evaluation.turntable import panels
from avatarpipe.gaussians.cloud import GaussianCloud

# Joints of the body pose that a pose turns, about (x, y, z) in degrees: x swings forward and back (a knee bends with +,
# a thigh lifts with -), z raises and lowers an arm that hangs along the x axis.
NOVEL_POSES = {
    "T-pose": {},
    "A-pose": {"left_shoulder": (0, 0, -45), "right_shoulder": (0, 0, 45)},
    "walking": {
        "left_hip": (-32, 0, 3), "left_knee": (14, 0, 0), "right_hip": (22, 0, -3), "right_knee": (30, 0, 0),
        "right_ankle": (10, 0, 0), "left_shoulder": (0, 30, -68), "right_shoulder": (0, 38, 68),
        "left_elbow": (0, -18, 0), "right_elbow": (0, 35, 0),
    },
    "reaching up": {
        "left_hip": (-4, 0, 8), "right_hip": (4, 0, -8), "left_shoulder": (0, -10, 62),
        "right_shoulder": (0, 0, 40), "right_elbow": (0, 70, 0), "spine1": (-4, 10, 0), "spine3": (-4, 12, 3),
        "head": (-10, 10, 0),
    },
}  # fmt: skip
_VIEWS = {"front": 0.0, "back": 180.0}
_FRONT_LEFT = 25.0


def novel_params(captured: BodyParams, joints: dict[str, tuple], names: list[str]) -> BodyParams:
    """The captured shape, standing upright at the origin, posed by `joints`; names: the body joints in order, root first."""
    pose = torch.zeros(1, 63)
    for joint, angles in joints.items():
        start = 3 * (names.index(joint) - 1)
        pose[0, start : start + 3] = torch.tensor(np.radians(angles), dtype=torch.float32)
    still = BodyParams.zeros()
    return still.replaced(betas=captured.betas[:1].cpu(), body_pose=pose)


def canonical_figure(avatar: Avatar, height: int = 440, device="cpu") -> Figure:
    """Canonical space: a column for each of composite and layers, a row for front and back."""
    shown = panels(avatar)
    clouds = [avatar.canonical(layers).to(device) for _, layers in shown]
    cameras = framed_orbit(clouds[:1], list(_VIEWS.values()), height)
    seen = zip(*(_images(cloud, cameras) for cloud in clouds), strict=True)
    images = {view: list(pictures) for view, pictures in zip(_VIEWS, seen, strict=True)}
    return picture_grid(
        images, [caption for caption, _ in shown], "Canonical space: mean shape, legs apart"
    )


def novel_pose_figure(
    avatar: Avatar, joint_names: list[str], height: int = 440, device="cpu"
) -> Figure:
    """A column for each of NOVEL_POSES, a row for the composite and for the first layer, seen from the front left."""
    shown = panels(avatar)[:2]
    posed = [
        novel_params(avatar.captured, joints, joint_names).to(device)
        for joints in NOVEL_POSES.values()
    ]
    clouds = {
        caption: [avatar.pose(p, layers).to(device) for p in posed] for caption, layers in shown
    }
    composites = clouds[shown[0][0]]
    aspect = min(0.95, max(_aspect(cloud) for cloud in composites))
    cameras = [framed_orbit([cloud], [_FRONT_LEFT], height, aspect=aspect) for cloud in composites]
    images = {
        caption: [_images(cloud, view)[0] for cloud, view in zip(row, cameras, strict=True)]
        for caption, row in clouds.items()
    }
    return picture_grid(images, list(NOVEL_POSES), "New poses of the captured shape")


def _aspect(cloud: GaussianCloud) -> float:
    cameras = framed_orbit([cloud], [_FRONT_LEFT], 1000)
    return cameras.width / cameras.height


def _images(cloud: GaussianCloud, cameras: Cameras) -> list[np.ndarray]:
    return [view.rgb.numpy() for view in render_views(cloud, cameras, background=PAPER)]
