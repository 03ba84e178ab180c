import json
from dataclasses import replace

import pytest
import torch

from avatarpipe.body.weight_volume import WeightVolume
from avatarpipe.capture.capture import Capture
from avatarpipe.errors import InputError
from avatarpipe.methods.animatable.rig import big_pose
from avatarpipe.steps.weight_volume import WeightVolumeOptions, run


@pytest.fixture(scope="module")
def options(pipeline, tmp_path_factory):
    out = tmp_path_factory.mktemp("weights") / "weights.json"
    return WeightVolumeOptions(pipeline.normalized, pipeline.body, out, resolution=32, device="cpu")


@pytest.fixture(scope="module")
def manifest(options):
    run(options)
    return json.loads(options.out.read_text())


def test_the_volume_lies_around_the_subject_in_its_shape(options, manifest, fake_body):
    volume = WeightVolume.load(options.out.parent / manifest["weights"])
    betas = Capture.load(options.capture).poses.betas[0]
    vertices = fake_body.vertices(big_pose(betas))[0]
    assert torch.allclose(
        torch.from_numpy(volume.high - volume.low).float(),
        1.1 * (vertices.amax(0) - vertices.amin(0)).max(),
        atol=1e-5,
    )
    assert volume.grid.shape == (32, 32, 32, 55)
    assert float(
        (volume.sample(vertices) - fake_body.lbs_weights).abs().sum(dim=1).mean()
    ) == pytest.approx(manifest["errors"]["vertex_l1"], abs=1e-5)


def test_the_manifest_says_how_good_it_is_and_what_made_it(manifest):
    errors = manifest["errors"]
    assert errors["lowest"] >= 0 and errors["sum_error"] < 1e-4 and errors["skinning"] < 0.003
    assert "corner-aligned" in manifest["sampling"] and manifest["cycles"] < 10
    without = manifest["errors_without_blocks"]
    assert (
        errors["vertex_l1"] < 0.03 < without["vertex_l1"]
        and errors["skinning"] < without["skinning"]
    )
    assert set(manifest["provenance"]["inputs"]) == {"capture", "body"}


def test_the_manifest_says_where_blocks_lie(options, manifest):
    volume = WeightVolume.load(options.out.parent / manifest["weights"])
    assert len(volume.blocks) == len(manifest["blocks"]) > 0
    for block, said in zip(volume.blocks, manifest["blocks"], strict=True):
        assert said["nodes"] == list(block.grid.shape[:3]) and said["joints"] == len(block.joints)
        assert said["low"] == block.low.tolist() and said["high"] == block.high.tolist()


def test_a_number_of_levels_beyond_sense_is_refused(options, tmp_path):
    with pytest.raises(InputError, match="--levels 9: 0 to 4"):
        run(replace(options, out=tmp_path / "weights.json", levels=9))


@pytest.mark.parametrize("wrong", [{"resolution": 4}, {"padding": 0.9}, {"tolerance": 0.0}])
def test_senseless_numbers_are_refused(options, tmp_path, wrong):
    with pytest.raises(InputError, match="--resolution must be at least 8"):
        run(replace(options, out=tmp_path / "weights.json", **wrong))


def test_a_program_that_is_not_there_is_named(options, tmp_path):
    with pytest.raises(InputError, match=r"/nowhere/PointInterpolant: no such program"):
        run(
            replace(options, interpolant="/nowhere/PointInterpolant", out=tmp_path / "weights.json")
        )
