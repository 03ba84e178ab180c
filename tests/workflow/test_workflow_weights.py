"""Skinning weights in the workflow: made where they are asked for by name, and not otherwise."""

from workflow_project import new_project


def test_a_volume_is_planned_from_the_normalised_capture(tmp_path):
    project = new_project(tmp_path, "ann synthetic 3 female")
    assert "weight_volume" not in project.planned()
    asked = project.planned("results/ann/animatable/weights/weights.npz")
    assert asked == {"body", "synthesize", "convert", "normalize", "weight_volume"}
    command = project.run(
        "--dry-run", "--printshellcmds", "results/ann/animatable/weights/weights.npz"
    )
    assert (
        "--resolution 24" in command
        and "--levels 0" in command
        and "--padding 1.1" in command
        and "--interpolant= " in command
    )
    project.edit(
        "config/presets/tiny.yaml",
        "{resolution: 24, levels: 0}",
        "{resolution: 16, interpolant: my tools/PI}",
    )
    command = project.run(
        "--dry-run", "--printshellcmds", "results/ann/animatable/weights/weights.npz"
    )
    assert "--interpolant='my tools/PI' " in command and "--levels 2" in command
