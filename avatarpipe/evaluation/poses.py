"""The avatar in its canonical space, layers apart and together, and in poses that nobody captured."""

import numpy as np
import torch
from matplotlib.figure import Figure

from avatarpipe.avatar import Avatar
from avatarpipe.body.params import BodyParams
from avatarpipe.evaluation.framing import framed_orbit
from avatarpipe.evaluation.rendering import render_views
from avatarpipe.evaluation.style import PAPER, styled
from avatarpipe.evaluation.turntable import panels

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
_VIEWS = {"front": 0.0, "left side": 90.0, "back": 180.0}


def novel_params(captured: BodyParams, joints: dict[str, tuple], names: list[str]) -> BodyParams:
    """The captured shape, standing upright at the origin, posed by `joints`; names: the body joints in order, root first."""
    pose = torch.zeros(1, 63)
    for joint, angles in joints.items():
        start = 3 * (names.index(joint) - 1)
        pose[0, start : start + 3] = torch.tensor(np.radians(angles), dtype=torch.float32)
    still = BodyParams.zeros()
    return still.replaced(betas=captured.betas[:1].cpu(), body_pose=pose)


def canonical_figure(avatar: Avatar, height: int = 420, device="cpu") -> Figure:
    """A row for each of composite and layers, in canonical space; a column for front, side and back."""
    shown = panels(avatar)
    clouds = {caption: avatar.canonical(layers).to(device) for caption, layers in shown}
    cameras = framed_orbit([clouds[shown[0][0]]], list(_VIEWS.values()), height, aspect=1.0)
    images = {caption: _images(cloud, cameras) for caption, cloud in clouds.items()}
    return grid(images, list(_VIEWS), "Canonical space: mean shape, arms out")


def novel_pose_figure(avatar: Avatar, joint_names: list[str], height: int = 420, device="cpu") -> Figure:
    """A row for each of composite and layers, a column for each of NOVEL_POSES, seen from the front left."""
    images = {caption: [] for caption, _ in panels(avatar)}
    for joints in NOVEL_POSES.values():
        params = novel_params(avatar.captured, joints, joint_names)
        cameras = None
        for caption, layers in panels(avatar):
            cloud = avatar.pose(params.to(device), layers).to(device)
            cameras = cameras or framed_orbit([cloud], [25.0], height, aspect=0.9)
            images[caption] += _images(cloud, cameras)
    return grid(images, list(NOVEL_POSES), "New poses, of the captured shape")


def _images(cloud, cameras) -> list[np.ndarray]:
    return [view.rgb.numpy() for view in render_views(cloud, cameras, background=PAPER)]


def grid(images: dict[str, list[np.ndarray]], columns: list[str], title: str) -> Figure:
    """Rows of images of one size, named at their left, columns named on top."""
    height, width = next(iter(images.values()))[0].shape[:2]
    tile = 12.0 / len(columns)
    with styled():
        figure = Figure(
            figsize=(12.0, len(images) * tile * height / width + 0.8), layout="constrained"
        )
        figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
        places = figure.subplots(len(images), len(columns), squeeze=False)
        for row, (name, pictures) in zip(places, images.items(), strict=True):
            for place, picture in zip(row, pictures, strict=True):
                _show(place, picture)
            row[0].set_ylabel(name, fontsize=12, fontweight="bold")
        for place, name in zip(places[0], columns, strict=True):
            place.set_title(name, loc="center")
        figure.suptitle(title, fontsize=13, fontweight="bold")
    return figure


def _show(place, picture: np.ndarray) -> None:
    place.imshow(picture, interpolation="antialiased")
    place.set(xticks=[], yticks=[])
    place.spines[:].set_visible(False)
