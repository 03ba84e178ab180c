"""Fixtures that tests of several rooms share: one small fake subject and one free body, made once."""

import fcntl
import os

import fake_subject
import processes
import pytest

from avatarpipe.body.free.builder import build_body, write_body
from avatarpipe.body.model import Body


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: processes.place(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Where several processes test, tests that share costly fixtures stay in one of them."""
    return processes.scheduler(config, log)


@pytest.fixture(scope="session")
def fake_body_file(tmp_path_factory):
    """A body in the SMPL-X layout that smplx loads; capsules, 55 joints, random hand PCA."""
    return fake_subject.write_body(tmp_path_factory.mktemp("body") / "SMPLX_NEUTRAL.npz")


@pytest.fixture(scope="session")
def fake_body(fake_body_file):
    return Body(fake_body_file)


@pytest.fixture(scope="session")
def free_man_file(tmp_path_factory):
    """The free male body, built by the first of the processes that test. Read only."""
    root = tmp_path_factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root
    path = root / "free_man" / "SMPLX_MALE.npz"
    with (root / "free_man.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.is_file():
            write_body(path, build_body("male"))
    return path


@pytest.fixture(scope="session")
def fake_raw(tmp_path_factory, fake_body):
    """Root of a dataset in the raw 4D-Dress layout with 00001/Inner/Take1, frame 00011. Read only: copy before changing."""
    root = tmp_path_factory.mktemp("raw")
    fake_subject.write_raw(root, fake_body, fake_subject.raw_fit())
    return root
