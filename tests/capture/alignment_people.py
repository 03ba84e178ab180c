"""A small clothed person before cameras, still or walking: captures whose bodies lie where they should."""

from pathlib import Path

import fake_subject
import numpy as np
import torch

from avatarpipe.body.model import Body
from avatarpipe.body.params import BodyParams
from avatarpipe.cameras import Cameras, orbit
from avatarpipe.capture.capture import Capture
from avatarpipe.capture.manifest import Manifest
from avatarpipe.capture.normalization import moved_poses, normalizing_transform
from avatarpipe.capture.writing import publishing, write_cameras, write_frames
from avatarpipe.images import write_image
from avatarpipe.mesh.mesh import Mesh
from avatarpipe.mesh.render import render_views


def standing(body: Body, seed: int = 0) -> BodyParams:
    """One body in the common frame."""
    poses = fake_subject.decoded(fake_subject.raw_fit(seed), body)
    return moved_poses(body, poses, normalizing_transform(body, poses))


def walking(body: Body, frames: int) -> BodyParams:
    """`frames` bodies that walk, a thirtieth of a second between two, and swing one arm."""
    poses, time = standing(body)[[0] * frames], torch.arange(frames) / 30
    swing = 0.5 * torch.sin(6.3 * time)
    pose, transl = poses.body_pose.clone(), poses.transl.clone()
    pose[:, 0] += swing
    pose[:, 3] -= swing
    pose[:, 15 * 3 + 1] += 2 * swing
    transl[:, 2] += 1.2 * (time - time.mean())
    return poses.replaced(body_pose=pose, transl=transl)


def dressed(body: Body, poses: BodyParams) -> Mesh:
    """The body in a shirt and trousers 2 cm off it and with 4 cm of hair; hands, feet and face are bare."""
    mesh = Mesh(body.vertices(poses)[0].double().numpy(), body.faces)
    thickness = np.choose(fake_subject.dressed_labels(body), [0.0, 0.04, 0.004, 0.02, 0.02])
    return Mesh(mesh.vertices + thickness[:, None] * mesh.vertex_normals(), mesh.faces)


def recorded(folder: Path, body: Body, poses: BodyParams, cameras: Cameras) -> Capture:
    """The capture of what the cameras see of the dressed bodies."""
    names = [f"{frame:05d}" for frame in range(len(poses))]
    with publishing(folder / "capture.json") as draft:
        for index, name in enumerate(names):
            views = render_views(dressed(body, poses[index]), cameras)
            for camera, view in zip(cameras.names, views, strict=True):
                write_image(draft / "masks" / name / f"{camera}.png", view.alpha[0])
                write_image(draft / "images" / name / f"{camera}.png", 0.6 * view.alpha[0][..., None].repeat(3, 2))
        entries = write_frames(draft, poses, names, np.arange(len(poses)) / 30)
        entries |= write_cameras(draft, {"train": cameras})
        Manifest("ann", "neutral", provenance={}, images="images", masks="masks", **entries).save(draft / "capture.json")
    return Capture.load(folder)


def ring(count: int, size: int = 320) -> Cameras:
    """Cameras around the subject, a little above it."""
    return orbit([12], np.arange(count) * 360 / count + 15, 2.8, 45, size, size)
