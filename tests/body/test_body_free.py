"""The free body is loaded by the unmodified smplx package and is a person: posed, shaped, expressive."""

import numpy as np
import pytest
import smplx
import torch
import trimesh
from smplx.vertex_ids import vertex_ids

from avatarpipe.body.free import builder, expressions
from avatarpipe.body.free.joints import INDEX, PARENTS
from avatarpipe.body.model import Body
from avatarpipe.body.params import BodyParams


@pytest.fixture(scope="session")
def body_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("smplx_models") / "smplx" / "SMPLX_NEUTRAL.npz"
    builder.write_body(path, builder.build_body("neutral"))
    return path


@pytest.fixture(scope="session")
def arrays(body_path):
    with np.load(body_path, allow_pickle=False) as archive:
        return dict(archive)


@pytest.fixture(scope="session")
def model(body_path):
    return smplx.SMPLX(
        str(body_path), use_pca=False, flat_hand_mean=True, num_betas=10, num_expression_coeffs=10,
        use_face_contour=True,
    )  # fmt: skip


def posed(model, **params) -> tuple[np.ndarray, np.ndarray]:
    output = model(**{name: torch.as_tensor(v, dtype=torch.float32) for name, v in params.items()})
    return output.vertices[0].numpy(force=True), output.joints[0].numpy(force=True)


def one(length: int, index: int, value: float) -> np.ndarray:
    vector = np.zeros((1, length), np.float32)
    vector[0, index] = value
    return vector


def test_layout_is_that_of_smplx(arrays):
    count = len(arrays["v_template"])
    assert count > 9929
    shapes = {
        "shapedirs": (count, 3, 400), "posedirs": (count, 3, 486), "J_regressor": (55, count),
        "weights": (count, 55), "kintree_table": (2, 55), "hands_componentsl": (45, 45),
        "hands_meanr": (45,), "lmk_faces_idx": (51,), "lmk_bary_coords": (51, 3),
        "dynamic_lmk_faces_idx": (79, 17), "dynamic_lmk_bary_coords": (79, 17, 3),
    }  # fmt: skip
    assert {name: arrays[name].shape for name in shapes} == shapes
    assert arrays["ft"].shape == arrays["f"].shape
    assert arrays["ft"].max() == len(arrays["vt"]) - 1
    assert arrays["kintree_table"].dtype == np.uint32
    assert arrays["kintree_table"][0, 0] == 2**32 - 1
    assert arrays["f"].dtype == np.uint32
    assert "CC0" in str(arrays["avatarpipe_source"])


def test_smplx_create_loads_it_with_hand_pca(body_path):
    model = smplx.create(
        str(body_path.parent.parent), model_type="smplx", gender="neutral", use_pca=True,
        num_pca_comps=12, flat_hand_mean=False,
    )  # fmt: skip
    flat = posed(smplx.SMPLX(str(body_path), use_pca=False, flat_hand_mean=True))[0]
    relaxed = posed(model)[0]
    moved = np.linalg.norm(relaxed - flat, axis=1)
    assert 0.01 < moved.max() < 0.1  # the mean hand is curled, nothing else differs
    assert moved[np.abs(flat[:, 0]) < 0.6].max() < 1e-6


def test_skinning_weights_and_regressor_are_convex(arrays):
    for name in ("weights", "J_regressor"):
        assert arrays[name].min() >= 0
        np.testing.assert_allclose(arrays[name].sum(1), 1, atol=1e-9)
    assert (arrays["J_regressor"] > 0).sum(1).max() < 200


def test_surface_is_closed_and_faces_outward(arrays):
    mesh = trimesh.Trimesh(arrays["v_template"], arrays["f"].astype(int), process=False)
    assert mesh.is_watertight
    assert mesh.body_count == 3  # skin and two eyeballs
    assert all(part.volume > 0 for part in mesh.split(only_watertight=False))


def test_t_pose_has_straight_limbs_and_the_place_of_smplx(model, arrays):
    vertices, joints = posed(model)
    for side, sign in (("left", 1), ("right", -1)):
        arm = joints[[INDEX[f"{side}_{j}"] for j in ("shoulder", "elbow", "wrist", "middle1")]]
        assert (np.diff(arm[:, 0]) * sign > 0.05).all()
        np.testing.assert_allclose(arm[1:, 1:], arm[:1, 1:].repeat(3, 0), atol=0.012)
        leg = joints[[INDEX[f"{side}_{j}"] for j in ("hip", "knee", "ankle")]]
        np.testing.assert_allclose(leg[1:, [0, 2]], leg[:1, [0, 2]].repeat(2, 0), atol=0.02)
        assert joints[INDEX[f"{side}_foot"], 2] > joints[INDEX[f"{side}_ankle"], 2] + 0.08
    lowered = vertices[:, 1] + 0.4
    assert -0.95 < lowered.min() < -0.8
    assert 0.8 < lowered.max() < 0.95
    assert np.abs(vertices[:, [0, 2]]).max() < 1


def test_hard_coded_vertex_ids_hit_the_anatomy(arrays):
    template, ids = arrays["v_template"], vertex_ids["smplx"]
    joints = arrays["J_regressor"] @ template
    for letter, side, sign in (("l", "left", 1), ("r", "right", -1)):
        for finger in ("thumb", "index", "middle", "ring", "pinky"):
            tip = template[ids[f"{letter}{finger}"]]
            assert np.linalg.norm(tip - joints[INDEX[f"{side}_{finger}3"]]) < 0.045
        assert template[ids[f"{letter}eye"], 2] > joints[INDEX[f"{side}_eye"], 2] + 0.01
        assert sign * template[ids[f"{letter}ear"], 0] > 0.07
        foot = {
            name: template[ids[f"{letter.upper()}{name}"]]
            for name in ("BigToe", "SmallToe", "Heel")
        }
        assert sign * (foot["SmallToe"][0] - foot["BigToe"][0]) > 0.04
        assert foot["BigToe"][2] - foot["Heel"][2] > 0.2
    nose = template[ids["nose"]]
    assert abs(nose[0]) < 1e-3
    assert nose[2] > template[np.abs(template[:, 1] - nose[1]) < 0.02, 2].max() - 1e-3


def test_joints_stay_inside_any_shape(model, arrays):
    rng = np.random.default_rng(0)
    cavities = ("jaw", "left_eye", "right_eye")  # they lie in the mouth and in the eyeballs
    inside = [j for name, j in INDEX.items() if name not in cavities]
    faces = arrays["f"].astype(int)
    for betas in 2.5 * np.sign(rng.standard_normal((4, 10))):
        betas[4:] *= 0.5
        vertices, joints = posed(model, betas=betas[None])
        mesh = trimesh.Trimesh(vertices.astype(float), faces, process=False)
        assert mesh.contains(joints[inside]).all()


def test_first_betas_are_stature_and_corpulence(model, arrays):
    assert list(arrays["avatarpipe_beta_names"][:2]) == ["stature", "corpulence"]
    faces = arrays["f"].astype(int)

    def stature_and_volume(betas):
        vertices = posed(model, betas=betas)[0]
        return np.ptp(vertices[:, 1]), trimesh.Trimesh(vertices, faces, process=False).volume

    short, tall = (stature_and_volume(one(10, 0, v)) for v in (-2, 2))
    thin, stout = (stature_and_volume(one(10, 1, v)) for v in (-2, 2))
    assert 0.2 < tall[0] - short[0] < 0.4
    assert stout[1] > 1.25 * thin[1]
    assert abs(stout[0] - thin[0]) < 0.01


def test_jaw_opens_the_mouth_and_leaves_the_upper_lip(model, arrays):
    rest, shut = posed(model)
    dropped, opened = posed(model, jaw_pose=one(3, 0, 0.3))
    upper, lower = 55 + 21 + 44 + 2, 55 + 21 + 44 + 6  # inner lips, middle
    assert shut[lower, 1] - opened[lower, 1] > 0.012
    assert np.linalg.norm(opened[upper] - shut[upper]) < 0.004
    far = arrays["v_template"][:, 1] < shut[INDEX["left_shoulder"], 1]
    assert np.abs(dropped - rest)[far].max() < 1e-6


def test_expressions_move_the_face_only(model, arrays):
    names = list(arrays["avatarpipe_expression_names"])
    assert names == expressions.NAMES
    rest, joints = posed(model)
    blink, still_joints = posed(model, expression=one(10, names.index("blink"), 2.0))
    moved = np.linalg.norm(blink - rest, axis=1)
    assert moved.max() > 0.004
    assert rest[moved > 1e-5, 1].min() > joints[INDEX["jaw"], 1] - 0.08
    np.testing.assert_allclose(still_joints[:55], joints[:55], atol=1e-6)


def test_landmarks_lie_on_the_face_in_ibugs_order(model):
    marks = posed(model)[1][-68:]  # 51 inner landmarks, 17 of the contour
    brows, nose, eyes, lips, outline = (
        marks[:10],
        marks[10:19],
        marks[19:31],
        marks[31:51],
        marks[51:],
    )
    assert (np.diff(brows[:, 0]) > 0).all()
    assert (np.diff(outline[:, 0]) > 0).all()
    assert (np.diff(nose[:4, 1]) < 0).all()
    assert brows[:, 1].min() > eyes[:, 1].max() > nose[4:, 1].max() > lips[:, 1].max()
    assert outline[8, 1] == outline[:, 1].min()
    np.testing.assert_allclose(marks[[0, 19, 31]] * [-1, 1, 1], marks[[9, 28, 37]], atol=2e-3)


def test_contour_follows_the_yaw_of_the_head(model):
    def outline(yaw):
        pose = np.zeros((1, 63), np.float32)
        pose[0, 3 * 14 + 1] = yaw
        return posed(model, body_pose=pose)[1][-17:, 0], posed(model, body_pose=pose)[0]

    for yaw in (-0.5, 0.5):
        across, vertices = outline(yaw)
        face = vertices[np.abs(vertices[:, 0]) < 0.09]
        hidden = across[-3] if yaw > 0 else across[2]
        assert (np.diff(across[3:14]) > 0).all()
        assert abs(hidden) < np.abs(face[:, 0]).max()
        assert (hidden > 0) == (yaw > 0)


def test_left_and_right_mirror_each_other(arrays):
    mirror, template = arrays["avatarpipe_mirror"], arrays["v_template"]
    np.testing.assert_array_equal(mirror[mirror], np.arange(len(mirror)))
    np.testing.assert_allclose(template[mirror] * [-1, 1, 1], template, atol=2e-3)
    other = {"left": "right", "right": "left"}
    swapped = [INDEX["_".join(other.get(word, word) for word in name.split("_"))] for name in INDEX]
    np.testing.assert_allclose(arrays["weights"][mirror][:, swapped], arrays["weights"], atol=1e-6)


def test_hand_components_are_orthonormal_and_mirrored(arrays):
    left = arrays["hands_componentsl"]
    np.testing.assert_allclose(left @ left.T, np.eye(45), atol=1e-9)
    np.testing.assert_allclose(left * np.tile([1, -1, -1], 15), arrays["hands_componentsr"])


def test_curl_brings_fingertips_to_the_palm(model, arrays):
    fist = arrays["hands_meanl"] + 2.0 * arrays["hands_componentsl"][0]
    vertices, joints = posed(model, left_hand_pose=fist[None])
    tip, wrist = vertices[vertex_ids["smplx"]["lmiddle"]], joints[INDEX["left_wrist"]]
    flat = arrays["v_template"][vertex_ids["smplx"]["lmiddle"]]
    assert tip[1] < wrist[1] - 0.02
    assert np.linalg.norm(tip - wrist) < 0.75 * np.linalg.norm(flat - wrist)


def test_groups_name_places(arrays):
    template, joints = arrays["v_template"], arrays["J_regressor"] @ arrays["v_template"]
    eye = joints[INDEX["left_eye"]]
    iris = template[arrays["avatarpipe_groups_left_iris"]]
    assert np.linalg.norm(iris[:, :2] - eye[:2], axis=1).max() < 0.01
    assert template[arrays["avatarpipe_groups_lips"], 1].max() < eye[1] - 0.03
    assert template[arrays["avatarpipe_groups_brows"], 1].min() > eye[1]
    parts, names = arrays["avatarpipe_parts"], list(arrays["avatarpipe_part_names"])
    hand = template[parts == names.index("left_hand")]
    assert hand[:, 0].min() > joints[INDEX["left_elbow"], 0]
    assert set(np.unique(parts)) == set(range(len(names)))


def test_equal_arrays_give_equal_bytes(arrays, body_path, tmp_path):
    builder.write_body(tmp_path / "again.npz", arrays)
    assert (tmp_path / "again.npz").read_bytes() == body_path.read_bytes()


@pytest.mark.slow
def test_two_builds_are_equal(arrays):
    again = builder.build_body("neutral")
    assert again.keys() == arrays.keys()
    assert all(np.array_equal(again[name], arrays[name]) for name in again)


def test_a_file_with_the_licensed_vertex_count_loads_alike(body_path, tmp_path):
    licensed = _capsule(tmp_path / "SMPLX_NEUTRAL.npz")
    params = BodyParams.zeros()
    for path, count in ((licensed, 10475), (body_path, None)):
        body = Body(path)
        vertices = body.vertices(params)
        assert vertices.shape == (1, count or len(body.v_template), 3)
        np.testing.assert_array_equal(body.parents, PARENTS)
        assert body.transforms(params).shape == (1, 55, 4, 4)


def _capsule(path):
    """A file of the licensed model's exact layout: its counts, keys and pickled extras, random content."""
    rng = np.random.default_rng(3)
    count, faces = 10475, 20908
    vertices = rng.standard_normal((count, 3)) * [0.2, 0.8, 0.1]
    weights = rng.random((count, 55)) ** 8
    barycentric = np.full((79, 17, 3), 1 / 3)
    np.savez(
        path, v_template=vertices, f=rng.integers(0, count, (faces, 3)).astype(np.uint32),
        shapedirs=np.zeros((count, 3, 400), np.float16), posedirs=np.zeros((count, 3, 486), np.float16),
        J_regressor=np.eye(55, count), weights=weights / weights.sum(1, keepdims=True),
        kintree_table=np.stack([PARENTS % 2**32, np.arange(55)]).astype(np.uint32),
        hands_componentsl=np.eye(45), hands_componentsr=np.eye(45), hands_meanl=np.zeros(45),
        hands_meanr=np.zeros(45), lmk_faces_idx=np.arange(51), lmk_bary_coords=np.full((51, 3), 1 / 3),
        dynamic_lmk_faces_idx=np.zeros((79, 17), int), dynamic_lmk_bary_coords=barycentric,
        vt=rng.random((11313, 2)), ft=rng.integers(0, 11313, (faces, 3)).astype(np.uint32),
        joint2num=np.array({"Pelvis": 0}, dtype=object), part2num=np.array({"Head": 1}, dtype=object),
        allow_pickle=np.array(True),
    )  # fmt: skip
    return path
