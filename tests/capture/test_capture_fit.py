import fake_subject
import numpy as np
import pytest
import torch

from avatarpipe.capture import fit
from avatarpipe.errors import InputError
from avatarpipe.mesh.mesh import Mesh


@pytest.fixture
def poses(fake_body):
    return fake_subject.decoded(fake_subject.raw_fit(), fake_body)


@pytest.fixture
def scan(fake_body, poses):
    """The body in clothes: all of it 4 mm thicker."""
    mesh = Mesh(fake_body.vertices(poses)[0].double().numpy(), fake_body.faces)
    return Mesh(mesh.vertices + 0.004 * mesh.vertex_normals(), mesh.faces)


def verdict(body, poses, scan):
    found = fit.measure(body, poses, scan)
    fit.check(found, fit.Tolerance(), "capture.json")
    return found


def test_a_true_fit_passes_with_small_numbers(fake_body, poses, scan):
    found = verdict(fake_body, poses, scan)
    assert np.isclose(found["median"], 0.004, atol=1e-3) and found["outside"] == 0
    assert np.isclose(found["scale"], 1, atol=0.02)


def test_loose_clothes_pass(fake_body, poses, scan):
    """A skirt: everything around the legs stands off by up to 8 cm."""
    legs = np.exp(-np.square((scan.vertices[:, 1] - scan.vertices[:, 1].min() - 0.5) / 0.2))
    loose = Mesh(scan.vertices + 0.08 * legs[:, None] * scan.vertex_normals(), scan.faces)
    assert verdict(fake_body, poses, loose)["p90"] > 0.03


@pytest.mark.parametrize("factor", [0.8, 1.3, 100.0, 0.001])
def test_wrong_scale(fake_body, poses, scan, factor):
    scaled = Mesh(scan.vertices * factor, scan.faces)
    with pytest.raises(InputError, match=r"does not match the scan.*wrong scale or unit"):
        verdict(fake_body, poses, scaled)


@pytest.mark.parametrize("offset", [(0.3, 0, 0), (0, 0, 1.0)])
def test_wrong_place(fake_body, poses, scan, offset):
    with pytest.raises(InputError, match="different frames, or not in one world"):
        verdict(fake_body, poses.replaced(transl=poses.transl + torch.tensor([offset])), scan)


def test_hand_mean_forgotten(fake_body, poses, scan):
    means = {
        side: torch.from_numpy(fake_body.hand_pca(side)[1]).float() * 4
        for side in ("left", "right")
    }
    wrong = poses.replaced(
        left_hand_pose=poses.left_hand_pose - means["left"],
        right_hand_pose=poses.right_hand_pose - means["right"],
    )
    with pytest.raises(InputError, match=r"Only the hands are off.*hand mean"):
        verdict(fake_body, wrong, scan)


def test_another_shape(fake_body, poses, scan):
    other = poses.replaced(betas=poses.betas + torch.eye(10)[:1] * 6)
    with pytest.raises(InputError, match="does not match the scan"):
        verdict(fake_body, other, scan)


def test_nan_never_passes():
    found = {"median": np.nan, "p90": 0.01, "hands": 0.01, "outside": 0.0, "scale": 1.0}
    with pytest.raises(InputError, match="median nan"):
        fit.check(found, fit.Tolerance(), "x")
