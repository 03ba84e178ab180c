"""When the workflow trains a diffusion prior of our own, and with what."""

from workflow_project import ROOT, new_project

from avatarpipe.schemas import read_yaml
from avatarpipe.steps.train_prior import TrainPrior

GUIDED = """
layered:
  guidance: {model: results/prior, guidance_scale: 1}
  inner: {guidance_weight: 1.0e-3}
"""


def test_a_prior_is_trained_only_where_guidance_asks_for_it(project):
    assert "train_prior" not in project.planned()
    (project.folder / "guided.yaml").write_text(GUIDED)
    assert "train_prior" in project.planned("--configfile", "config/config.yaml", "guided.yaml")


def test_it_never_meets_the_synthetic_subjects_of_the_table(tmp_path):
    project = new_project(tmp_path, "a synthetic 7 female", "b synthetic 10002 male")
    output = project.run("--dry-run", "--printshellcmds", "results/prior/prior.json")
    command = output.replace("\\\n", " ").split()
    assert command[command.index("--exclude") + 1 : command.index("--people")] == ["10002", "7"]
    assert command[command.index("--size") + 1] == "32"


def test_the_schema_and_the_step_have_the_same_defaults():
    part = read_yaml(ROOT / "workflow/schemas/config.schema.yaml")["properties"]["prior"]["properties"]
    options = TrainPrior(female=None, male=None, out=None)
    for name, described in part.items():
        value = getattr(options, name)
        assert described["default"] == (list(value) if isinstance(value, tuple) else value), name
