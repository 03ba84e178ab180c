"""What the alignment check finds: right captures, captures with a little noise, and captures with one mistake each.

    python -m benchmarks.alignment --bodies results/body --seeds 1 2 3 --out folder

Each seed is dressed twice, as a woman and as a man (drafts: cloth, hair and shoes at 14 mm); each person becomes a capture of one scan
seen by 24 cameras, and a video of 36 frames seen by 6, walking, with arms that swing and fingers that stay: clothes and hair are
carried by the nearest point of the body. A table says how often each mistake was named and how far right captures are from the limits.
"""

import argparse
import tempfile
import time
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from avatarpipe.body.model import Body
from avatarpipe.body.params import BodyParams
from avatarpipe.body.skinning import SurfaceBinding, skinned_motion
from avatarpipe.cameras import Cameras, orbit
from avatarpipe.capture.alignment import measure
from avatarpipe.capture.alignment_causes import Tolerance, diagnose, warnings
from avatarpipe.capture.capture import Capture
from avatarpipe.capture.manifest import MANIFEST_NAME, Manifest
from avatarpipe.capture.normalization import moved_poses, normalizing_transform
from avatarpipe.capture.rigs import rig
from avatarpipe.capture.writing import publishing, write_cameras, write_frames
from avatarpipe.images import write_image
from avatarpipe.mesh.closest import closest_points
from avatarpipe.mesh.mesh import Mesh
from avatarpipe.mesh.render import render_views
from avatarpipe.synthetic.mistakes import MISTAKES, TROUBLE, VIDEO_MISTAKES, write_mistaken
from avatarpipe.synthetic.person import DETAILS, make_person

GENDERS = ("female", "male")
MEASURES = ("agreement", "outside", "unexplained", "offset_deg", "scale", "keypoints_mask")


def dressed(body: Body, gender: str, seed: int) -> tuple[BodyParams, Mesh]:
    """A person in the common frame: the body's parameters, and one mesh of all layers."""
    person = make_person(body, gender, seed, DETAILS["draft"])
    layers = [Mesh(layer.vertices, layer.faces) for layer in person.layers.values()]
    matrix = normalizing_transform(body, person.params)
    mesh = Mesh.concatenate(layers).transformed(matrix @ person.to_world)
    return moved_poses(body, person.params, matrix), mesh


def walking(start: BodyParams, frames: int, fps: float = 30.0) -> BodyParams:
    """One step a second, 0.8 m/s, arms that swing and bend."""
    time_ = torch.arange(frames) / fps
    swing, bend = torch.sin(2 * np.pi * time_), 1 - torch.cos(4 * np.pi * time_)
    poses = start[[0] * frames]
    pose, transl = poses.body_pose.clone(), poses.transl.clone()
    for joint, axis, angle in [
        (1, 0, 0.45 * swing), (2, 0, -0.45 * swing), (4, 0, 0.35 * (1 - swing)), (5, 0, 0.35 * (1 + swing)),
        (16, 1, 0.5 * swing), (17, 1, 0.5 * swing), (18, 1, -0.3 * bend), (19, 1, 0.3 * bend),
    ]:  # fmt: skip
        pose[:, 3 * (joint - 1) + axis] += angle
    transl[:, 2] += 0.8 * (time_ - time_.mean())
    return poses.replaced(body_pose=pose, transl=transl)


def carried(body: Body, start: BodyParams, mesh: Mesh, poses: BodyParams):
    """The mesh in each pose, every vertex moved by the point of the body it is closest to in `start`."""
    _, faces, barycentric, _ = closest_points(mesh.vertices, body.vertices(start)[0].numpy(), body.faces)
    binding = SurfaceBinding(torch.from_numpy(body.faces[faces]), torch.from_numpy(barycentric).float())
    first = skinned_motion(body, binding, start)
    offset = torch.from_numpy(mesh.vertices).float() - first.translation
    rest = torch.linalg.solve(first.linear, offset[..., None])[..., 0]
    for index in range(len(poses)):
        yield Mesh(skinned_motion(body, binding, poses[index]).points(rest).numpy(), mesh.faces)


def record(folder: Path, gender: str, poses: BodyParams, meshes, cameras: Cameras) -> Capture:
    """A capture of masks alone."""
    names = [f"{frame:05d}" for frame in range(len(poses))]
    with publishing(folder / MANIFEST_NAME) as draft:
        for name, mesh in zip(names, meshes, strict=True):
            for camera, view in zip(cameras.names, render_views(mesh, cameras), strict=True):
                write_image(draft / "masks" / name / f"{camera}.png", view.alpha[0])
        entries = write_frames(draft, poses, names, np.arange(len(poses)) / 30)
        entries |= write_cameras(draft, {"train": cameras})
        Manifest("person", gender, provenance={}, masks="masks", **entries).save(draft / MANIFEST_NAME)
    return Capture.load(folder)


def capture_of(kind: str, folder: Path, bodies: dict[str, Body], gender: str, seed: int) -> Capture:
    """The "scan" or the "video" of one person."""
    body = bodies[gender]
    start, mesh = dressed(body, gender, seed)
    if kind == "scan":
        return record(folder, gender, start, [mesh], rig("train", 24, 512, 2.0, 60.0))
    poses, round_about = walking(start, 36), orbit([10], np.arange(6) * 60, 3.4, 40, 384, 384)
    return record(folder, gender, poses, carried(body, start, mesh, poses), round_about)


def cases(capture: Capture, bodies: dict[str, Body]):
    """(name, expected cause, mistake, body that the check is given) of everything that is tried."""
    gender = capture.gender
    for name, mistake in TROUBLE.items():
        yield name, "", mistake, gender
    more = VIDEO_MISTAKES if len(capture.frames) > 1 else {}
    for name, (cause, mistake) in (MISTAKES | more).items():
        yield name, cause, mistake, gender
    for other in bodies.keys() - {gender}:
        yield f"body of another gender ({'neutral' if other == 'neutral' else 'opposite'})", "gender", TROUBLE["nothing"], other


def tried(kind: str, person: str, capture: Capture, bodies: dict[str, Body], only) -> list[dict]:
    """A row for each case, or those that `only` names: what was expected and found, how sure, and how long it took."""
    rows = []
    for name, expected, mistake, given in cases(capture, bodies):
        if only and name not in only:
            continue
        with tempfile.TemporaryDirectory() as folder:
            wrong = Capture.load(write_mistaken(capture, bodies[capture.gender], mistake, Path(folder)))
            started = time.process_time()
            table, scene = measure(wrong, bodies[given], 12, 48)
            others = {gender: body for gender, body in bodies.items() if gender != given}
            finding = diagnose(wrong, scene, table, others, Tolerance())
            seconds = time.process_time() - started
            said = warnings(scene, table, Tolerance())
        middle = table.median(numeric_only=True)
        rows.append({
            "kind": kind, "person": person, "case": name, "expected": expected,
            "found": finding.cause if finding else "", "seconds": seconds, "warned": bool(said),
            **{measure_: float(middle[measure_]) for measure_ in MEASURES},
            **(finding.evidence if finding else {}),
        })  # fmt: skip
    return rows


def summary(rows: pd.DataFrame) -> str:
    """Markdown: each case with how often it was found right, and the medians' range."""
    lines = ["| capture | case | expected | right | agreement | outside | processor s |", "| --- | --- | --- | ---: | ---: | ---: | ---: |"]
    for (kind, case), part in rows.groupby(["kind", "case"], sort=False):
        right = int((part["found"] == part["expected"]).sum())
        expected = part["expected"].iloc[0] or ("pass, warned" if part["warned"].all() else "pass")
        spans = (f"{part[name].min():.2f}–{part[name].max():.2f}" for name in ("agreement", "outside"))
        lines.append(f"| {kind} | {case} | {expected} | {right}/{len(part)} | {' | '.join(spans)} | {part['seconds'].median():.1f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bodies", type=Path, default=Path("results/body"), help="folder of SMPLX_*.npz, all three")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--kinds", nargs="+", choices=["scan", "video"], default=["scan", "video"])
    parser.add_argument("--cases", nargs="+", help="names of cases, as the table has them; all unless given")
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks/alignment"))
    options = parser.parse_args()
    bodies = {gender: Body(options.bodies / f"SMPLX_{gender.upper()}.npz") for gender in (*GENDERS, "neutral")}
    options.out.mkdir(parents=True, exist_ok=True)
    rows: list[dict] = []
    for kind, seed, gender in product(options.kinds, options.seeds, GENDERS):
        with tempfile.TemporaryDirectory() as folder:
            capture = capture_of(kind, Path(folder), bodies, gender, seed)
            rows += tried(kind, f"{gender} {seed}", capture, bodies, options.cases)
        pd.DataFrame(rows).to_csv(options.out / "alignment.csv", index=False)
        (options.out / "alignment.md").write_text(summary(pd.DataFrame(rows)))
    print(summary(pd.DataFrame(rows)))


if __name__ == "__main__":
    main()
