"""The numbers of the three stages. Defaults are the published ones where the published system has them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from avatarpipe.guidance.cameras import Zooms
from avatarpipe.guidance.settings import GuidanceSettings
from avatarpipe.settings import build_settings
from avatarpipe.training.densify import DensifySettings
from avatarpipe.training.surfels import LearningRates

STAGES = ("single", "inner", "outer")


@dataclass(frozen=True)
class StageSettings:
    """What one stage is trained with. Weights multiply losses that are means over the pixels of a batch."""

    iterations: int = 10_000
    views_per_step: int = 1
    points: int = 300_000
    """Surfels at the start; on the body for single and inner, on the garment mesh for outer."""
    ssim_share: float = 0.2
    """Share of 1 - SSIM in the photometric loss; the rest is L1."""
    alpha_weight: float = 0.5
    """L1 between the rendered alpha and the mask."""
    normal_weight: float = 0.05
    normal_from: int = 3000
    """Iteration from which surfels are turned along the surface of the rendered depth."""
    distortion_weight: float = 0.1
    """Per metre: draws the surfels of a ray together."""
    distortion_from: int = 2000
    layer_weight: float = 1.0
    """L1 between the rendered layer channels and the label maps; inner and outer only."""
    skin_weight: float = 1.0
    """The skin prior on hidden parts of the body; inner only."""
    skin_offset: float = 0.001
    """Metres that hidden skin may leave the body surface before the prior pulls it back."""
    garment_distance: float = 0.02
    """Metres from the coarse garment mesh beyond which a surfel is dropped; outer only."""
    clearance: float = 0.004
    """Metres that the garment keeps off the body surface; inner and outer."""
    clearance_weight: float = 1.0
    max_scale: float = 0.02
    """Metres; larger standard deviations are clipped."""
    opacity_resets: tuple[int, ...] = ()
    """Iterations after which no opacity exceeds opacity_reset_to."""
    opacity_reset_to: float = 0.02
    rebind_every: int = 300
    """Iterations between look-ups of the surfels' closest points on the body."""
    checkpoint_every: int = 500
    guidance_weight: float = 0.0
    """Of the gradient in a diffusion model's latents, summed over latents and averaged over views; 0 for no guidance."""
    guidance_from: int = 300
    """First iteration with guidance."""
    guidance_every: int = 1
    """One of so many iterations is guided."""
    guidance_views: int = 8
    """Images that the diffusion model judges at a time."""
    guidance_prompt: str = ""
    """What the subject looks like, {person} for man or woman; empty for words that fit the stage and the garment."""
    guidance_negative: str = ""
    """What it does not look like."""
    guidance_zooms: Zooms = field(default_factory=Zooms)
    guidance: GuidanceSettings = field(default_factory=GuidanceSettings)
    """Which diffusion model; `layered.guidance` of the configuration, the same for all stages."""
    rates: LearningRates = field(default_factory=LearningRates)
    densify: DensifySettings = field(default_factory=DensifySettings)


def stage_settings(values: Mapping, where: str = "settings") -> StageSettings:
    """Settings from nested mappings as a config file gives them; InputError names an unknown or misfitting key."""
    return build_settings(StageSettings, values, where)
