"""The pieces of the layered method against small known answers."""

import numpy as np
import pytest
import torch

from avatarpipe.body.model import JOINT_NAMES
from avatarpipe.cameras import orbit
from avatarpipe.capture.labels import Label
from avatarpipe.errors import InputError
from avatarpipe.gaussians.cloud import GaussianCloud
from avatarpipe.gaussians.rotations import quats_to_matrices
from avatarpipe.methods.layered.initial import quats_facing, surface_surfels
from avatarpipe.methods.layered.lifting import lifted_colors, lifted_roles
from avatarpipe.methods.layered.roles import BACKGROUND, BODY, EDGE, GARMENT, SEAM, pixel_roles
from avatarpipe.methods.layered.settings import StageSettings, stage_settings
from avatarpipe.methods.layered.skin_prior import _continued, _extend, _surface_graph, skin_prior
from avatarpipe.training.surfels import LearningRates, TrainableSurfels
from avatarpipe.training.views import TrainingViews, ViewBatch


def test_settings_default_to_the_published_values():
    assert stage_settings({}) == StageSettings()
    changed = stage_settings({"iterations": 5, "densify": {"every": 7}, "opacity_resets": [3, 4]})
    assert (changed.iterations, changed.densify.every, changed.opacity_resets) == (5, 7, (3, 4))
    assert changed.densify.gradient == StageSettings().densify.gradient


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"iteratoins": 5}, "unknown key iteratoins"),
        ({"densify": {"evry": 7}}, r"settings\.densify: unknown key evry"),
        ({"iterations": 2.5}, "not a whole number"),
        ({"normal_weight": "much"}, "not a number"),
        ({"iterations": True}, "not a whole number"),
    ],
)
def test_wrong_settings_are_named(values, words):
    with pytest.raises(InputError, match=words):
        stage_settings(values)


def test_roles_leave_seams_and_half_covered_pixels_alone():
    labels = np.full((1, 12, 12), Label.SKIN, np.uint8)
    labels[0, 6:], labels[0, :, :2] = Label.UPPER, Label.BACKGROUND
    masks = (labels > 0).astype(np.float32)
    masks[0, :, 2] = 0.5
    (roles,) = pixel_roles(labels, masks, "upper")
    assert (roles[:, :2] == BACKGROUND).all()
    assert (roles[:5, 3:] == BODY).all() and (roles[7:, 3:] == GARMENT).all()
    assert (roles[5:7, 4:] == SEAM).all()
    assert (roles[:5, 2] == EDGE).all()
    (lower,) = pixel_roles(labels, masks, "lower")
    assert not (lower == GARMENT).any()


def test_surfels_lie_on_their_surface_and_cover_it():
    square = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], float)
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    cloud = surface_surfels(square, faces, 2000, torch.tensor([1.0, 0, 0]), seed=1)
    assert cloud.means[:, 2].abs().max() == 0
    normals = quats_to_matrices(cloud.quats)[:, :, 2]
    assert torch.allclose(normals, torch.tensor([0.0, 0.0, 1.0]).expand_as(normals), atol=1e-6)
    counts, _, _ = np.histogram2d(*cloud.means[:, :2].numpy().T, bins=4, range=[[0, 1], [0, 1]])
    assert counts.min() > 0.6 * 2000 / 16 and counts.max() < 1.4 * 2000 / 16
    area = (torch.pi * cloud.scales[:, 0] * cloud.scales[:, 1]).sum()
    assert 0.5 < area < 5.0  # together about as large as the square


def test_face_weights_choose_where_surfels_go():
    square = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], float)
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    cloud = surface_surfels(square, faces, 100, torch.zeros(3), 0, face_weights=np.array([1.0, 0.0]))
    assert (cloud.means[:, 0] >= cloud.means[:, 1]).all()


def test_quats_facing_turn_z_to_any_direction():
    directions = torch.nn.functional.normalize(torch.randn(50, 3, generator=torch.Generator().manual_seed(0)), dim=1)
    directions = torch.cat([directions, torch.tensor([[0.0, 0.0, -1.0], [0.0, 0.0, 1.0]])])
    turned = quats_to_matrices(quats_facing(directions))[:, :, 2]
    assert torch.allclose(turned, directions, atol=1e-3)


class _TwoViews:
    """Two views of two discs side by side: the left half of each image is body and red, the right garment and blue."""

    def __init__(self):
        cameras = orbit([0], [0, 10], 2.0, 60.0, 32, 32)
        self.viewmats, self.Ks = cameras.tensors()

    def __len__(self):
        return 2

    def windows(self, chosen):
        image = torch.zeros(1, 32, 32, 3)
        image[:, :, :16, 0], image[:, :, 16:, 2] = 1, 1
        roles = torch.full((1, 32, 32), BODY, dtype=torch.uint8)
        roles[:, :, 16:] = GARMENT
        ones = torch.ones(1, 32, 32, 1)
        return ViewBatch(self.viewmats[chosen], self.Ks[chosen], 32, 32, image, ones, roles)


def test_labels_and_colours_reach_the_gaussians_that_show_them():
    discs = GaussianCloud(
        torch.tensor([[-0.4, 0.0, 0.0], [0.4, 0.0, 0.0], [0.4, 0.0, -5.0]]),
        torch.tensor([[1.0, 0, 0, 0]]).repeat(3, 1),
        torch.full((3, 2), 0.1),
        torch.tensor([0.99, 0.99, 0.99]),
        torch.rand(3, 3),
    )
    weights = lifted_roles(discs, _TwoViews(), (BODY, GARMENT))
    assert weights[0, 0] > 100 * weights[0, 1] and weights[1, 1] > 100 * weights[1, 0]
    colors = lifted_colors(discs, _TwoViews())
    assert torch.allclose(colors[:2], torch.tensor([[1.0, 0, 0], [0, 0, 1.0]]), atol=0.02)


def test_extension_is_harmonic_between_what_is_known():
    """On a strip of vertices a line's two ends are known: all between lies on the straight line."""
    faces = np.array([[i, i + 1, i + 2] for i in range(0, 20)])
    graph = _surface_graph(faces, 22)
    certainty = np.zeros(22)
    certainty[[0, 21]] = 1e6
    values = np.zeros((22, 1))
    values[21] = 1.0
    found = np.asarray(_extend(values, certainty, graph)).reshape(22)
    assert np.all(np.diff(found) > 0) and abs(found[0]) < 1e-3 and abs(found[21] - 1) < 1e-3
    degree = np.asarray(graph.sum(axis=1)).ravel()
    assert np.allclose((graph @ found)[1:21], (degree * found)[1:21], atol=1e-9)


def test_the_prior_hides_the_torso_and_takes_seen_skin(quick_inputs, fake_body):
    prior = skin_prior(fake_body, quick_inputs.capture, "upper")
    x, y = fake_body.v_template[:, 0].abs(), fake_body.v_template[:, 1]
    torso = (y > -0.25) & (y < 0.05) & (x < 0.15)
    legs = y < -0.5
    assert prior.hidden[torso].mean() > 0.9 and prior.hidden[legs].mean() < 0.1
    skin = torch.tensor([200.0, 160.0, 140.0]) / 255.0
    assert (prior.colors[torso] - skin).abs().mean() < 0.08


def test_windows_hold_the_subject_and_match_the_full_images(quick_inputs):
    views = TrainingViews(quick_inputs.capture, "train", "cpu", margin=3)
    batch, full = views.windows([0, 5]), views.full([0, 5])
    assert (batch.width, batch.height) == (views.size[1], views.size[0])
    assert torch.isclose(batch.alpha.sum(), full.alpha.sum())
    x, y = views.origins[0]
    assert torch.equal(batch.image[0], full.image[0, y : y + batch.height, x : x + batch.width])
    point = torch.tensor([0.1, 0.2, 0.0, 1.0])
    projected = [b.Ks[0] @ (b.viewmats[0] @ point)[:3] for b in (batch, full)]
    pixels = [p[:2] / p[2] for p in projected]
    assert torch.allclose(pixels[0] + torch.tensor([float(x), float(y)]), pixels[1], atol=1e-3)


def test_every_view_comes_once_an_epoch_in_a_seeded_order(quick_inputs):
    views = TrainingViews(quick_inputs.capture, "train", "cpu", full_every=1)
    seen = [views.batch(step, 4, seed=7).viewmats for step in range(3)]
    assert len(torch.unique(torch.cat(seen), dim=0)) == len(views)
    assert torch.equal(seen[1], views.batch(1, 4, seed=7).viewmats)
    assert not torch.equal(seen[1], views.batch(1, 4, seed=8).viewmats)


def test_colours_continue_by_direction_and_place():
    """On a lit cylinder only one half is seen: the unseen half takes the light of its own direction."""
    angle = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    normals = np.stack([np.sin(angle), np.zeros(200), np.cos(angle)], axis=1)
    true = 0.5 + 0.2 * normals[:, [2]] * np.array([1.0, 0.8, 0.6])
    seen = (np.abs(angle - 0.4) < 2.2).astype(float)
    ring = np.stack([np.arange(200), np.roll(np.arange(200), -1), np.roll(np.arange(200), -2)], axis=1)
    found = _continued(seen, true * seen[:, None], normals, _surface_graph(ring, 200))
    assert np.abs(found - true)[seen > 0].max() < 0.02
    assert np.abs(found - true)[seen == 0].max() < 0.08
    flat = true[seen > 0].mean(axis=0)  # what a prior without direction would say
    assert np.abs(found - true)[seen == 0].mean() < 0.4 * np.abs(flat - true)[seen == 0].mean()


def test_trousers_reach_up_to_the_waist_and_no_further(quick_inputs, fake_body):
    prior = skin_prior(fake_body, quick_inputs.capture, "upper")
    waist = fake_body.rest_joints()[JOINT_NAMES.index("spine1"), 1]
    y, x = fake_body.v_template[:, 1], fake_body.v_template[:, 0].abs()
    trousers = torch.tensor([40.0, 60.0, 160.0]) / 255.0
    hips = (y < waist - 0.03) & (y > waist - 0.15) & (x < 0.2)
    chest = (y > waist + 0.05) & (y < waist + 0.2) & (x < 0.15)
    assert (prior.colors[hips] - trousers).abs().mean() < 0.1
    assert (prior.colors[chest] - trousers).abs().mean() > 0.2


def test_colours_stay_within_srgb(quick_inputs):
    start = surface_surfels(np.eye(3), np.array([[0, 1, 2]]), 20, torch.tensor([0.9, 0.1, 0.5]), 0)
    surfels = TrainableSurfels.from_cloud(start, LearningRates(sh_dc=5.0))
    surfels.cloud().colors.sum().neg().backward()
    surfels.step(0.0)
    assert surfels.cloud().colors.max() > 1.5
    surfels.limit_colors()
    assert surfels.cloud().colors.max() <= 1.0 + 1e-6
