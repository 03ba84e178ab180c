"""The convert step on a recording in each layout written here: a capture that loads, by the options as JSON, all files listed."""

import json
from dataclasses import replace
from pathlib import Path

import datasets_recordings as demo
import numpy as np
import pytest

from avatarpipe.capture.capture import Capture
from avatarpipe.datasets.inputs import raw_inputs
from avatarpipe.datasets.writers import colmap, fourview, nerfstudio, people_snapshot, sigman
from avatarpipe.steps import convert

FOLDERS = {"images": "processed", "calibrations": "THuman_cameras", "fits": "THuman_2.0_smplx"}


def write_people_snapshot(root, body):
    people_snapshot.write(root / "take", demo.recording((0, 1, 2), count=1), body)
    return {"hands": "flat"}, 3, 1


def write_sigman(root, body):
    sigman.write(root / "take", demo.recording((0,)), body)
    return {"test_cameras": ["0002"]}, 1, 3


def write_four_view(root, body):
    raw = demo.recording((0,))
    poses = raw.poses.replaced(transl=0.2 * raw.poses.transl)
    cameras = replace(raw.cameras, names=("0", "90", "180"))
    fourview.write(root, "take", replace(raw, cameras=cameras, poses=poses), 0.7, older=True)
    return FOLDERS, 1, 3


def write_nerfstudio(root, body):
    nerfstudio.write(root / "take", demo.recording((0, 1), missed={(1, 1)}))
    return {"fps": None, "names": None, "up": {"take": "body"}}, 2, 3


def write_colmap(root, body):
    colmap.write(root / "take", demo.recording((4, 7), distortion=demo.LENS))
    return {"names": {"take": colmap.NAMES, "other": "{frame}.jpg"}, "up": "-y"}, 2, 3


LAYOUTS = {
    "people-snapshot": write_people_snapshot, "sigman": write_sigman, "four-view": write_four_view,
    "nerfstudio": write_nerfstudio, "colmap": write_colmap,
}  # fmt: skip


@pytest.mark.parametrize("dataset", LAYOUTS)
def test_convert(tmp_path, fake_body, fake_body_file, dataset):
    raw = tmp_path / "raw"
    options, frames, cameras = LAYOUTS[dataset](raw, fake_body)
    listed = raw_inputs(dataset, "take", "neutral", "all", {"root": str(raw), **options}, False)
    assert listed and all(path.is_file() for path in listed)
    out = tmp_path / "ann/convert/capture.json"
    convert.run(
        convert.Convert(
            dataset=dataset, root=raw, source="take", subject="ann", gender="neutral", body=fake_body_file,
            out=out, frames="all", options=json.dumps(options),
        )
    )  # fmt: skip
    capture = Capture.load(out)
    assert (len(capture.frame_names), len(capture.cameras())) == (frames, cameras)
    assert capture.image(0, 0).shape == (80, 96, 3)
    assert 0.05 < capture.mask(0, 0).mean() < 0.5
    assert np.isfinite(capture.poses.full_pose.numpy()).all()
    assert not any(path.name.startswith(".") for path in out.parent.iterdir())
    hashed = capture.manifest.provenance["inputs"]
    assert {"calibration", "poses"} & set(hashed)
    assert {Path(entry["path"]) for entry in hashed.values()} <= {*listed, fake_body_file}
