"""Makes the helpers of tests/workflow importable here, and a project with the subjects that the pages speak of."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow"))


@pytest.fixture(scope="session")
def reader(tmp_path_factory):
    """The workflow as the pages take it to be: ada, bob, vic and ann, with the motions that pages name."""
    from docs_reader import with_readers_subjects

    project = with_readers_subjects(tmp_path_factory.mktemp("reader"), "demo")
    capture = project.folder / "resources/nerfstudio/ann"
    capture.mkdir(parents=True)
    for name in ("transforms.json", "smpl_params.npz"):
        (capture / name).touch()  # planning asks whether they are there, and reads neither
    return project
