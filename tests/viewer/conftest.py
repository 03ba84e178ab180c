"""What lies on disk for the viewer to find, and a stage without a browser."""

import pytest
from viewer_parts import animatable_avatar, coated_avatar, waving

from avatarpipe.avatar import Avatar
from avatarpipe.body.model import Body
from avatarpipe.viewer.figure import Figure
from avatarpipe.viewer.found import FoundAvatar
from avatarpipe.viewer.motions import MotionShelf
from avatarpipe.viewer.stage import Stage


@pytest.fixture(scope="session")
def viewed_body(fake_body_file):
    return Body(fake_body_file)


@pytest.fixture(scope="session")
def results(viewed_body, fake_body_file, tmp_path_factory):
    """Two subjects and a motion."""
    root = tmp_path_factory.mktemp("viewed")
    coated_avatar(viewed_body).save(root / "ada/layered/outer/avatar")
    recorded = {"body": {"path": str(fake_body_file), "sha256": ""}}
    animatable_avatar(viewed_body, inputs=recorded).save(root / "zoe/animatable/full/avatar")
    (root / "ada/render/images").mkdir(parents=True)
    waving().save(root / "motions/wave.npz")
    return root


@pytest.fixture(scope="session")
def coated(results):
    return Avatar.load(results / "ada/layered/outer/avatar")


@pytest.fixture(scope="session")
def animatable(results):
    return Avatar.load(results / "zoe/animatable/full/avatar")


@pytest.fixture
def stage(coated, results):
    manifest = results / "ada/layered/outer/avatar/avatar.json"
    found = FoundAvatar("ada / layered / outer", manifest)
    return Stage(Figure(coated), MotionShelf((), results), found, [found])
