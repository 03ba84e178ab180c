"""Fixtures that tests of several rooms share: one small fake subject, made once."""

import fake_subject
import pytest

from avatarpipe.body.model import Body


def pytest_collection_modifyitems(items):
    """Tests of one folder share costly fixtures: where several processes test, each folder stays in one."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(item.path.parent.name))


@pytest.fixture(scope="session")
def fake_body_file(tmp_path_factory):
    """A body in the SMPL-X layout that smplx loads; capsules, 55 joints, random hand PCA."""
    return fake_subject.write_body(tmp_path_factory.mktemp("body") / "SMPLX_NEUTRAL.npz")


@pytest.fixture(scope="session")
def fake_body(fake_body_file):
    return Body(fake_body_file)


@pytest.fixture(scope="session")
def fake_raw(tmp_path_factory, fake_body):
    """Root of a dataset in the raw 4D-Dress layout with 00001/Inner/Take1, frame 00011. Read only: copy before changing."""
    root = tmp_path_factory.mktemp("raw")
    fake_subject.write_raw(root, fake_body, fake_subject.raw_fit())
    return root
