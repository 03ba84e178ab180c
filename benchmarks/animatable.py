"""How fast an animatable avatar trains and moves here, and what it looks like after how long.

$ python -m benchmarks.animatable --capture results/vic/normalize/capture.json --body results/body/SMPLX_MALE.npz \\
      --weights results/vic/animatable/weights/weights.json --preset full

Times iterations with one and more cameras, compiled and not; trains with a preset's numbers and scores held-out cameras on the
way, in poses that training saw and in novel ones; trains the baseline that only skins; times drawing, on CUDA. PSNR is of whole
8-bit images over white. Seconds of training are wall time without the scoring; compiling is in them, reading images is not.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
import tyro
import yaml
from rich.console import Console
from rich.table import Table

from avatarpipe.body.model import Body
from avatarpipe.body.params import BodyParams
from avatarpipe.capture.capture import Capture
from avatarpipe.capture.frame_split import FrameSplit, frame_split
from avatarpipe.config import merge
from avatarpipe.devices import chosen_device
from avatarpipe.evaluation.metrics import psnr
from avatarpipe.files import write_json
from avatarpipe.gaussians.render import render
from avatarpipe.images import write_image
from avatarpipe.methods.animatable.avatar import AnimatableAvatar
from avatarpipe.methods.animatable.beginning import Beginning, matching_volume
from avatarpipe.methods.animatable.realtime import Performer
from avatarpipe.methods.animatable.settings import AnimatableSettings, animatable_settings
from avatarpipe.methods.animatable.stage import AnimatableStage
from avatarpipe.methods.animatable.variants import variant_settings

PRESETS = Path(__file__).parents[1] / "config" / "presets"
TIMED = 60  # iterations
FRAMES_DRAWN = 500


@dataclass
class Options:
    """What to measure, and on what."""

    capture: Path
    """The normalised capture.json of a video."""
    body: Path
    """The SMPLX_*.npz it was fitted with."""
    weights: Path
    """The weights.json of its volume of skinning weights."""
    preset: str = "full"
    """Whose numbers: a file in config/presets."""
    settings: str = "{}"
    """YAML of settings that differ from the preset's."""
    cameras: tuple[int, ...] = (1, 4, 8)
    """Cameras an iteration, each timed."""
    score_at: tuple[int, ...] = (250, 500, 1000, 2000, 4000, 8000, 16000, 32000)
    """Iterations after which the avatar is scored; the last always is."""
    parts: tuple[str, ...] = ("iterations", "training", "skinned", "drawing")
    """Which measurements to make."""
    seed: int = 0
    device: str = "auto"
    output: Path = Path("results/benchmarks/animatable")
    """Folder of animatable.json, the pictures and the avatar."""


def main(options: Options) -> None:
    """Measure, print and write."""
    bench = Bench(options)
    found: dict = {"device": bench.device_name, "settings": repr(bench.settings)}
    made = {"iterations": bench.iterations, "training": bench.training, "skinned": bench.skinned, "drawing": bench.drawing}
    for part in options.parts:
        found[part] = made[part]()
        write_json(options.output / "animatable.json", found)


class Bench:
    """The subject, read once, and the measurements."""

    def __init__(self, options: Options):
        self.options, self.console = options, Console(width=120)
        self.device = chosen_device(options.device)
        cuda = self.device.type == "cuda"
        self.device_name = torch.cuda.get_device_name() if cuda else "cpu"
        self.capture, self.body = Capture.load(options.capture), Body(options.body)
        self.split = frame_split(self.capture)
        self.settings = _settings(options)
        self.held_out = HeldOut(self.capture, self.split, self.device)
        legs = self.settings.model.legs_apart_deg
        self.volume = matching_volume(options.weights, options.body, self.capture.poses.betas[0], legs)
        self.views = None
        self.avatar: AnimatableAvatar | None = None

    def stage(self, settings: AnimatableSettings) -> AnimatableStage:
        """A training that shares the images that others have read."""
        begun = Beginning(self.capture, self.split, self.body, self.volume, settings, self.options.seed, self.device)
        stage = begun.stage(None)
        if self.views is None:
            self.views = stage.views
            for step in range(len(self.split.train)):
                self.views.batch(step, len(self.views.names), self.options.seed)
        stage.views = self.views
        return stage

    def iterations(self) -> list[dict]:
        """Milliseconds an iteration, with the bases on, without and with colours that depend on the view."""
        rows = []
        for cameras in self.options.cameras:
            for compiled in (False, True) if self.device.type == "cuda" else (False,):
                for harmonics in (False, True):
                    settings = replace(
                        self.settings, cameras_per_step=cameras, compiled=compiled, bases_from=0,
                        harmonics_from=0 if harmonics else self.settings.iterations,
                    )  # fmt: skip
                    stage = self.stage(settings)
                    rows.append(
                        {"cameras": cameras, "compiled": compiled, "view-dependent": harmonics}
                        | _timed(stage.step, TIMED, self.device)
                    )
                    self._show("an iteration", rows)
        return rows

    def training(self) -> list[dict]:
        """PSNR against seconds."""
        rows, self.avatar = self._trained(self.settings, "full")
        self.avatar.save(self.options.output / "avatar")
        self.held_out.picture(self.avatar, self.options.output / "held_out.png")
        return rows

    def skinned(self) -> list[dict]:
        """The same of the baseline that only skins."""
        return self._trained(variant_settings(self.settings, "skinned"), "skinned")[0]

    def _trained(self, settings: AnimatableSettings, name: str) -> tuple[list[dict], AnimatableAvatar]:
        rows, seconds, stage = [], 0.0, self.stage(settings)
        _reset_peak(self.device)
        wanted = {*self.options.score_at, settings.iterations}
        began = time.perf_counter()
        for step in range(settings.iterations):
            stage.step(step)
            if step + 1 not in wanted:
                continue
            _finish(self.device)
            seconds += time.perf_counter() - began
            avatar = stage.avatar(self.capture.subject, step + 1, {})
            rows.append({"iteration": step + 1, "seconds": round(seconds, 1)} | self.held_out.score(avatar))
            rows[-1]["peak GiB"] = _peak(self.device)
            self._show(f"training, {name}", rows)
            began = time.perf_counter()
        return rows, avatar

    def drawing(self) -> list[dict]:
        """Frames a second at the capture's size, one held-out camera, all poses of the video again and again."""
        avatar = self.avatar
        if avatar is None:
            avatar = self.stage(self.settings).avatar(self.capture.subject, self.settings.iterations, {})
        if self.device.type != "cuda":
            return []
        rows = []
        for precision in (torch.float32, torch.float16):
            rows += self._drawn(avatar, precision)
            self._show("drawing", rows)
        return rows

    def _drawn(self, avatar: AnimatableAvatar, precision: torch.dtype) -> list[dict]:
        cameras, poses = self.capture.cameras("test"), self.capture.poses
        w2c, K = cameras.w2c[0], cameras.K[0]
        torch.cuda.empty_cache()
        performer = Performer(avatar, cameras.width, cameras.height, precision=precision)
        bodies = [poses[k % len(poses)] for k in range(FRAMES_DRAWN)]
        host = torch.empty(cameras.height, cameras.width, 3, dtype=torch.uint8, pin_memory=True)

        def draw(k: int) -> None:
            host.copy_(performer.draw(bodies[k % FRAMES_DRAWN], w2c, K), non_blocking=True)

        def draw_and_wait(k: int) -> None:
            draw(k)
            torch.cuda.synchronize()

        rows = []
        for mode, one in (("each frame waited for", draw_and_wait), ("one after the other", draw)):
            timed = _timed(one, FRAMES_DRAWN, self.device)
            rows.append({"precision": str(precision), "mode": mode, "FPS": round(1e3 / timed["ms"])} | timed)
        rows[0] |= self.held_out.score_of(lambda body, w2c, K: performer.draw(body, w2c, K).float() / 255.0)
        return rows

    def _show(self, title: str, rows: Sequence[dict]) -> None:
        table = Table(title=title)
        for column in rows[-1]:
            table.add_column(column)
        table.add_row(*(str(value) for value in rows[-1].values()))
        self.console.print(table)


class HeldOut:
    """Photographs of the held-out cameras, over white: every eighth training frame, every third novel one."""

    def __init__(self, capture: Capture, split: FrameSplit, device):
        self.capture, self.device, self.cameras = capture, device, capture.cameras("test")
        self.frames = {"seen": split.train[::8], "novel": split.novel[::3]}
        self.images = {name: [self._read(frame) for frame in frames] for name, frames in self.frames.items()}

    def _read(self, frame: str) -> torch.Tensor:
        """(C, H, W, 3) bytes."""
        views = []
        for camera in self.cameras.names:
            alpha = self.capture.mask(camera, frame)[..., None]
            views.append(self.capture.image(camera, frame) + 1.0 - alpha)
        return torch.from_numpy((np.stack(views) * 255.0 + 0.5).astype(np.uint8)).to(self.device)

    def _body(self, frame: str) -> BodyParams:
        return self.capture.poses[self.capture.frame_names.index(frame)]

    @torch.no_grad()
    def score_of(self, draw: Callable) -> dict[str, float]:
        """Mean PSNR by split of what draw(body, w2c, K) -> (H, W, 3) gives."""
        means = {}
        for name, frames in self.frames.items():
            found = []
            for frame, images in zip(frames, self.images[name], strict=True):
                for image, w2c, K in zip(images, self.cameras.w2c, self.cameras.K, strict=True):
                    drawn = (draw(self._body(frame), w2c, K).clamp(0.0, 1.0) * 255.0 + 0.5).byte()
                    found.append(psnr(drawn / 255.0, image / 255.0))
            means[name] = round(float(np.mean(found)), 2) if found else float("nan")
        return means

    def score(self, avatar: AnimatableAvatar) -> dict[str, float]:
        """The same of an avatar, posed and rendered."""
        return self.score_of(self._drawer(avatar))

    def _drawer(self, avatar: AnimatableAvatar) -> Callable:
        white, size = torch.ones(3, device=self.device), (self.cameras.width, self.cameras.height)

        def draw(body: BodyParams, w2c: np.ndarray, K: np.ndarray) -> torch.Tensor:
            camera = (torch.from_numpy(x)[None].to(self.device) for x in (w2c, K))
            return render(avatar.pose(body), (*camera, *size), white, near=0.1).rgb[0]

        return draw

    @torch.no_grad()
    def picture(self, avatar: AnimatableAvatar, path: Path) -> None:
        """Photograph and rendering side by side, three poses of each split."""
        draw, rows = self._drawer(avatar), []
        for name, frames in self.frames.items():
            for frame, images in list(zip(frames, self.images[name], strict=True))[:3]:
                shown = draw(self._body(frame), self.cameras.w2c[0], self.cameras.K[0]).clamp(0.0, 1.0)
                rows.append(np.hstack([images[0].cpu().numpy() / 255.0, shown.cpu().numpy()]))
        write_image(path, np.vstack(rows).astype(np.float32))


def _settings(options: Options) -> AnimatableSettings:
    preset = yaml.safe_load((PRESETS / f"{options.preset}.yaml").read_text()).get("animatable", {})
    known = {field.name for field in fields(AnimatableSettings)}
    preset = {key: value for key, value in preset.items() if key in known}
    return animatable_settings(merge(preset, yaml.safe_load(options.settings)))


def _timed(call: Callable[[int], object], count: int, device) -> dict:
    """Milliseconds a call after ten that warm up, the seconds that those took, and peak memory."""
    began = time.perf_counter()
    for k in range(10):
        call(k)
    _finish(device)
    _reset_peak(device)
    warm = time.perf_counter()
    for k in range(count):
        call(10 + k)
    _finish(device)
    took = (time.perf_counter() - warm) / count
    return {"ms": round(took * 1e3, 3), "warm-up s": round(warm - began, 1), "peak GiB": _peak(device)}


def _finish(device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def _reset_peak(device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()


def _peak(device) -> float | None:
    return round(torch.cuda.max_memory_allocated() / 2**30, 2) if device.type == "cuda" else None


if __name__ == "__main__":
    main(tyro.cli(Options))
