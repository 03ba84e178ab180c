"""A synthetic multi-view video: who, which motion, which cameras; and its truth beside the recording."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from avatarpipe.body.model import Body, BodyParams
from avatarpipe.capture.frames import frame_name
from avatarpipe.datasets.writers.recording import RawRecording
from avatarpipe.errors import InputError
from avatarpipe.files import atomic_file, write_json
from avatarpipe.images import write_labels
from avatarpipe.synthetic.cast import make_cast, posed_bodies
from avatarpipe.synthetic.choreography import NOVEL, TRAINING, motion
from avatarpipe.synthetic.footage import SHEETS, Footage
from avatarpipe.synthetic.person import Detail
from avatarpipe.synthetic.stage import stage_cameras
from avatarpipe.synthetic.traits import Traits

SHUTTER = 30  # frames a second that frame numbers count
WRITTEN = {"shoes": "shoe", "lower": "lower", "upper": "upper", "hair": "hair"}
DETAILS = {
    "full": Detail(0.008, 0.0055, 2048, 1, 24),
    "fine": Detail(0.006, 0.0045, 4096, 1, 48),
    "draft": Detail(0.014, 0.009, 1024, 1, 12),
}
RAYS = {"full": 12, "fine": 24, "draft": 6}  # a vertex and frame, for the light
_LENS = np.array([0.06, 0.02, 0.0005, 0.0005, 0.0])  # scale of k1 k2 p1 p2 k3


@dataclass(frozen=True)
class Plan:
    """What is recorded."""

    frames: int
    """Frames to train on."""
    novel_frames: int
    """Frames after them, of poses that the others never take."""
    cameras: int
    test_cameras: int
    """How many of the cameras are held out."""
    size: int
    """Height and width of the images."""
    fps: int
    distortion: float
    """0 for pinholes; 1 bends lines by some pixels."""
    supersample: int

    def __post_init__(self):
        if SHUTTER % self.fps:
            raise InputError(f"fps {self.fps}: {SHUTTER} must be a multiple of it.")
        if self.frames < 2 or self.novel_frames < 0:
            raise InputError(
                f"{self.frames} + {self.novel_frames} frames: give 2 or more, and 0 or more."
            )
        if not 0 <= self.test_cameras < self.cameras:
            raise InputError(
                f"{self.test_cameras} of {self.cameras} cameras held out: some must stay."
            )

    @property
    def numbers(self) -> tuple[int, ...]:
        """Frame numbers, SHUTTER to a second."""
        step = SHUTTER // self.fps
        return tuple(step * k for k in range(self.frames + self.novel_frames))

    @property
    def held_out(self) -> list[int]:
        """Positions of the held-out cameras, spread over the ring."""
        return [int((k + 0.5) * self.cameras / self.test_cameras) for k in range(self.test_cameras)]


def plan_motion(body: Body, traits: Traits, plan: Plan) -> BodyParams:
    """The bodies of all frames: those to train on, then the novel ones."""
    first = motion(body, traits.betas, TRAINING, plan.frames, plan.fps, traits.seed)
    if not plan.novel_frames:
        return first
    second = motion(body, traits.betas, NOVEL, plan.novel_frames + 1, plan.fps, traits.seed + 1)
    second = second[
        list(range(1, plan.novel_frames + 1))
    ]  # its first is everyone's first: standing
    return BodyParams(**{
        name: torch.cat([value, getattr(second, name)]) for name, value in first.items()
    })  # fmt: skip


def prepare(footage: Footage, body: Body, traits: Traits, plan: Plan, detail: str) -> BodyParams:
    """Dress the person and place the cameras, unless that is done; returns the bodies of all frames."""
    poses = plan_motion(body, traits, plan)
    if not footage.ready:
        cast, dressing = make_cast(body, traits, DETAILS[detail])
        bodies = posed_bodies(body, poses, dressing)
        reach = np.concatenate([posed.skin[::7] for posed in bodies])
        cameras = stage_cameras(plan.cameras, plan.size, reach, traits.seed)
        footage.prepare(cast, bodies, cameras, plan.supersample, RAYS[detail])
    return poses


def recording(
    footage: Footage, poses: BodyParams, gender: str, plan: Plan, seed: int, threads: int = 1
) -> RawRecording:
    """The footage as any writer takes it."""
    cameras = footage.cameras
    rng = np.random.default_rng([seed, 41])
    bend = plan.distortion * rng.uniform(-1.0, 1.0, (len(cameras), 5)) * _LENS
    bend[:, 0] = -np.abs(bend[:, 0])  # barrels, as wide lenses are
    return RawRecording(
        cameras, bend, plan.numbers, float(plan.fps), poses, gender,
        image=lambda f, c: footage.image(f, cameras.names[c]),
        mask=lambda f, c: footage.gray(f, cameras.names[c], "mask"), threads=threads,
    )  # fmt: skip


def write_truth(folder: Path, footage: Footage, poses: BodyParams, plan: Plan) -> dict[str, str]:
    """Bodies, the moving sheets of each layer, and label maps of held-out cameras and novel frames; name -> path."""
    files = {"body_poses": "body_poses.npz"}
    poses.save(folder / files["body_poses"])
    sheets = [footage.cloth(index) for index in range(len(poses))]
    cast = footage.cast
    for name in SHEETS:
        files[f"moving_{WRITTEN[name]}"] = f"moving_{WRITTEN[name]}.npz"
        with atomic_file(folder / files[f"moving_{WRITTEN[name]}"]) as temporary:
            np.savez(
                temporary, vertices=np.stack([sheet[name] for sheet in sheets]),
                faces=cast.person.rigs[name].outer.astype(np.int32), frames=np.array(plan.numbers),
            )  # fmt: skip
    files["labels"] = _write_labels(folder, footage, plan)
    files["split"] = "split.json"
    write_json(folder / files["split"], split(plan, footage.cameras.names))
    return files


def _write_labels(folder: Path, footage: Footage, plan: Plan) -> str:
    """Label maps and labels.json, which gives the path of each by frame and camera."""
    names, listed = footage.cameras.names, {}
    for index, number in enumerate(plan.numbers):
        frame = frame_name(number)
        (folder / "labels" / frame).mkdir(parents=True, exist_ok=True)
        chosen = range(len(names)) if index >= plan.frames else plan.held_out
        listed[frame] = {names[c]: f"labels/{frame}/{names[c]}.png" for c in chosen}
        for camera, path in listed[frame].items():
            write_labels(folder / path, footage.gray(index, camera, "labels"))
    write_json(folder / "labels.json", listed)
    return "labels.json"


def split(plan: Plan, names: tuple[str, ...]) -> dict:
    """Frames and cameras by their part, called as in a capture."""
    frames = [frame_name(number) for number in plan.numbers]
    test = [names[c] for c in plan.held_out]
    return {
        "train_frames": frames[: plan.frames],
        "novel_frames": frames[plan.frames :],
        "train_cameras": [name for name in names if name not in test],
        "test_cameras": test,
    }
