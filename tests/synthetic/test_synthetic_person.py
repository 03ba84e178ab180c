"""A whole draft person: what is written, that it is one world, one label set, one seed, and that layers nest."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from avatarpipe.body.model import Body
from avatarpipe.body.params import BodyParams
from avatarpipe.capture.labels import Label
from avatarpipe.errors import InputError
from avatarpipe.mesh.closest import closest_points
from avatarpipe.mesh.mesh import load_mesh
from avatarpipe.mesh.signed import signed_distance
from avatarpipe.pickles import load_pickle
from avatarpipe.steps.synthesize import Synthesize, run
from avatarpipe.synthetic.bake import lit_color
from avatarpipe.synthetic.person import DETAILS, make_person
from avatarpipe.synthetic.scan import fused_scan, split_at_seams
from avatarpipe.synthetic.traits import sample_traits

SEED, GENDER = 1, "male"


@pytest.fixture(scope="module")
def body_file(free_man_file) -> Path:
    return free_man_file


@pytest.fixture(scope="module")
def made(body_file, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("subject") / "manifest.json"
    run(Synthesize(body=body_file, gender=GENDER, seed=SEED, detail="draft", out=out))
    return out.parent


@pytest.fixture(scope="module")
def body(body_file) -> Body:
    return Body(body_file)


@pytest.fixture(scope="module")
def person(body):
    return make_person(body, GENDER, SEED, DETAILS["draft"])


@cache
def _recording(folder: Path) -> dict:
    root = folder / "synthetic/Inner/Take1"
    return {
        "mesh": load_pickle(root / "Meshes_pkl/mesh-f00000.pkl"),
        "atlas": load_pickle(root / "Meshes_pkl/atlas-f00000.pkl"),
        "fit": load_pickle(root / "SMPLX/mesh-f00000_smplx.pkl"),
        "labels": load_pickle(root / "Semantic/labels/label-f00000.pkl"),
        "info": load_pickle(root / "basic_info.pkl"),
    }


def test_recording_has_the_arrays_of_4d_dress(made):
    files = _recording(made)
    mesh, count = files["mesh"], len(files["mesh"]["vertices"])
    assert mesh["uvs"].shape == (count, 2) and mesh["normals"].shape == (count, 3)
    assert mesh["colors"].shape == (count, 4) and mesh["colors"].dtype == np.uint8
    assert mesh["faces"].min() >= 0 and mesh["faces"].max() == count - 1
    assert files["atlas"].shape == (1024, 1024, 3) and files["atlas"].dtype == np.uint8
    sizes = {name: value.shape for name, value in files["fit"].items()}
    assert sizes == {
        "global_orient": (3,), "body_pose": (63,), "transl": (3,), "betas": (10,), "expression": (10,),
        "left_hand_pose": (12,), "right_hand_pose": (12,), "jaw_pose": (3,), "leye_pose": (3,), "reye_pose": (3,),
    }  # fmt: skip
    assert files["info"]["scan_frames"] == ["00000"] and files["info"]["rotation"].shape == (3, 3)
    assert (
        np.linalg.norm(files["fit"]["transl"]) > 0.1
        and np.linalg.norm(files["fit"]["global_orient"]) > 0.3
    )


def test_labels_cover_all_classes(made):
    labels = _recording(made)["labels"]["scan_labels"]
    assert len(labels) == len(_recording(made)["mesh"]["vertices"])
    assert set(np.unique(labels)) == {0, 1, 2, 3, 4}


def test_hands_decode_to_the_true_pose(made, body):
    fit = _recording(made)["fit"]
    truth = BodyParams.load(made / "truth/body_poses.npz")
    for side in ("left", "right"):
        decoded = body.decode_hand(fit[f"{side}_hand_pose"][None], side)
        np.testing.assert_allclose(decoded, getattr(truth, f"{side}_hand_pose").numpy(), atol=1e-6)
        assert np.abs(fit[f"{side}_hand_pose"]).max() > 0.01


def test_the_true_body_lies_on_the_posed_smplx_mesh(made, body):
    posed = body.vertices(BodyParams.load(made / "truth/body_poses.npz"))[0].numpy()
    layer = load_mesh(made / "truth/layer_body.ply")
    distances = closest_points(layer.vertices, posed, body.faces)[3]
    assert np.quantile(distances, 0.99) < 0.002 and distances.max() < 0.01


def test_the_scan_lies_on_the_layers_and_has_their_colours(made):
    mesh = _recording(made)["mesh"]
    keep = np.random.default_rng(0).choice(len(mesh["vertices"]), 1500, replace=False)
    points, colors = mesh["vertices"][keep], mesh["colors"][keep, :3]
    labels = _recording(made)["labels"]["scan_labels"][keep] + int(Label.SKIN)
    for label in (Label.SKIN, Label.UPPER, Label.LOWER):
        own = labels == label
        name = "body" if label == Label.SKIN else label.name.lower()
        layer = load_mesh(made / f"truth/layer_{name}.ply")
        _, faces, weights, distances = closest_points(points[own], layer.vertices, layer.faces)
        assert distances.max() < 1e-4
        uv = np.einsum("nk,nkc->nc", weights, layer.uvs[faces])
        size = layer.texture.shape[0]
        rows, columns = ((1 - uv[:, 1]) * size).astype(int), (uv[:, 0] * size).astype(int)
        texture = layer.texture[np.clip(rows, 0, size - 1), np.clip(columns, 0, size - 1)]
        difference = np.abs(texture.astype(float) - colors[own]).mean(axis=1)
        assert np.median(difference) < 10


def test_garments_are_outside_the_body(person):
    body = person.layers["body"]
    for name in ("upper", "lower"):
        vertices = person.layers[name].vertices
        inside = signed_distance(vertices, body.vertices, body.faces) < -0.001
        assert inside.mean() < 0.002, name


def test_the_atlas_holds_the_paint(made, person):
    mesh, atlas = _recording(made)["mesh"], _recording(made)["atlas"]
    layer = person.layers["upper"]
    world = layer.vertices @ person.to_world[:3, :3].T + person.to_world[:3, 3]
    labels = _recording(made)["labels"]["scan_labels"]
    face = mesh["faces"][(labels[mesh["faces"]] == 3).all(axis=1)][::37]
    centres, uv = mesh["vertices"][face].mean(axis=1), mesh["uvs"][face].mean(axis=1)
    _, found, weights, distances = closest_points(centres, world, layer.faces)
    assert distances.max() < 1e-4
    painted = lit_color(layer, layer.faces[found], weights)
    texel = atlas[(uv[:, 1] * 1024).astype(int), (uv[:, 0] * 1024).astype(int)] / 255.0
    assert np.quantile(np.abs(texel - painted).mean(axis=1), 0.75) < 0.05


def test_the_same_seed_makes_the_same_person_again(made, person):
    scan, charts = fused_scan(person, DETAILS["draft"])
    vertices, faces, uvs, _ = split_at_seams(scan, charts)
    mesh = _recording(made)["mesh"]
    np.testing.assert_array_equal(mesh["vertices"], vertices.astype(np.float32))
    np.testing.assert_array_equal(mesh["faces"], faces)
    np.testing.assert_array_equal(mesh["uvs"], uvs)
    np.testing.assert_array_equal(_recording(made)["atlas"], scan.texture[::-1])


def test_the_manifest_lists_what_exists(made):
    manifest = json.loads((made / "manifest.json").read_text())
    assert (manifest["seed"], manifest["gender"], manifest["frame"]) == (SEED, GENDER, "00000")
    assert all((made / path).is_file() for path in manifest["truth"].values())
    assert set(manifest["layers"]) == {"body", "hair", "shoe", "upper", "lower"}


def test_seeds_differ_and_unknown_genders_are_refused():
    traits = [sample_traits(gender, seed) for gender in ("male", "female") for seed in range(6)]
    assert len({(t.upper, t.lower, t.hair) for t in traits}) == 12
    assert {t.upper_kind for t in traits} >= {"tshirt", "shirt"}
    with pytest.raises(InputError, match="gender"):
        sample_traits("robot", 0)
