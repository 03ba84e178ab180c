"""What would run, for which table and configuration; nothing is computed here."""

import re

import pytest
from workflow_project import new_project, planned_rules

ONE_SUBJECT = {
    "body", "synthesize", "convert", "normalize", "render", "align", "segment", "train_single", "extract_mesh",
    "train_inner", "train_outer", "export", "evaluate", "pictures", "collect",
}  # fmt: skip


def test_one_subject_needs_every_step(project):
    assert project.planned() == ONE_SUBJECT


def test_subjects_of_one_gender_share_a_body(tmp_path):
    project = new_project(tmp_path, "a synthetic 1 female", "b synthetic 2 female", "c synthetic 3 male")
    output = project.run("--dry-run", "--quiet", "host")
    assert planned_rules(output) - {"all"} == ONE_SUBJECT
    counts = dict(line.split() for line in output.partition("Job stats:")[2].split("\n")[3:20] if line)
    assert (counts["body"], counts["train_inner"], counts["extract_mesh"]) == ("2", "3", "6")
    assert counts["collect"] == "1"


def test_a_preset_can_be_chosen_on_the_command_line(project):
    output = project.run("--dry-run", "--printshellcmds", "--config", "preset=full")
    assert "--size 1024" in output


def test_the_local_profile_is_accepted(project):
    assert project.planned("--workflow-profile", "workflow/profiles/local") == ONE_SUBJECT


def test_garment_and_seed_reach_the_training(project):
    project.edit("config/config.yaml", "garment: upper", "garment: lower")
    project.edit("config/config.yaml", "seed: 0", "seed: 5")
    output = project.run("--dry-run", "--printshellcmds")
    assert "--garment lower" in output and "--seed 5" in output


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("garment: upper", "garmnt: upper", "unknown key 'garmnt'; did you mean 'garment'?"),
        ("preset: tiny", "preset: huge", "config, preset: 'huge' is not one of"),
        ("config/subjects.tsv", "config/absent.tsv", "config/absent.tsv: no such file"),
    ],
)
def test_a_bad_config_stops_before_anything_runs(project, old, new, says):
    project.edit("config/config.yaml", old, new)
    output = project.run(succeeds=False)
    assert says in output and "Traceback" not in output
    assert not (project.folder / "results").exists()


def test_a_config_that_is_no_yaml_is_named_with_the_line(project):
    project.edit("config/config.yaml", "garment: upper", "garment upper")
    output = project.run("--dry-run", succeeds=False)
    assert re.search(r"config/config\.yaml, line \d+, column 1: not valid YAML: ", output) and "Traceback" not in output


def test_a_duplicate_subject_stops_before_anything_runs(tmp_path):
    project = new_project(tmp_path, "a synthetic 1 male", "a synthetic 2 male")
    output = project.run(succeeds=False)
    assert "config/subjects.tsv, line 3, column 'subject': 'a' is already on line 2" in output
    assert "Traceback" not in output


def test_missing_4d_dress_files_are_named_with_what_to_do(tmp_path):
    project = new_project(tmp_path, "dora 4d-dress 00122/Inner/Take8 female")
    output = project.run("--dry-run", succeeds=False)
    assert "resources/4d-dress/00122/Inner/Take8/basic_info.pkl: no such file" in output
    assert "'dora'" in output and "resources/README.md" in output


def test_what_a_new_subject_lacks_is_named_beside_tables_of_earlier_ones(tmp_path):
    project = new_project(tmp_path, "ada synthetic 1 female", "dora 4d-dress 00122/Inner/Take8 female")
    for name in ("tables/metrics.parquet", "tables/metrics.csv"):
        (tmp_path / "results" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "results" / name).touch()
    assert "Subject 'dora'" in project.run("--dry-run", succeeds=False)


def test_4d_dress_files_in_place_take_the_place_of_synthesis(tmp_path):
    project = new_project(tmp_path, "dora 4d-dress 00122/Inner/Take8 female")
    folder = tmp_path / "resources/4d-dress/00122/Inner/Take8"
    for name in (
        "basic_info.pkl", "Meshes_pkl/mesh-f00000.pkl", "Meshes_pkl/atlas-f00000.pkl",
        "SMPLX/mesh-f00000_smplx.pkl", "Semantic/labels/label-f00000.pkl",
    ):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    assert project.planned() == ONE_SUBJECT - {"synthesize"}


def test_licensed_bodies_take_the_place_of_the_free_ones(project):
    project.edit("config/config.yaml", "\nbodies: free", "\nbodies: resources/smplx")
    output = project.run("--dry-run", succeeds=False)
    assert "resources/smplx/SMPLX_FEMALE.npz: no such file" in output
    (project.folder / "resources/smplx").mkdir(parents=True)
    (project.folder / "resources/smplx/SMPLX_FEMALE.npz").touch()
    assert project.planned() == ONE_SUBJECT - {"body"}


def test_sapiens_runs_in_its_own_environment_and_asks_for_its_checkpoint(project):
    project.edit("config/config.yaml", "provider: scan_labels", "provider: sapiens\n  checkpoint: net.pt2")
    assert "net.pt2: no such file" in project.run("--dry-run", succeeds=False)
    (project.folder / "net.pt2").touch()
    assert project.planned() == ONE_SUBJECT - {"segment"} | {"segment_sapiens"}


def test_hostile_table_cells_never_reach_a_shell(tmp_path):
    project = new_project(tmp_path, "$(touch${IFS}owned) synthetic 1 male")
    assert "column 'subject'" in project.run(succeeds=False)
    assert not (tmp_path / "owned").exists()


def test_a_subject_without_labels_ends_as_a_capture_or_needs_a_network(tmp_path):
    project = new_project(tmp_path, "dora thuman2.0 0525 male")
    for name in ("THuman2.0_Release/0525/0525.obj", "THuman2.0_Smpl_X_Paras/0525/smplx_param.pkl"):
        (tmp_path / "resources/thuman2.0" / name).parent.mkdir(parents=True)
        (tmp_path / "resources/thuman2.0" / name).touch()
    output = project.run("--dry-run", succeeds=False)
    assert "dora: thuman2.0 has no labels to train layers by" in output and "sapiens" in output
    header, row = ["subject", "dataset", "source", "gender", "methods"], ["dora", "thuman2.0", "0525", "male", "none"]
    (tmp_path / "config/subjects.tsv").write_text("\t".join(header) + "\n" + "\t".join(row) + "\n")
    assert project.planned() - {"align"} == {"body", "convert", "normalize", "render"}


def test_a_video_is_made_and_converted(tmp_path):
    header, row = ["subject", "dataset", "source", "gender", "frames", "methods"], ["vera", "synthetic-video", "3", "female", "all", "none"]
    project = new_project(tmp_path, "vera synthetic 3 female")
    (tmp_path / "config/subjects.tsv").write_text("\t".join(header) + "\n" + "\t".join(row) + "\n")
    assert project.planned() - {"align"} == {"body", "synthesize_video", "convert", "normalize"}
