"""The step: one command from a raw file to the container, its pictures and its manifest."""

import json
import re
from pathlib import Path

import motions_writers as writers
import numpy as np
import pytest
from PIL import Image

from avatarpipe.errors import InputError
from avatarpipe.motions.configured import DEFAULTS, ConfiguredMotions
from avatarpipe.motions.motion import Motion
from avatarpipe.motions.preview import strip
from avatarpipe.motions.procedural import MOTIONS
from avatarpipe.motions.read import FORMATS, read_motion
from avatarpipe.schemas import read_yaml
from avatarpipe.steps.convert_motion import ConvertMotion, main, run


@pytest.fixture
def amass(fake_body, tmp_path):
    """A z-up sequence of 13 frames at 120 a second, high above the floor."""
    motion = writers.sample_motion(fake_body, frames=13, fps=120.0)
    return writers.amass_smplx(tmp_path / "x_stageii.npz", motion, fake_body)


def test_the_configuration_knows_the_motions_that_are_made_here():
    schema = read_yaml(Path(__file__).parents[2] / "workflow/schemas/config.schema.yaml")["$defs"]["motion"]
    for pattern in (schema["pattern"], schema["properties"]["file"]["pattern"]):
        for name in ("clip.npz", *(f"procedural:{kind}{seed}" for kind in MOTIONS for seed in ("", ":7"))):
            assert re.search(pattern, name)
        assert not re.search(pattern, "procedural:danse") and not re.search(pattern, "procedural:walk:x")


def test_a_motion_its_pictures_and_last_its_manifest(amass, fake_body, fake_body_file, tmp_path):
    out = tmp_path / "results" / "x.npz"
    main(
        [
            "--motion",
            str(amass),
            "--body",
            str(fake_body_file),
            "--frames",
            "1:",
            "--height",
            "floor",
            "--out",
            str(out),
        ]
    )
    motion = Motion.load(out)
    wanted = read_motion(amass, body=fake_body).cut(1).resampled(30.0)
    assert len(motion) == 3 and motion.fps == 30.0 and motion.gender == "male"
    assert np.allclose(motion.poses.body_pose, wanted.poses.body_pose)
    assert abs(float(fake_body.vertices(motion.poses)[..., 1].min())) < 1e-4
    manifest = json.loads(out.with_suffix(".json").read_text())
    assert (manifest["frames"], manifest["source"]["fps"], manifest["loops"]) == (3, 120.0, False)
    assert set(manifest["provenance"]["inputs"]) == {"body", "motion"}
    for name in manifest["pictures"]:
        assert Image.open(out.parent / name).size[0] > 300
    stem = out.stem
    assert sorted(path.name for path in out.parent.iterdir()) == [
        f"{stem}.json", f"{stem}.npz", f"{stem}.png", f"{stem}.provenance.json", f"{stem}.webp",
    ]  # fmt: skip


def test_the_mean_shape_and_no_pictures(amass, fake_body_file, tmp_path):
    out = tmp_path / "x.npz"
    run(ConvertMotion(str(amass), fake_body_file, out, shape="mean", pictures=False, fps=120.0))
    assert not Motion.load(out).poses.betas.any() and not out.with_suffix(".png").exists()


def test_made_here_at_another_rate_still_loops(fake_body_file, fake_body, tmp_path):
    out = tmp_path / "walk.npz"
    run(ConvertMotion("procedural:walk", fake_body_file, out, fps=24.0, pictures=False))
    motion = Motion.load(out)
    joints = fake_body.joints(motion.poses)[:, :22].numpy()
    steps = np.abs(np.diff(joints, axis=0, append=joints[:1])).max(axis=(1, 2))
    assert motion.fps == 24.0 and steps[-1] < 1.3 * max(steps[0], steps[-2]) + 0.004
    assert json.loads(out.with_suffix(".json").read_text())["loops"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"out": Path("x.pkl")}, "written as .npz"),
        ({"fps": 0.0}, "--fps 0"),
        ({"frames": "3"}, "START:STOP"),
        ({"frames": "a:b"}, "START:STOP"),
        ({"frames": "50:"}, "frames 50:None of a motion of 13"),
        ({"motion": "absent.npz"}, "absent.npz: no such file"),
    ],
)
def test_bad_options_are_named_and_leave_nothing(change, says, amass, fake_body_file, tmp_path):
    out = tmp_path / "results" / "x.npz"
    options = {"motion": str(amass), "body": fake_body_file, "out": out, "pictures": False}
    with pytest.raises(InputError, match=says):
        run(ConvertMotion(**options | change))
    assert not out.parent.exists()


def test_a_fallen_axis_shows_in_the_strip(amass, fake_body):
    """With the right axis the body stands over the floor's horizon; with a wrong one it lies: its image is wider than high."""
    upright = read_motion("procedural:walk", body=fake_body)
    fallen = upright.rotated(np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]), fake_body)
    standing, lying = (
        strip(motion, fake_body, columns=1, height=96) for motion in (upright, fallen)
    )

    def extent(picture):
        half = picture[96:].astype(int)  # seen from its left
        rows, columns = np.nonzero(
            half[..., 2] - half[..., 0] > 25
        )  # the body is blue, floor and sky are not
        return np.ptp(rows) / np.ptp(columns)

    assert extent(standing) > 1.5 and extent(lying) < 1.2


def config(bodies="free", **motions) -> ConfiguredMotions:
    return ConfiguredMotions({"bodies": bodies, "motions": motions})


def test_the_configuration_names_files_or_how_to_read_them(amass, tmp_path):
    asked = config(a=str(amass), b={"file": "procedural:walk", "fps": 24, "gender": "female"})
    assert asked.files("a") == [amass] and asked.files("b") == []
    assert (asked.option("a", "fps"), asked.option("b", "fps"), asked.option("b", "format")) == (
        30,
        24,
        "auto",
    )
    assert asked.body_file("b") == "results/body/SMPLX_FEMALE.npz" and asked.shape() == "mean"
    assert config("licensed").shape() == "source"
    with pytest.raises(InputError, match="c: no such motion"):
        asked.option("c", "file")
    with pytest.raises(InputError, match=r"gone\.npz: no such file.*`motions\.d`"):
        config(d="gone.npz").files("d")
    with pytest.raises(InputError, match=r"SMPLX_NEUTRAL\.npz: no such file"):
        config(str(tmp_path), a="x").body_file("a")


def test_a_folder_of_tram_is_its_track_and_cameras(filmed_tram):
    folder, track = filmed_tram
    assert config(t=str(folder)).files("t") == [track, folder / "camera.npy"]
    with pytest.raises(InputError, match=r"folder of TRAM's results"):
        config(t=str(folder / "empty")).files("t")


@pytest.fixture
def filmed_tram(tmp_path):
    folder = tmp_path / "seq"
    (folder / "hps").mkdir(parents=True)
    (folder / "empty").mkdir()
    for name in ("hps/hps_track_0.npy", "camera.npy"):
        (folder / name).touch()
    return folder, folder / "hps/hps_track_0.npy"


def test_the_schema_knows_the_formats_and_options_of_the_code():
    schema = read_yaml(Path(__file__).parents[2] / "workflow/schemas/config.schema.yaml")["$defs"][
        "motion"
    ]
    assert schema["properties"].keys() == {"file"} | DEFAULTS.keys()
    assert set(schema["properties"]["format"]["enum"]) == set(FORMATS)
