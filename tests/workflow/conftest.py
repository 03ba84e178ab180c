"""The workflow on a tiny subject, and one finished run of it that every test may copy."""

import pytest
from workflow_project import TOLD_BY_BYTES, Project, new_project


@pytest.fixture
def project(tmp_path) -> Project:
    """The workflow with one tiny synthetic subject, nothing computed."""
    folder = tmp_path / "project"
    folder.mkdir()
    return new_project(folder, "tina synthetic 3 female")


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Project:
    """The same after one whole run; copy it before changing anything."""
    project = new_project(tmp_path_factory.mktemp("finished"), "tina synthetic 3 female")
    project.run(*TOLD_BY_BYTES)
    return project


@pytest.fixture
def done(finished, tmp_path) -> Project:
    """A copy of the finished run, to be changed at will."""
    return finished.copy(tmp_path / "done")
