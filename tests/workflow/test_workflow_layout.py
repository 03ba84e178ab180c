"""What the workflow looks up of a subject, without Snakemake."""

import json
from pathlib import Path

import pytest

from avatarpipe.config import resolve_config
from avatarpipe.errors import InputError
from avatarpipe.layout import LABELLED, SCANNED, SYNTHESIZED_BY, Layout
from avatarpipe.methods.animatable.settings import animatable_settings
from avatarpipe.schemas import read_yaml
from avatarpipe.steps.convert import READERS

ROOT = Path(__file__).parents[2]
SCHEMAS = {name: read_yaml(ROOT / f"workflow/schemas/{name}.schema.yaml") for name in ("config", "subjects")}
DRESS = "00122/Inner/Take8"
RAW_FILES = {
    "4d-dress": (DRESS, [f"{DRESS}/{name}" for name in (
        "basic_info.pkl", "Meshes_pkl/mesh-f00000.pkl", "Meshes_pkl/atlas-f00000.pkl", "SMPLX/mesh-f00000_smplx.pkl",
        "Semantic/labels/label-f00000.pkl",
    )]),
    "thuman2.0": ("0525", [
        "THuman2.0_Release/0525/0525.obj", "THuman2.0_Smpl_X_Paras/0525/smplx_param.pkl", "THuman2.0_Release/0525/material0.mtl",
    ]),
    "thuman2.1": ("2445", ["THuman2.1_Release/2445/2445.obj", "THuman2.1_Smpl_X_Paras/2445/smplx_param.pkl"]),
    "avatarrex": ("zzr", ["zzr/calibration_full.json", "zzr/smpl_params.npz", "zzr/missing_img_files.txt"]),
    "thuman4.0": ("subject00", ["subject00/calibration.json", "subject00/smpl_params.npz"]),
    "actorshq": ("Actor01/Sequence1", ["Actor01/Sequence1/4x/calibration.csv", "Actor01/Sequence1/smpl_params.npz"]),
    "people-snapshot": ("male-3-casual", [f"male-3-casual/{name}" for name in (
        "camera.pkl", "masks.hdf5", "reconstructed_poses.hdf5", "male-3-casual.mp4",
    )]),
    "sigman": ("item7", ["item7/camera_full_calibration.json", "item7/smplx.npz"]),
    "four-view": ("0001", ["processed/0001/smplx_param.pkl", "THuman_cameras/thuman_front.json"]),
    "nerfstudio": ("me", ["me/transforms.json", "me/smpl_params.npz"]),
    "colmap": ("me", ["me/sparse/0/cameras.bin", "me/sparse/0/images.bin", "me/smpl_params.npz"]),
}  # fmt: skip


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def layout(dataset: str, source: str, frames: str = "0", methods: str = "layered", **config) -> Layout:
    """A layout with one subject, dora."""
    row = {
        "subject": "dora", "dataset": dataset, "source": source, "gender": "male", "frames": frames, "methods": methods,
    }  # fmt: skip
    given = {"preset": "tiny", "subjects": "subjects.tsv"} | config
    return Layout(resolve_config(given, ROOT / "config/presets", SCHEMAS["config"]), {"dora": row})


def touch(dataset: str, *names: str) -> list[Path]:
    paths = [Path("resources", dataset, name) for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return paths


def test_every_dataset_of_the_table_can_be_read_and_configured():
    offered = set(SCHEMAS["subjects"]["properties"]["dataset"]["enum"])
    assert offered == set(READERS) | {"synthetic-video"}
    assert offered - set(SYNTHESIZED_BY) == set(SCHEMAS["config"]["properties"]["datasets"]["properties"])
    assert offered - set(SYNTHESIZED_BY) == set(RAW_FILES)
    assert LABELLED < SCANNED < offered


@pytest.mark.parametrize("dataset", RAW_FILES)
def test_calibration_poses_and_scans_are_inputs(dataset):
    source, names = RAW_FILES[dataset]
    paths = touch(dataset, *names)
    assert sorted(map(Path, layout(dataset, source).raw_files("dora"))) == sorted(paths)


@pytest.mark.parametrize(
    ("dataset", "missing"),
    [(dataset, name) for dataset, (_, names) in RAW_FILES.items() for name in names[:2]],
)
def test_a_missing_file_is_named_with_its_subject(dataset, missing):
    source, names = RAW_FILES[dataset]
    touch(dataset, *(name for name in names if name != missing))
    with pytest.raises(InputError, match=r"no such f.*resources/README\.md.*'dora' of subjects\.tsv"):
        layout(dataset, source).raw_files("dora")


def test_a_missing_folder_is_named():
    with pytest.raises(InputError, match=r"elsewhere/zzr: no such folder"):
        layout("avatarrex", "zzr", datasets={"avatarrex": {"root": "elsewhere"}}).raw_files("dora")


def test_a_range_of_scans_names_the_frame_that_is_missing():
    touch("4d-dress", *(f"{DRESS}/{name}" for name in (
        "basic_info.pkl", "SMPLX/mesh-f00011_smplx.pkl", "SMPLX/mesh-f00012_smplx.pkl",
    )))  # fmt: skip
    with pytest.raises(InputError, match=r"frames '11-13': 13 is not there; .* 2 frames \(11 to 12\)"):
        layout("4d-dress", DRESS, "11-13").raw_files("dora")


def test_all_frames_of_scans_are_inputs_and_labels_only_where_they_are_read():
    kinds = ("Meshes_pkl/mesh-f{}.pkl", "Meshes_pkl/atlas-f{}.pkl", "SMPLX/mesh-f{}_smplx.pkl")
    names = [kind.format(number) for number in ("00011", "00012") for kind in kinds]
    paths = touch("4d-dress", *(f"{DRESS}/{name}" for name in ("basic_info.pkl", *names)))
    by_network = {"provider": "sapiens"}
    found = layout("4d-dress", DRESS, "all", segmentation=by_network).raw_files("dora")
    assert sorted(found) == sorted(paths)
    paths += touch("4d-dress", f"{DRESS}/Semantic/labels/label-f00012.pkl")
    found = layout("4d-dress", DRESS, "all", segmentation=by_network).raw_files("dora")
    assert sorted(found) == sorted(paths)
    with pytest.raises(InputError, match=r"label-f00011\.pkl: no such file"):
        layout("4d-dress", DRESS, "all").raw_files("dora")


def test_the_licensed_model_of_a_fit_is_an_input_where_it_is_named():
    """And with it the file that is asked for the shape; a model that is named and not there is told while jobs are planned."""
    source, names = RAW_FILES["people-snapshot"]
    paths = touch("people-snapshot", *names, f"{source}/consensus.pkl")
    assert sorted(layout("people-snapshot", source).raw_files("dora")) == sorted(paths[:-1])
    named = {"people-snapshot": {"smpl": "resources/smpl/SMPL_{gender}.pkl"}}
    with pytest.raises(InputError, match=r"smpl/SMPL_male\.pkl: no such file.*people-snapshot\.smpl.*'dora' of"):
        layout("people-snapshot", source, datasets=named).raw_files("dora")
    paths += touch("smpl", "SMPL_male.pkl")
    touch("smpl", "SMPL_female.pkl")
    assert sorted(layout("people-snapshot", source, datasets=named).raw_files("dora")) == sorted(paths)
    paths.remove(paths[-2])
    Path("resources/people-snapshot", source, "consensus.pkl").unlink()
    assert sorted(layout("people-snapshot", source, datasets=named).raw_files("dora")) == sorted(paths)


def test_options_reach_the_step_without_those_of_other_recordings():
    section = {"test_cameras": {"zzr": [7], "lbn1": [8]}, "root": "elsewhere"}
    found = json.loads(layout("avatarrex", "zzr", datasets={"avatarrex": section}).dataset_options("dora"))
    assert found["test_cameras"] == [7] and found["missing"] == "skip" and "root" not in found
    assert layout("synthetic", "7").dataset_options("dora") == "{}"


@pytest.mark.parametrize(
    ("dataset", "capture"), [("4d-dress", "render"), ("thuman2.0", "render"), ("colmap", "normalize"), ("synthetic", "render")]
)  # fmt: skip
def test_images_are_rendered_or_were_taken(dataset, capture):
    assert layout(dataset, "0001").image_capture("dora") == f"results/dora/{capture}/capture.json"


def test_many_scans_get_more_time_to_be_rendered():
    assert layout("4d-dress", DRESS, "11").render_minutes("dora") == 60
    assert layout("4d-dress", DRESS, "11-110:3").render_minutes("dora") == 24 * 60


def test_labels_are_copied_only_where_scans_have_them():
    assert layout("4d-dress", DRESS).labelled_capture("dora") == "results/dora/render/capture.json"
    with pytest.raises(InputError, match=r"dora: avatarrex has no labels.*sapiens"):
        layout("avatarrex", "zzr").labelled_capture("dora")


def test_jobs_that_are_timed_are_those_that_run():
    assert "dora/render" in layout("synthetic", "7").timed_jobs()
    measured = layout("synthetic", "7").benchmarks()
    assert measured[:2] == ["results/benchmarks/body/MALE.tsv", "results/benchmarks/dora/synthesize.tsv"]
    assert "dora/render" not in layout("avatarrex", "zzr").timed_jobs()
    untrained = layout("avatarrex", "zzr", methods="none")
    assert untrained.timed_jobs() == [] and untrained.layered() == []
    assert untrained.untrained_captures() == ["results/dora/normalize/capture.json"]


def test_animatable_subjects_are_measured_beside_their_baseline():
    measured = layout("avatarrex", "zzr", methods="animatable")
    assert measured.metrics() == ["results/dora/animatable/evaluate/metrics.parquet"]
    assert "dora/evaluate_animatable" in measured.timed_jobs() and "dora/evaluate" not in measured.timed_jobs()
    assert measured.skinned_avatar("dora") == ["results/dora/animatable/skinned/avatar/avatar.json"]
    alone = layout("avatarrex", "zzr", methods="animatable", animatable={"evaluate": {"baseline": False}})
    assert alone.skinned_avatar("dora") == []


def test_weights_of_metrics_are_inputs_where_they_are(tmp_path):
    assert layout("avatarrex", "zzr").metric_weights() == []
    weights = [*touch("lpips", "vgg.pth"), *touch("fid", "pt_inception.pth")]
    assert sorted(layout("avatarrex", "zzr").metric_weights()) == sorted(map(str, weights))


def test_an_unknown_subject_is_named():
    with pytest.raises(InputError, match=r"emma: no such subject in subjects\.tsv"):
        layout("synthetic", "7").cell("emma", "source")


def test_animatable_subjects_are_told_apart_and_their_settings_are_those_of_training():
    video = layout("synthetic-video", "7", "all", "animatable", animatable={"model": {"gaussians": 77}})
    assert video.animatable() == ["dora"] and video.layered() == [] and video.untrained_captures() == []
    assert layout("synthetic", "7").animatable() == []
    settings = animatable_settings(json.loads(video.animatable_settings()))
    assert settings.model.gaussians == 77 and settings.rates.harmonics == 2.5e-5


def test_what_the_configuration_names_and_is_not_there_is_listed():
    assert layout("synthetic", "7").missing() == []
    scoring = {"enabled": True, "image_reward": "reward", "clip": "clip"}
    asked = layout("synthetic", "7", bodies="licensed", segmentation={"provider": "sapiens", "checkpoint": "net.pt2"}, scoring=scoring)
    named = [message.partition(":")[0] for message in asked.missing()]
    assert named == ["net.pt2", "reward/ImageReward.pt", "licensed/SMPLX_MALE.npz"]
    Path("licensed").mkdir()
    for path in ("licensed/SMPLX_MALE.npz", "net.pt2"):
        Path(path).touch()
    assert [message.partition(":")[0] for message in asked.missing()] == ["reward/ImageReward.pt"]
