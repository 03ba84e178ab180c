"""Motions of the configuration: made on the way to everything else, or stopped before anything runs."""


def with_motions(project, text: str):
    project.edit("config/config.yaml", "\nseed: 0", f"\nmotions: {text}\nseed: 0")
    return project


def test_a_motion_made_here_needs_a_body_and_nothing_else(project):
    with_motions(project, "{walk: procedural:walk}")
    target = "results/motions/walk.json"
    assert project.planned(target) == {"body", "convert_motion"}
    output = project.run("--dry-run", "--printshellcmds")
    assert "--motion procedural:walk" in output and "--shape mean" in output


def test_how_a_file_is_read_reaches_the_command(project):
    (project.folder / "x.npy").touch()
    with_motions(project, "{x: {file: x.npy, up: '-y', fps: 25, frames: '10:', gender: male}}")
    output = project.run("--dry-run", "--printshellcmds", "results/motions/x.json")
    assert "--up=-y" in output and "--fps 25" in output and "--frames 10:" in output
    assert "SMPLX_MALE.npz" in output


def test_bad_motions_stop_before_anything_runs(project):
    with_motions(project, "{x: {file: gone.npy}}")
    output = project.run(succeeds=False)
    assert "gone.npy: no such file. `motions.x` in config.yaml names it" in output
    project.edit("config/config.yaml", "{x: {file: gone.npy}}", "{x: {fil: gone.npy}}")
    assert "motions.x: unknown key 'fil'; did you mean 'file'?" in project.run(succeeds=False)
    project.edit("config/config.yaml", "{x: {fil: gone.npy}}", "{../x: procedural:walk}")
    assert "'../x' does not match" in project.run(succeeds=False)
