"""The projection of novel poses: nothing happens to training poses, others end inside the clamped subspace; and can be read."""

import json

import numpy as np
import pytest
from animatable_parts import TINY, random_pose, tiny_model, tiny_rig

from avatarpipe.methods.animatable.avatar import AnimatableAvatar
from avatarpipe.methods.animatable.projection import PoseProjection
from avatarpipe.methods.animatable.settings import ProjectionSettings


@pytest.fixture
def poses() -> np.ndarray:
    """(90, 63) training poses: more than a pose has numbers, unequal in their spread."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(90, 63)) * rng.uniform(0.02, 0.4, 63)


def fitted(poses, components: int, deviations: float = 2.0) -> PoseProjection:
    return PoseProjection.fit(
        poses, ProjectionSettings(components=components, deviations=deviations)
    )


def test_training_poses_with_all_components_and_no_clamp_are_themselves(poses):
    projection = fitted(poses, 63, deviations=1e9)
    for theta in poses[::9]:
        assert np.allclose(projection.project(theta), theta, atol=1e-9)


def test_novel_poses_end_within_the_clamped_subspace(poses):
    projection = fitted(poses, 20)
    reach = 2.0 * projection.deviations
    for seed in range(5):
        theta = random_pose(seed, 0.8).body_pose[0].double().numpy()
        inside = projection.project(theta)
        along = projection.components @ (inside - projection.mean)
        assert (np.abs(along) <= reach + 1e-9).all()
        free = projection.components @ (theta - projection.mean)
        assert np.allclose(along, np.clip(free, -reach, reach))
        rest = inside - projection.mean - along @ projection.components
        assert np.abs(rest).max() < 1e-9  # nothing beside the subspace
        assert np.allclose(projection.project(inside), inside)
        report = projection.report(theta)
        assert report["projected"] and report["clamped"] == (np.abs(free) > reach).sum() > 0
        assert report["moved_deg"] == pytest.approx(
            np.degrees(np.linalg.norm(inside - theta) / np.sqrt(21))
        )


def test_deviations_are_those_of_the_training_poses(poses):
    projection = fitted(poses, 20)
    assert np.allclose(projection.scores(poses).std(axis=0, ddof=1), projection.deviations)
    assert (np.diff(projection.deviations) <= 0).all()


def test_a_person_can_read_it_beside_the_avatar(poses, fake_body, tmp_path):
    poses[:, 33:36] *= 30  # neck: joint 12, the twelfth of body_pose
    projection = fitted(poses, 5)
    AnimatableAvatar(
        "zoe", random_pose(1), tiny_model(fake_body), tiny_rig(fake_body), projection, TINY
    ).save(tmp_path / "avatar")
    document = json.loads((tmp_path / "avatar" / "projection.json").read_text())
    assert (document["training_poses"], document["limit_deviations"]) == (90, 2.0)
    first, *others = document["components"]
    assert len(others) == 4
    assert next(iter(first["joints"])) == "neck" and first["joints"]["neck"] > 0.9
    held = [component["variance_held"] for component in document["components"]]
    assert held == sorted(held) and 0.3 < held[0] < held[-1] < 1
    assert first["deviation_deg"] == pytest.approx(np.degrees(projection.deviations[0]), abs=1e-3)
    assert fitted(poses, 63).document()["components"][-1]["variance_held"] == pytest.approx(1)
