"""A figure of two layers, a post in a coat, and a capture of it: cheap, and known exactly."""

import numpy as np
import pytest
import torch

from avatarpipe.avatar import Avatar
from avatarpipe.body.params import BodyParams
from avatarpipe.cameras import orbit
from avatarpipe.capture.labels import Label
from avatarpipe.capture.manifest import Manifest
from avatarpipe.capture.writing import publishing, write_cameras, write_frames
from avatarpipe.evaluation.masks import layer_map
from avatarpipe.evaluation.rendering import render_views
from avatarpipe.gaussians.cloud import GaussianCloud
from avatarpipe.images import write_image, write_labels
from avatarpipe.mesh.mesh import save_mesh


def tube(radius, low, high, color, rows=26, around=44) -> GaussianCloud:
    """Surfels on an upright tube, facing outward, striped so that a shift shows."""
    angle, y = np.meshgrid(np.arange(around) * 2 * np.pi / around, np.linspace(low, high, rows))
    angle, y = angle.ravel(), y.ravel()
    normal = np.stack([np.cos(angle), 0 * y, np.sin(angle)], axis=1)
    turn = np.arctan2(normal[:, 0], normal[:, 2]) / 2  # about y, from +z to the normal
    half = np.stack([np.cos(turn), 0 * turn, np.sin(turn), 0 * turn], axis=1)
    scale = max(2 * np.pi * radius / around, (high - low) / rows) * 0.6
    stripes = 0.75 + 0.25 * np.sign(np.sin(18 * y))[:, None] * np.array([[1.0, 1.0, 1.0]])
    return GaussianCloud(
        torch.tensor(normal * radius + y[:, None] * [[0, 1, 0]]).float(),
        torch.tensor(half).float(),
        torch.full((len(y), 3), float(scale)),
        torch.full((len(y),), 0.95),
        torch.tensor(np.array(color) * stripes).float(),
    )


class PostAvatar(Avatar):
    """Canonical clouds by layer name, moved as a whole by transl."""

    def __init__(self, clouds):
        self.subject, self.clouds, self.layer_names = "post", clouds, tuple(clouds)
        self.captured = BodyParams.zeros()
        self.captured.transl[:] = torch.tensor([[0.1, 0.0, 0.0]])

    def canonical(self, layers=None):
        parts = []
        for name in layers or self.layer_names:
            part = self.clouds[name].select(slice(None))
            part.features = torch.zeros(len(part), len(self.layer_names))
            part.features[:, self.layer_names.index(name)] = 1
            parts.append(part)
        return GaussianCloud.concatenate(parts)

    def pose(self, params, layers=None):
        cloud = self.canonical(layers)
        cloud.means = cloud.means + params.transl
        return cloud

    def save(self, folder):
        raise NotImplementedError


def post_clouds() -> dict[str, GaussianCloud]:
    return {
        "inner": tube(0.15, -0.8, 0.8, (0.9, 0.7, 0.6)),
        "outer": tube(0.20, -0.3, 0.4, (0.2, 0.4, 0.9)),
    }


@pytest.fixture(scope="session")
def post():
    return PostAvatar(post_clouds())


@pytest.fixture(scope="session")
def post_capture(post, tmp_path_factory):
    """Path of the capture.json of `post`, seen by three test and two train cameras; hidden body, true body, scan."""
    path = tmp_path_factory.mktemp("post") / "capture.json"
    with publishing(path) as folder:
        rigs = {
            "train": orbit([0.0], [45.0, 225.0], 3.0, 40.0, 72, 96, prefix="train"),
            "test": orbit([10.0], [0.0, 120.0, 240.0], 3.0, 40.0, 72, 96, prefix="test"),
        }
        entries = write_frames(folder, post.captured, ["00000"], [0.0]) | write_cameras(
            folder, rigs
        )
        for cameras in rigs.values():
            _write_views(post, cameras, folder)
        save_mesh(post_mesh(0.15, -0.8, 0.8, 0.1), folder / "body.ply")
        save_mesh(post_mesh(0.20, -0.3, 0.4, 0.1), folder / "scan.ply")
        Manifest(
            "post", "neutral", provenance={"avatarpipe": "test"}, images="images", masks="masks", truth_labels="labels",
            hidden="hidden", scan="scan.ply", truth={"layer_body": "body.ply"}, **entries,
        ).save(folder / "capture.json")  # fmt: skip
    return path


def _write_views(post, cameras, folder):
    for view in render_views(post.pose(post.captured), cameras):
        name = f"00000/{view.camera}.png"
        labels = np.array([Label.BACKGROUND, Label.SKIN, Label.UPPER])[
            layer_map(view.features, view.alpha)
        ]
        write_image(folder / "images" / name, view.rgb.numpy())
        write_image(folder / "masks" / name, view.alpha.numpy())
        write_labels(folder / "labels" / name, labels)
    for view in render_views(post.pose(post.captured, ("inner",)), cameras):
        name = f"00000/{view.camera}.png"
        write_image(folder / "hidden/upper/images" / name, view.rgb.numpy())
        write_image(folder / "hidden/upper/masks" / name, view.alpha.numpy())


def post_mesh(radius, low, high, x):
    """A closed upright cylinder."""
    import trimesh

    from avatarpipe.mesh.mesh import Mesh

    cylinder = trimesh.creation.cylinder(radius, high - low, sections=64)
    turn = trimesh.transformations.rotation_matrix(-np.pi / 2, [1, 0, 0])
    cylinder.apply_transform(turn)
    cylinder.apply_translation([x, (low + high) / 2, 0])
    return Mesh(cylinder.vertices, cylinder.faces)


@pytest.fixture
def make_avatar():
    return PostAvatar


@pytest.fixture
def clouds():
    return post_clouds()


@pytest.fixture
def cylinder():
    return post_mesh


@pytest.fixture
def silent():
    """A Track that shows nothing."""
    return lambda items, total, what: items
