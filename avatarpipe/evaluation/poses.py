"""The avatar in its canonical space, layers apart and together, and in poses that nobody captured."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

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

Poser = Callable[[BodyParams], GaussianCloud]
"""The Gaussians of one body."""


@dataclass(frozen=True)
class NovelPose:
    """Angles in degrees about (x, y, z) of some body joints, and from where the pose is best seen.

    x swings a leg (forward with -) or bends a knee (with +); z raises or lowers an arm, which rests along the x axis.
    """

    azimuth_deg: float
    joints: dict[str, tuple[float, float, float]]


NOVEL_POSES = {
    "T-pose": NovelPose(20, {}),
    "A-pose": NovelPose(20, {"left_shoulder": (0, 0, -45), "right_shoulder": (0, 0, 45)}),
    "walking": NovelPose(
        60,
        {
            "left_hip": (-34, 0, 2), "left_knee": (12, 0, 0), "right_hip": (20, 0, -2), "right_knee": (24, 0, 0),
            "right_ankle": (14, 0, 0), "left_shoulder": (0, 38, -70), "right_shoulder": (0, 34, 70),
            "left_elbow": (0, -14, 0), "right_elbow": (0, 38, 0), "spine2": (2, 6, 0),
        },
    ),
    "waving": NovelPose(
        20,
        {
            "left_hip": (0, 0, 6), "right_hip": (0, 0, -4), "left_shoulder": (0, -12, 18),
            "left_elbow": (0, 0, 62), "right_shoulder": (0, 8, 62), "right_elbow": (0, 30, 0),
            "spine3": (0, 6, -4), "head": (-2, 8, 4),
        },
    ),
}  # fmt: skip
_VIEWS = {"front": 0.0, "back": 180.0}


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
    """A column for each of NOVEL_POSES, a row for the composite and for the first layer, all at one scale."""
    rows = {caption: partial(avatar.pose, layers=layers) for caption, layers in panels(avatar)[:2]}
    return pose_grid(rows, avatar.captured, joint_names, height, device)


def pose_grid(
    rows: Mapping[str, Poser],
    captured: BodyParams,
    joint_names: list[str],
    height: int = 440,
    device="cpu",
) -> Figure:
    """A column for each of NOVEL_POSES, a row for each way to pose somebody, all at one scale."""
    poses = list(NOVEL_POSES.values())
    posed = [novel_params(captured, pose.joints, joint_names).to(device) for pose in poses]
    clouds = {caption: [poser(p).to(device) for p in posed] for caption, poser in rows.items()}
    first = next(iter(clouds.values()))
    cameras = framed_orbit(first, [pose.azimuth_deg for pose in poses], height)
    images = {
        caption: [_images(cloud, cameras[index])[0] for index, cloud in enumerate(row)]
        for caption, row in clouds.items()
    }
    return picture_grid(images, list(NOVEL_POSES), "New poses of the captured shape")


def _images(cloud: GaussianCloud, cameras: Cameras) -> list[np.ndarray]:
    return [view.rgb.numpy() for view in render_views(cloud, cameras, background=PAPER)]
