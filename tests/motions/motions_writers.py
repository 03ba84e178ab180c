"""Every raw motion format as its makers write it, from one motion: what the readers must undo.

`motion` has y up, full hands with their mean, the fake body's shape. SMPL formats drop shape, hands and face.
"""

import json
import pickle
from pathlib import Path

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from avatarpipe.body.model import Body
from avatarpipe.body.params import SIZES, BodyParams
from avatarpipe.body.smpl import SMPL_REST_PELVIS, rest_pelvis_of
from avatarpipe.motions.motion import Motion

Y_TO_Z = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
FLIP = np.diag([1.0, -1.0, -1.0])


def sample_motion(
    body: Body, frames: int = 5, seed: int = 0, fps: float = 30.0, pca: bool = False
) -> Motion:
    """Smooth random poses; with `pca` the hands lie in the span of 12 components."""
    rng = np.random.default_rng(seed)
    arrays = {name: 0.25 * rng.normal(size=(frames, size)) for name, size in SIZES.items()}
    arrays["betas"] = np.repeat(0.5 * rng.normal(size=(1, 10)), frames, axis=0)
    arrays["transl"] += [0.4, 1.0, -0.3]
    if pca:
        for side in ("left", "right"):
            arrays[f"{side}_hand_pose"] = body.decode_hand(
                0.3 * rng.normal(size=(frames, 12)), side
            )
    return Motion(fps, BodyParams.from_arrays(arrays, "sample"))


def numbers(motion: Motion) -> dict[str, np.ndarray]:
    return {name: value.double().numpy() for name, value in motion.poses.items()}


def turned(motion: Motion, body: Body, R: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(global_orient, transl) of the motion in a world turned by R, by smplx's own equation, frame by frame."""
    a = numbers(motion)
    J0 = rest_pelvis_of(body, a["betas"])
    orient = np.stack(
        [
            (Rotation.from_matrix(R) * Rotation.from_rotvec(r)).as_rotvec()
            for r in a["global_orient"]
        ]
    )
    return orient, np.stack([R @ (j + t) - j for j, t in zip(J0, a["transl"], strict=True)])


def smpl_of(motion: Motion, body: Body) -> tuple[np.ndarray, np.ndarray]:
    """(pose (F, 72), transl (F, 3)) of an SMPL whose pelvis is where the motion has it; its hand stubs are random."""
    a = numbers(motion)
    stubs = np.random.default_rng(9).normal(size=(len(motion), 6))
    transl = a["transl"] + rest_pelvis_of(body, a["betas"]) - SMPL_REST_PELVIS
    return np.hstack([a["global_orient"], a["body_pose"], stubs]), transl


def bare(motion: Motion, body: Body, hands: str = "relaxed") -> Motion:
    """What is left of a motion after SMPL: mean shape, hands by option, face at rest, pelvis kept."""
    kept = motion.shaped(np.zeros(10), body).poses
    poses = BodyParams.zeros(len(motion)).replaced(
        global_orient=kept.global_orient, body_pose=kept.body_pose, transl=kept.transl
    )
    if hands == "relaxed":
        means = {
            f"{s}_hand_pose": np.tile(body.hand_pca(s)[1], (len(motion), 1))
            for s in ("left", "right")
        }
        poses = poses.replaced(
            **{name: torch.tensor(value).float() for name, value in means.items()}
        )
    return Motion(motion.fps, poses, motion.gender)


def amass_smplh(path: Path, motion: Motion, body: Body, gender=b"female") -> Path:
    a, flat = numbers(motion), motion.shaped(np.zeros(10), body)
    orient, transl = turned(flat, body, Y_TO_Z)
    transl = transl + rest_pelvis_of(body, np.zeros((1, 10))) - SMPL_REST_PELVIS
    poses = np.hstack([orient, a["body_pose"], a["left_hand_pose"], a["right_hand_pose"]])
    np.savez(
        path, poses=poses, trans=transl, betas=np.ones(16), dmpls=np.zeros((len(motion), 8)),
        gender=np.array(gender), mocap_framerate=np.float64(motion.fps),
    )  # fmt: skip
    return path


def amass_smplx(path: Path, motion: Motion, body: Body) -> Path:
    """With an object array among the rest, as the real files have (latent labels)."""
    a = numbers(motion)
    orient, transl = turned(motion, body, Y_TO_Z)
    poses = np.hstack([
        orient, a["body_pose"], a["jaw_pose"], a["leye_pose"], a["reye_pose"], a["left_hand_pose"], a["right_hand_pose"],
    ])  # fmt: skip
    labels = np.array([{"view": 1}, None], object)
    np.savez(
        path, poses=poses, trans=transl, betas=np.append(a["betas"][0], np.zeros(6)), num_betas=16,
        gender="male", surface_model_type="smplx", mocap_frame_rate=motion.fps, markers_latent_vids=labels,
    )  # fmt: skip
    return path


def motionx_322(path: Path, motion: Motion, body: Body) -> Path:
    a, rows = numbers(motion), np.random.default_rng(5).normal(size=(len(motion), 322))
    rows[:, :159] = np.hstack(
        [
            a[n]
            for n in ("global_orient", "body_pose", "left_hand_pose", "right_hand_pose", "jaw_pose")
        ]
    )
    rows[:, 159:169], rows[:, 309:312], rows[:, 312:] = a["expression"], a["transl"], a["betas"]
    np.save(path, rows)
    return path


def _json(path: Path, annotations: list[dict]) -> Path:
    """Annotations out of order, as nothing promises that they are in it."""
    images = [{"id": k, "file_name": f"{k:06d}.png"} for k in range(len(annotations))]
    rows = [{"id": k, "image_id": k} | row for k, row in enumerate(annotations)]
    path.write_text(json.dumps({"images": images, "annotations": rows[::-1]}))
    return path


def motionx_local(path: Path, motion: Motion, body: Body) -> Path:
    a = numbers(motion)
    orient, transl = turned(motion, body, FLIP)
    names = {"body_pose": "body_pose", "lhand_pose": "left_hand_pose", "rhand_pose": "right_hand_pose",
             "jaw_pose": "jaw_pose", "expr": "expression", "shape": "betas"}  # fmt: skip
    return _json(path, [
        {
            "smplx_params": {key: a[name][k].tolist() for key, name in names.items()}
            | {"root_pose": orient[k].tolist(), "trans": transl[k].tolist()},
            "bbox": [100.0 + k, 50.0, 96.0, 256.0],
        }
        for k in range(len(motion))
    ])  # fmt: skip


def motionx_global(path: Path, motion: Motion, body: Body) -> Path:
    a = numbers(motion)
    names = {"root_orient": "global_orient", "pose_body": "body_pose", "pose_jaw": "jaw_pose", "trans": "transl",
             "face_expr": "expression", "betas": "betas"}  # fmt: skip
    rows = []
    for k in range(len(motion)):
        body_of = {key: a[name][k].tolist() for key, name in names.items()}
        body_of["face_expr"] += [0.1] * 40
        body_of["pose_hand"] = np.hstack([a["left_hand_pose"][k], a["right_hand_pose"][k]]).tolist()
        camera = {
            "cam_R": motion.w2c[k, :3, :3].tolist(), "cam_T": motion.w2c[k, :3, 3].tolist(), "world_scale": 1.0,
            "intrins": motion.K[k][[0, 1, 0, 1], [0, 1, 2, 2]].tolist(),
        }  # fmt: skip
        rows.append({"smplx_params": body_of, "cam_params": camera})
    return _json(path, rows)


def show_pkl(path: Path, motion: Motion, body: Body) -> Path:
    """Hands as 12 coefficients without the mean; the whole in a list of one, orientation (F, 1, 3)."""
    a = numbers(motion)
    orient, transl = turned(motion, body, FLIP)
    content = {
        "body_pose_axis": a["body_pose"].reshape(-1, 21, 3), "global_orient": orient[:, None], "transl": transl,
        "expression": np.hstack([a["expression"], np.zeros((len(motion), 90))]),
        "betas": np.append(a["betas"][0], np.zeros(290)), "camera_transl": np.zeros(3), "batch_size": len(motion),
    }  # fmt: skip
    content |= {name: a[name] for name in ("jaw_pose", "leye_pose", "reye_pose")}
    for side in ("left", "right"):
        components, mean = body.hand_pca(side)
        content[f"{side}_hand_pose"] = (a[f"{side}_hand_pose"] - mean) @ np.linalg.pinv(
            components[:12]
        )
    path.write_bytes(pickle.dumps([content]))
    return path


def talkshow_265(path: Path, motion: Motion, body: Body, flipped: bool = False) -> Path:
    """45 angles a hand without the mean; no transl, no betas."""
    a, rows = numbers(motion), np.zeros((len(motion), 265))
    orient = turned(motion, body, FLIP)[0] if flipped else a["global_orient"]
    rows[:, :165] = np.hstack(
        [a["jaw_pose"], a["leye_pose"], a["reye_pose"], orient, a["body_pose"]]
        + [a[f"{side}_hand_pose"] - body.hand_pca(side)[1] for side in ("left", "right")]
    )
    rows[:, 165:175] = a["expression"]
    np.save(path, rows.astype(np.float32))
    return path


def aist(path: Path, motion: Motion, body: Body, shape3d: bool = False) -> Path:
    pose, transl = smpl_of(motion, body)
    scaling = np.array([93.78])
    content = {
        "smpl_poses": pose.reshape(-1, 24, 3) if shape3d else pose, "smpl_scaling": scaling,
        "smpl_trans": transl * scaling, "smpl_loss": 0.1,
    }  # fmt: skip
    path.write_bytes(pickle.dumps(content))
    return path


def threedpw(path: Path, motions: list[Motion], body: Body, valid: np.ndarray) -> Path:
    both = [smpl_of(motion, body) for motion in motions]
    content = {
        "sequence": "made", "poses": [pose for pose, _ in both], "trans": [transl for _, transl in both],
        "genders": ["m", "f"][: len(motions)], "betas": [np.ones(10)] * len(motions),
        "cam_poses": motions[0].w2c, "cam_intrinsics": motions[0].K[0],
        "campose_valid": [valid] * len(motions), "img_frame_ids": np.arange(len(valid)),
    }  # fmt: skip
    path.write_bytes(pickle.dumps(content, protocol=2))
    return path


def tram(
    folder: Path, motion: Motion, body: Body, frames: np.ndarray, images: int, camera: bool = True
) -> Path:
    """hps/hps_track_0.npy with the motion's frames at `frames`, in the camera; camera.npy of `images` cameras (motion.w2c)."""
    (folder / "hps").mkdir(parents=True)
    w2c = motion.w2c if camera else np.repeat(np.diag([1.0, -1, -1, 1])[None], images, axis=0)
    seen = motion.poses[list(range(len(frames)))]
    in_camera = Motion(30.0, seen).rotated(w2c[frames], body)
    pose, transl = smpl_of(in_camera, body)
    track = {
        "pred_rotmat": torch.tensor(Rotation.from_rotvec(pose.reshape(-1, 3)).as_matrix()).reshape(-1, 24, 3, 3).float(),
        "pred_trans": torch.tensor(transl)[:, None].float(), "frame": torch.tensor(frames),
        "pred_shape": torch.ones(len(frames), 10), "pred_cam": torch.ones(len(frames), 3),
    }  # fmt: skip
    np.save(folder / "hps" / "hps_track_0.npy", track, allow_pickle=True)
    if camera:
        c2w = np.linalg.inv(w2c)
        cameras = {
            "world_cam_R": c2w[:, :3, :3].astype(np.float32), "world_cam_T": c2w[:, :3, 3].astype(np.float32),
            "pred_cam_R": np.zeros((images, 3, 3)), "pred_cam_T": np.zeros((images, 3)),
            "img_focal": np.array(700.0), "img_center": np.array([320.0, 180.0]), "spec_focal": 690.0,
        }  # fmt: skip
        np.save(folder / "camera.npy", cameras, allow_pickle=True)
    return folder / "hps" / "hps_track_0.npy"


def smpl_params(path: Path, motion: Motion, body: Body) -> Path:
    """As AvatarReX, THuman4.0 and ActorsHQ captures ship it: betas and expression may have one row."""
    a = numbers(motion)
    names = (
        "global_orient",
        "transl",
        "body_pose",
        "jaw_pose",
        "left_hand_pose",
        "right_hand_pose",
    )
    np.savez(
        path, betas=a["betas"][:1], expression=a["expression"], **{name: a[name] for name in names}
    )
    return path
