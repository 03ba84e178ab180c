"""How long one step of score distillation takes here, by parts, with networks of Stable Diffusion 1.5's full size.

$ python -m benchmarks.guidance --body results/body/SMPLX_FEMALE.npz --compiled

The networks (UNet, openpose ControlNet, tiny VAE) are built from their configurations with random weights, which take as long
as trained ones; nothing is downloaded. Surfels lie on the body. Seconds are medians of wall time; of the parts, each waits for
the device before and after, so that together they take longer than the whole step does.
"""

import logging
import statistics
import time
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
import tyro
from torch.nn.attention import SDPBackend, sdpa_kernel

from avatarpipe.body.model import Body
from avatarpipe.body.params import BodyParams
from avatarpipe.body.skinning import bind, canonical_vertices, skinned_motion
from avatarpipe.devices import chosen_device
from avatarpipe.files import write_json
from avatarpipe.gaussians.render import render
from avatarpipe.guidance.cameras import CameraSettings, Zooms, part_centres, sample_views
from avatarpipe.guidance.distillation import ScoreDistillation, StageGuidance
from avatarpipe.guidance.load import DTYPES
from avatarpipe.guidance.poses import CANONICAL, guidance_poses
from avatarpipe.guidance.randomness import Purpose, numbers
from avatarpipe.guidance.settings import GuidanceSettings
from avatarpipe.guidance.skeleton import draw_skeletons, figure
from avatarpipe.guidance.stable_diffusion import StableDiffusion
from avatarpipe.guidance.words import with_views
from avatarpipe.methods.layered.initial import surface_surfels
from avatarpipe.skinned_avatar import SkinnedLayer
from benchmarks.clock import Clock, machine

FULL = {"widths": (320, 640, 1280, 1280), "text": 768, "groups": 32, "vae_width": 64, "hint": (16, 32, 96, 256)}
TINY = {"widths": (8, 16, 16, 16), "text": 12, "groups": 4, "vae_width": 8, "hint": (4, 4, 8, 8)}
TOKENS = 77
PARTS = ("pose", "cameras", "render", "skeleton", "encode", "networks", "encode backward", "render backward")
PROMPT = "a photo of a woman wearing a shirt"
ATTENTION = {
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "flash": SDPBackend.FLASH_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
}
log = logging.getLogger(__name__)


@dataclass
class Options:
    """What to measure."""

    body: Path
    """A SMPLX_*.npz."""
    surfels: int = 100_000
    views: int = 8
    """Images a step."""
    size: int = 512
    """Side of the images that the networks see; twice that is rendered."""
    dtype: Literal["bf16", "fp16", "fp32"] = "bf16"
    compiled: bool = False
    """Let torch.compile the networks first."""
    guess_mode: bool = True
    """The ControlNet runs for one of the two branches."""
    attention: Literal["auto", "cudnn", "flash", "efficient"] = "auto"
    """Which fused attention comes first."""
    tiny: bool = False
    """Networks a hundredth the size, to see that this program runs."""
    steps: int = 20
    """Repetitions, after `warmup`."""
    warmup: int = 5
    out: Path = Path("results/benchmarks/guidance")
    device: str = "auto"


def networks(size: int, shape: dict, dtype: torch.dtype, device: torch.device) -> tuple:
    """UNet, ControlNet, tiny VAE and scheduler of Stable Diffusion 1.5's architecture, weights random."""
    from diffusers import AutoencoderTiny, ControlNetModel, DDPMScheduler, UNet2DConditionModel

    both = {
        "cross_attention_dim": shape["text"], "attention_head_dim": 8 if shape is FULL else 2,
        "block_out_channels": shape["widths"], "norm_num_groups": shape["groups"],
    }  # fmt: skip
    torch.manual_seed(0)
    with device:
        unet = UNet2DConditionModel(sample_size=size // 8, **both)
        control = ControlNetModel(conditioning_embedding_out_channels=shape["hint"], **both)
        widths = (shape["vae_width"],) * 4
        vae = AutoencoderTiny(encoder_block_out_channels=widths, decoder_block_out_channels=widths)
    scheduler = DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    return *(torch.nn.Module.to(network, dtype) for network in (unet, control, vae)), scheduler


def random_model(options: Options, device: torch.device) -> StableDiffusion:
    """A DiffusionModel that knows nothing, as slow as one that does."""
    shape = TINY if options.tiny else FULL
    return StableDiffusion(
        *networks(options.size, shape, DTYPES[options.dtype], device),
        lambda prompts: torch.randn(len(prompts), TOKENS, shape["text"]),
        guess_mode=options.guess_mode, compiled=options.compiled,
    )  # fmt: skip


def covered_body(body: Body, count: int) -> SkinnedLayer:
    """`count` grey surfels on the canonical body, collecting gradients."""
    vertices = canonical_vertices(body).cpu().numpy()
    cloud = surface_surfels(vertices, body.faces, count, torch.full((3,), 0.5), 0).to(body.device)
    names = ("means", "quats", "scales", "opacities", "colors")
    leaves = {name: getattr(cloud, name).detach().requires_grad_() for name in names}
    return SkinnedLayer(replace(cloud, **leaves), bind(cloud.means, body))


def time_whole(distillation: ScoreDistillation, layer: SkinnedLayer, options: Options, clock: Clock) -> None:
    """Whole steps as a stage takes them, back to back; they go on the clock together."""
    for step in range(options.warmup):
        distillation.loss(layer, None, step).loss.backward()
    with clock.measure("whole steps"):
        for step in range(options.warmup, options.warmup + options.steps):
            distillation.loss(layer, None, step).loss.backward()


def time_parts(model: StableDiffusion, layer: SkinnedLayer, body: Body, options: Options, clock: Clock) -> None:
    """The same work piece by piece."""
    pose = guidance_poses(BodyParams.zeros().to(body.device))[CANONICAL]
    shown, motion = figure(body, pose), skinned_motion(body, layer.binding, pose)
    centres = part_centres(body.joints(pose)[0].cpu().numpy())
    generator = torch.Generator(body.device).manual_seed(0)
    for step in range(options.warmup + options.steps):
        with clock.measure("pose"):
            means, quats = motion.points(layer.cloud.means), motion.rotations(layer.cloud.quats)
            posed = replace(layer.cloud, means=means, quats=quats)
        with clock.measure("cameras"):
            rng = numbers(0, step, Purpose.VIEWS)
            views = sample_views(CameraSettings(), Zooms(), centres, step, options.views, 2 * options.size, rng)
        with clock.measure("render"):
            background = torch.rand(options.views, 3, generator=generator, device=body.device)
            rendering = render(posed, views.cameras, background)
            images = torch.nn.functional.avg_pool2d(rendering.rgb.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)
        with clock.measure("skeleton"):
            cameras = views.cameras.resized(options.size, options.size)
            skeletons = draw_skeletons(shown, *cameras.tensors(body.device), options.size)
        leaf = images.detach().requires_grad_()
        with clock.measure("encode"):
            latents = model.encode(leaf)
        t = torch.linspace(20, 980, options.views, device=body.device).long()
        with clock.measure("networks"):
            condition = model.condition(with_views(PROMPT, views.words), skeletons, "")
            noise = torch.randn(latents.shape, generator=generator, device=body.device)
            error = model.predict(latents.detach() + noise, t, condition) - noise
        with clock.measure("encode backward"):
            (gradient,) = torch.autograd.grad(latents, leaf, error)
        with clock.measure("render backward"):
            images.backward(1e-5 * gradient)


def run(options: Options) -> dict:
    """All figures."""
    device = chosen_device(options.device)
    body = Body(options.body, device)
    model, layer, clock = random_model(options, device), covered_body(body, options.surfels), Clock(device)
    stage = StageGuidance(weight=1e-5, iterations=1000, prompt=PROMPT, views=options.views)
    captured = BodyParams.zeros().to(device)
    chosen = nullcontext()
    if options.attention != "auto":
        order = [ATTENTION[options.attention], *ATTENTION.values(), SDPBackend.MATH]
        chosen = sdpa_kernel(list(dict.fromkeys(order)), set_priority=True)
    with chosen:
        began = time.perf_counter()
        distillation = ScoreDistillation(model, GuidanceSettings(), stage, body, captured, seed=0)
        distillation.loss(layer, None, 0).loss.backward()
        first = time.perf_counter() - began
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        time_whole(distillation, layer, options, clock)
        time_parts(model, layer, body, options, clock)
    parts = {name: 1e3 * statistics.median(clock.seconds[name][options.warmup :]) for name in PARTS}
    return {
        "machine": machine(device), "options": {k: str(v) for k, v in vars(options).items()},
        "whole_step_ms": 1e3 * clock.seconds["whole steps"][0] / options.steps, "parts_ms": parts, "first_step_s": first,
        "peak_gpu_gib": torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else None,
    }  # fmt: skip


def markdown(result: dict) -> str:
    """The table of one run."""
    given = result["options"]
    peak = "" if result["peak_gpu_gib"] is None else f"; peak {result['peak_gpu_gib']:.1f} GiB"
    lines = [
        f"{result['machine']}; {given['views']} views, {given['size']} px to the networks, {given['surfels']} surfels, "
        f"{given['dtype']}, compiled {given['compiled']}, guess mode {given['guess_mode']}, "
        f"attention {given['attention']}; first step {result['first_step_s']:.0f} s{peak}", "",
        "| part | ms |", "| --- | ---: |",
        *(f"| {name} | {result['parts_ms'][name]:.2f} |" for name in PARTS),
        f"| sum of the parts | {sum(result['parts_ms'].values()):.2f} |",
        f"| **whole step** | **{result['whole_step_ms']:.2f}** |", "",
    ]  # fmt: skip
    return "\n".join(lines)


def main(args: list[str] | None = None) -> None:
    """The command line."""
    options = tyro.cli(Options, args=args)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    result = run(options)
    options.out.mkdir(parents=True, exist_ok=True)
    write_json(options.out / "guidance.json", result)
    (options.out / "guidance.md").write_text(markdown(result))
    log.info("%s", markdown(result))


if __name__ == "__main__":
    main()
