"""What guidance is configured with: which model, asked how, from where. `layered.guidance` of the configuration."""

from dataclasses import dataclass, field
from typing import Literal

from avatarpipe.guidance.cameras import CameraSettings
from avatarpipe.guidance.schedule import TimestepSchedule, Weighting


@dataclass(frozen=True)
class GuidanceSettings:
    """Of all stages; each stage adds its own weight, views and prompt. Defaults are the published numbers."""

    model: str = ""
    """A folder in the layout of diffusers, a folder of our own prior, or a hub id in the local cache; empty for none."""
    controlnet: str = ""
    """The openpose ControlNet, likewise; our own prior needs none."""
    vae: str = ""
    """A VAE or tiny VAE in place of the model's own."""
    dtype: Literal["bf16", "fp16", "fp32"] = "bf16"
    compiled: bool = False
    """Compile the networks: a minute or two at the start, then a third faster."""
    guidance_scale: float = 12.0
    """Of classifier-free guidance."""
    controlnet_scale: float = 1.0
    guess_mode: bool = True
    """The skeleton speaks to the conditional branch only."""
    timesteps: tuple[float, float] = (0.02, 0.98)
    """Lowest and highest, as shares of all."""
    timestep_schedule: TimestepSchedule = "uniform"
    annealed_to: float = 0.5
    """Highest timestep at the end of an annealed schedule, as a share of all."""
    weighting: Weighting = "published"
    supersample: int = 2
    """Rendered pixels a side for each pixel the model sees."""
    arms_lowered_probability: float = 0.5
    """How often the arms are lowered rather than horizontal."""
    cameras: CameraSettings = field(default_factory=CameraSettings)
