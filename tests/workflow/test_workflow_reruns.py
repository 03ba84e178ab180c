"""What runs again after a change: the steps that use what changed, what depends on them, and nothing else."""

import os

import pytest

REPORTED = {"collect"}
MEASURED = {"export", "evaluate", "pictures"} | REPORTED
TRAINED = {"train_single", "extract_mesh", "train_inner", "train_outer"} | MEASURED

CONFIG_CHANGES = {
    "render: {size: 80}": {"render", "align", "segment"} | TRAINED,
    "align: {images: 4}": {"align"} | TRAINED,
    "layered: {single: {alpha_weight: 0.7}}": TRAINED,
    "layered: {outer: {iterations: 31}}": {"train_outer", "extract_mesh"} | MEASURED,
    "mesh: {voxel: 0.04}": TRAINED - {"train_single"},
    "segmentation: {checkpoint: elsewhere.pt2}": set(),
    "datasets: {4d-dress: {root: elsewhere}}": set(),
}

CODE_CHANGES = {
    "avatarpipe/evaluation/turntable.py": {"pictures"} | REPORTED,
    "avatarpipe/evaluation/summary.py": REPORTED,
    "avatarpipe/segmentation/scan_labels.py": {"segment"} | TRAINED,
    "avatarpipe/methods/layered/skin_prior.py": TRAINED,
    "avatarpipe/mesh/tsdf.py": TRAINED - {"train_single"},
    "avatarpipe/steps/export.py": {"export"},
    "avatarpipe/datasets/avatarrex.py": {"convert", "normalize", "render", "align", "segment"} | TRAINED,
}


@pytest.mark.parametrize("change", CONFIG_CHANGES)
def test_a_config_value_reruns_its_users(finished, tmp_path, change):
    (tmp_path / "changed.yaml").write_text(change + "\n")
    assert finished.planned("--configfile", str(tmp_path / "changed.yaml")) == CONFIG_CHANGES[change]


@pytest.fixture(scope="module")
def spare(finished, tmp_path_factory):
    """A copy whose files may be changed if they are put back."""
    return finished.copy(tmp_path_factory.mktemp("spare") / "project")


@pytest.mark.parametrize("module", CODE_CHANGES)
def test_package_code_reruns_its_users(spare, module):
    file = spare.folder / module
    text, times = file.read_text(), (file.stat().st_atime, file.stat().st_mtime)
    file.write_text(text + "\n# changed\n")
    planned = spare.planned()
    file.write_text(text)
    os.utime(file, times)
    assert planned == CODE_CHANGES[module]


def test_touched_files_and_unused_modules_rerun_nothing(spare):
    (spare.folder / "avatarpipe/evaluation/summary.py").touch()
    (spare.folder / "results/tina/convert/capture.json").touch()
    (spare.folder / "avatarpipe/unused.py").write_text("x = 1\n")
    assert spare.planned() == set()


def test_a_new_row_makes_only_that_subject_and_the_tables(done):
    with (done.folder / "config/subjects.tsv").open("a") as table:
        table.write("tom\tsynthetic\t4\tfemale\n")
    output = done.run("--dry-run")
    assert "logs/train_inner/tom.log" in output and "logs/train_inner/tina.log" not in output
    assert "logs/body/FEMALE.log" not in output and "logs/collect.log" in output


def test_a_changed_input_reruns_what_reads_it_and_all_after_it(done):
    labels = next((done.folder / "results/tina/synthesize").rglob("label-f*.pkl"))
    manifest = done.folder / "results/tina/synthesize/manifest.json"
    labels.write_bytes(labels.read_bytes() + b"\n")
    manifest.write_text(manifest.read_text() + "\n")
    assert done.planned() == {"convert", "normalize", "render", "align", "segment"} | TRAINED


def test_what_the_configuration_misses_is_told_though_nothing_is_to_be_done(done):
    """Snakemake passes over a job that lacks an input and has its outputs."""
    done.edit("config/config.yaml", "provider: scan_labels", "provider: sapiens\n  checkpoint: net.pt2")
    output = done.run("--dry-run")
    assert output.count("net.pt2: no such file. `segmentation.checkpoint` in config.yaml names it") == 1
    assert "Nothing to be done" in output
