"""What the inner layer guesses under the garment, given no prior, the surface prior, a diffusion prior of our own, or both.

$ python -m benchmarks.prior --capture results/ada/segment/capture.json --body results/body/SMPLX_FEMALE.npz \
    --prior results/prior --preset full

Trains the single stage once, then the inner stage four times from it, on a synthetic subject, and compares the inner layer
with the true undressed body on the held-out cameras. Writes prior.md, prior.json and prior.png: a row a view (front, back,
left, right), columns clothed, truth, and the four guesses. The prior must not have met the subject: the command says no
where its manifest does not exclude the subject's seed.
"""

import logging
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import tyro
import yaml
from scipy.spatial.transform import Rotation

from avatarpipe.avatar import Avatar
from avatarpipe.body.model import Body
from avatarpipe.capture.capture import Capture
from avatarpipe.devices import chosen_device
from avatarpipe.errors import InputError
from avatarpipe.evaluation.hidden import hidden_rows
from avatarpipe.evaluation.rendering import render_views
from avatarpipe.files import read_json, write_json
from avatarpipe.guidance.cameras import Zoom, Zooms
from avatarpipe.guidance.prior_model import MANIFEST
from avatarpipe.guidance.settings import GuidanceSettings
from avatarpipe.images import write_image
from avatarpipe.mesh.mesh import Mesh, load_mesh
from avatarpipe.methods.layered.guided import stage_guidance
from avatarpipe.methods.layered.settings import StageSettings, stage_settings
from avatarpipe.methods.layered.stages import StageInputs, inner_stage, single_stage, stage_avatar
from avatarpipe.skinned_avatar import SkinnedAvatar
from benchmarks.stages import PRESETS, coarse_garment, held_out_scores

WAYS = ("none", "surface", "diffusion", "both")
SIDES = {"front": 0.0, "back": 180.0, "left": 90.0, "right": -90.0}
log = logging.getLogger(__name__)


@dataclass
class Options:
    """What to compare, and how much each prior counts."""

    capture: Path
    """The segmented capture.json of a synthetic subject."""
    body: Path
    """The SMPLX_*.npz it was fitted with."""
    prior: Path
    """The folder of the prior's prior.json."""
    seed_of_subject: int = 1
    """The subject's own seed, which the prior must have excluded."""
    single: Path | None = None
    """A trained avatar.json of the single stage; trained here where there is none."""
    garment_mesh: Path | None = None
    """Its garment.ply; fused here where there is none."""
    preset: str = "demo"
    """Whose numbers: a file in config/presets."""
    ways: tuple[str, ...] = WAYS
    guidance_weight: float = 1.0e-3
    guidance_scale: float = 1.0
    guidance_from: int = 100
    views: int = 8
    every: int = 1
    """Iterations from one guided one to the next: 5, with 2 views, is bearable on a CPU."""
    timesteps: tuple[float, float] = (0.02, 0.98)
    """Lowest and highest, as shares of all."""
    annealed_to: float = 0.5
    """Highest timestep at the end, as a share; 0.98 for no annealing."""
    skin_weight: float = 0.2
    """Of the surface prior where both are asked; alone it has the preset's weight."""
    garment: str = "upper"
    out: Path = Path("results/benchmarks/prior")
    device: str = "auto"


def way_settings(way: str, base: StageSettings, options: Options) -> StageSettings:
    """The inner stage's settings for one of WAYS."""
    surface = {"none": 0.0, "surface": base.skin_weight, "diffusion": 0.0, "both": options.skin_weight}[way]
    settings = replace(base, skin_weight=surface, guidance_weight=0.0)
    if way in ("none", "surface"):
        return settings
    guidance = GuidanceSettings(
        model=str(options.prior), guidance_scale=options.guidance_scale, timesteps=options.timesteps,
        timestep_schedule="annealed", annealed_to=options.annealed_to,
    )  # fmt: skip
    return replace(
        settings, guidance=guidance, guidance_weight=options.guidance_weight, guidance_views=options.views,
        guidance_every=options.every, guidance_from=options.guidance_from,
        guidance_zooms=Zooms(upper=Zoom(0.35), legs=Zoom(0.1)),
    )  # fmt: skip


def checked_prior(options: Options) -> dict:
    """The prior's manifest; InputError where it may have met the subject."""
    manifest = read_json(options.prior / MANIFEST)
    excluded = manifest["provenance"]["config"]["exclude"]
    if options.seed_of_subject not in excluded:
        raise InputError(
            f"{options.prior / MANIFEST}: trained without --exclude {options.seed_of_subject}, so this subject may "
            "have been in its training. Train it again with that seed excluded."
        )
    return manifest


def trained(stage) -> float:
    """Run all iterations; wall seconds."""
    start = time.perf_counter()
    for step in range(stage.settings.iterations):
        stage.step(step)
    stage.finish()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def starting_point(
    options: Options, capture: Capture, body: Body, preset: dict, device
) -> tuple[SkinnedAvatar, Mesh]:
    """The single stage and its garment mesh, loaded or made."""
    if options.single is not None:
        avatar = replace(Avatar.load(options.single, device), body=body)
    else:
        settings = stage_settings(preset["layered"]["single"])
        stage = single_stage(StageInputs(capture, body, options.garment, settings, 0, device))
        log.info("single stage: %.0f s", trained(stage))
        avatar = stage_avatar(stage, "single", capture.subject, {})
    if options.garment_mesh is not None:
        return avatar, load_mesh(options.garment_mesh)
    return avatar, coarse_garment(avatar, options, capture, preset["mesh"])


def one_way(way: str, options: Options, capture: Capture, body: Body, start, base, device):
    """The avatar that a way leaves, and its row of the table."""
    inputs = StageInputs(capture, body, options.garment, way_settings(way, base, options), 0, device)
    inputs.guidance = stage_guidance("inner", inputs)
    stage = inner_stage(inputs, *start)
    seconds = trained(stage)
    avatar = stage_avatar(stage, "inner", capture.subject, {})
    return avatar, {"prior": way, "seconds": seconds} | scores(avatar, capture, options.garment)


@torch.no_grad()
def scores(avatar: SkinnedAvatar, capture: Capture, garment: str) -> dict[str, float]:
    """Mean over the held-out views of the hidden PSNR, and of the composite's PSNR."""
    device = avatar.body.device
    rows = list(hidden_rows(avatar, capture, "test", garment, lambda items, *_: items, device))
    named = {name: [r["value"] for r in rows if r["metric"] == name] for name in ("hidden_psnr", "hidden_psnr_full")}
    means = {name: float(np.mean(values)) for name, values in named.items()}
    return means | {"hidden_views": len(named["hidden_psnr"]), "composite_psnr": held_out_scores(avatar, capture)["psnr"]}


def side_cameras(capture: Capture) -> list[int]:
    """Indices of the held-out cameras that look most nearly from each of SIDES."""
    heading = Rotation.from_rotvec(capture.poses[0].global_orient[0].cpu().numpy())
    local = heading.inv().apply(capture.cameras("test").centres)
    azimuths = np.degrees(np.arctan2(local[:, 0], local[:, 2]))
    elevations = np.degrees(np.arctan2(local[:, 1], np.hypot(local[:, 0], local[:, 2])))
    off = [np.abs((azimuths - side + 180) % 360 - 180) + 0.5 * np.abs(elevations) for side in SIDES.values()]
    return [int(np.argmin(x)) for x in off]


@torch.no_grad()
def sheet(avatars: list[SkinnedAvatar], capture: Capture, garment: str) -> np.ndarray:
    """(H, W, 3): a row a side; clothed, truth, then each avatar's inner layer, cropped to the person."""
    cameras, chosen = capture.cameras("test"), side_cameras(capture)
    columns = [
        [capture.image(cameras.names[i]) for i in chosen],
        [capture.hidden_image(cameras.names[i], garment) for i in chosen],
    ]
    for avatar in avatars:
        cloud = avatar.pose(avatar.captured, ["inner"])
        columns.append([view.rgb.cpu().numpy() for view in render_views(cloud, cameras[np.array(chosen)])])
    shown = np.stack([capture.mask(cameras.names[i]) > 0 for i in chosen]).any(axis=0)
    rows, lines = (np.flatnonzero(shown.any(axis=axis)) for axis in (1, 0))
    crop = (slice(rows[0], rows[-1] + 1), slice(lines[0], lines[-1] + 1))
    return np.concatenate(
        [np.concatenate([column[k][crop] for column in columns], axis=1) for k in range(len(chosen))], axis=0
    )


def markdown(result: dict) -> str:
    """The table of the four ways."""
    lines = [
        f"{result['subject']}, {result['image']} px, preset {result['preset']}, {result['machine']}; "
        f"prior of {result['prior']['image_size']} px trained on {result['prior']['trained_on']} pictures", "",
        "| prior | hidden PSNR | inner layer, full frame | composite PSNR | seconds |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]  # fmt: skip
    lines += [
        f"| {row['prior']} | {row['hidden_psnr']:.2f} | {row['hidden_psnr_full']:.2f} "
        f"| {row['composite_psnr']:.2f} | {row['seconds']:.0f} |"
        for row in result["rows"]
    ]
    return "\n".join([*lines, ""])


def run(options: Options) -> dict:
    """All ways; writes the sheet and returns the figures."""
    manifest, device = checked_prior(options), chosen_device(options.device)
    preset = yaml.safe_load((PRESETS / f"{options.preset}.yaml").read_text())
    capture, body = Capture.load(options.capture), Body(options.body, device)
    base = stage_settings(preset["layered"]["inner"])
    start = starting_point(options, capture, body, preset, device)
    avatars, rows = [], []
    for way in options.ways:
        avatar, row = one_way(way, options, capture, body, start, base, device)
        avatars.append(avatar)
        rows.append(row)
        log.info("%s", row)
    options.out.mkdir(parents=True, exist_ok=True)
    write_image(options.out / "prior.png", sheet(avatars, capture, options.garment))
    machine = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    return {
        "subject": capture.subject, "image": capture.cameras("test").height, "preset": options.preset,
        "machine": f"{machine}, torch {torch.__version__}", "prior": manifest, "rows": rows,
        "guidance": {k: getattr(options, k) for k in ("guidance_weight", "guidance_scale", "skin_weight", "views", "every")},
    }  # fmt: skip


def main() -> None:
    """The command line."""
    options = tyro.cli(Options)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    result = run(options)
    write_json(options.out / "prior.json", result)
    (options.out / "prior.md").write_text(markdown(result))
    log.info("%s", markdown(result))


if __name__ == "__main__":
    main()
