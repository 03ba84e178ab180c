"""Exports of captures are made where they are asked for by name, and never else."""

from workflow_project import planned_rules

BY_NAME = {
    "nerfstudio/transforms.json": "export_nerfstudio",
    "colmap/export.json": "export_colmap",
    "colmap-binary/export.json": "export_colmap",
    "smpl-params/smpl_params.npz": "export_bodies",
}


def test_every_layout_is_made_by_name_without_training(project):
    project.edit("config/config.yaml", "seed: 0", "seed: 0\nexport: {frames: 11, images: copy}")
    targets = [f"results/tina/export/{name}" for name in BY_NAME]
    output = project.run("--dry-run", "--printshellcmds", *targets)
    rules = planned_rules(output)
    assert set(BY_NAME.values()) < rules and not rules & {"train_single", "train_inner", "export", "all"}
    assert "--format colmap " in output and "--format colmap-binary " in output
    assert output.count("--frames 11") == 4 and output.count("--images copy") == 3


def test_how_avatars_are_exported_is_configuration(project):
    project.edit("config/config.yaml", "seed: 0", "seed: 0\nexport: {world: input, formats: [glb], sh_degree: 0}")
    output = project.run("--dry-run", "--printshellcmds", "results/tina/layered/export/export.json")
    assert "--world input" in output and "--formats glb " in output and "--sh-degree 0" in output
    assert "--capture results/tina/render/capture.json" in output
