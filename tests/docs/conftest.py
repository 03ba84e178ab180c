"""Makes the helpers of tests/workflow importable here, and a project with the subjects that the pages speak of."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow"))

SUBJECTS = (
    "subject dataset source gender frames methods",
    "ada synthetic 1 female 0 layered",
    "bob synthetic 2 male 0 layered",
    "vic synthetic-video 7 male all animatable",
    "ann nerfstudio ann neutral all none",
)
MOTIONS = """
motions:
  dance: {file: procedural:dance, gender: male}
  walk: procedural:walk
  NAME: procedural:turn
drive:
  motions: [dance]
"""


@pytest.fixture(scope="session")
def reader(tmp_path_factory):
    """The workflow as the pages take it to be: ada, bob, vic and ann, with the motions that pages name."""
    from workflow_project import new_project

    project = new_project(tmp_path_factory.mktemp("reader"), preset="demo")
    rows = "".join("\t".join(row.split()) + "\n" for row in SUBJECTS)
    (project.folder / "config/subjects.tsv").write_text(rows)
    with (project.folder / "config/config.yaml").open("a") as file:
        file.write(MOTIONS)
    capture = project.folder / "resources/nerfstudio/ann"
    capture.mkdir(parents=True)
    for name in ("transforms.json", "smpl_params.npz"):
        (capture / name).touch()  # planning asks whether they are there, and reads neither
    return project
