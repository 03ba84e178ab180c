"""The numbers of an animatable avatar. Defaults are the published ones."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from avatarpipe.settings import build_settings


@dataclass(frozen=True)
class ModelSettings:
    """How large the model is and what it starts from."""

    gaussians: int = 200_000
    controls: int = 10_000
    """Points whose offsets the Gaussians inherit."""
    anchors: int = 300
    """Points that carry a network each."""
    bases: int = 15
    """Offsets of scale, rotation, opacity and colour that each Gaussian blends."""
    control_bases: int = 15
    """Offsets of position that each control point blends."""
    widths: tuple[int, ...] = (512, 256, 256, 256)
    """Hidden layers of a network, whose input is the 63 axis-angle numbers of the body's pose."""
    anchor_neighbours: int = 3
    """Networks that a Gaussian or a control point listens to."""
    control_neighbours: int = 3
    """Control points that a Gaussian follows."""
    smooth_neighbours: int = 7
    """Control points, itself among them, that one is compared with by the smoothness loss."""
    gaussian_candidates: int = 5
    """Random points for each Gaussian from which an even subset is picked."""
    candidates: int = 7
    """The same for anchors and control points."""
    shift_limit: float = 0.008
    """Metres that a Gaussian may leave its place beyond what its control points do."""
    opacity: float = 0.8
    basis_range: float = 0.002
    """Offsets start at a random number of at most this size, the same for every Gaussian."""
    legs_apart_deg: float = 25.0
    """Turn of both hips in the canonical pose."""
    head_joints: bool = False
    """Whether jaw and eyes follow the pose. Fits to the public data sets have them wrong; off, they stay at rest."""


@dataclass(frozen=True)
class LossSettings:
    """Weights of the terms beside the mean L1 of the image, which has weight 1."""

    perceptual_weight: float = 0.1
    perceptual_from: int = 6000
    perceptual_size: int = 512
    """Pixels a side of what the perceptual term compares."""
    patches_from: int = 300_000
    """Iteration from which that is a random window at full resolution instead of the whole subject, resized."""
    smooth_weight: float = 0.1
    """Per metre that the offsets of neighbouring control points differ."""
    scale_weight: float = 1.0
    scale_limit: float = 0.01
    """Metres; standard deviations above it are penalised."""


@dataclass(frozen=True)
class Rates:
    """Adam's step sizes, and the factor that each has fallen to, exponentially, at the end."""

    controls: float = 1.6e-4
    """Times the extent of the cameras."""
    controls_final: float = 0.01
    control_bases: float = 1.6e-5
    """Times the extent of the cameras."""
    control_bases_final: float = 0.1
    looks: float = 5e-4
    """Scale, rotation, opacity and colour."""
    looks_final: float = 0.1
    harmonics: float = 2.5e-5
    harmonics_final: float = 0.1
    look_bases: float = 1e-4
    look_bases_final: float = 1.0
    harmonic_bases: float = 2.5e-6
    harmonic_bases_final: float = 1.0
    networks: float = 5e-4
    networks_final: float = 0.1
    networks_decay: float = 1e-3
    """Weight decay of the networks (AdamW); nothing else decays."""
    shifts: float = 1e-3
    shifts_final: float = 0.1
    extent: Literal["w2c_translations", "centres"] = "w2c_translations"
    """What the extent of the cameras is measured on. The published code takes the translations of w2c for the cameras'
    centres; for a ring of cameras that looks inwards they differ far less."""


@dataclass(frozen=True)
class ProjectionSettings:
    """How poses that training never saw are brought near those it saw, before the networks see them."""

    components: int = 20
    deviations: float = 2.0
    """Standard deviations of the training poses that a component is clamped to."""
    seen_within: float = 1e-4
    """Radians by which a pose may differ from a training pose and count as it: it is not projected."""


@dataclass(frozen=True)
class AnimatableSettings:
    """Everything that an animatable avatar is trained with."""

    iterations: int = 800_000
    cameras_per_step: int = 1
    """Cameras of one frame that an iteration renders."""
    bases_from: int = 2000
    """Iteration from which the pose has a say beyond skinning."""
    harmonics_from: int = 250_000
    """Iteration from which colour depends on the view."""
    random_background: bool = True
    background: float = 1.0
    """Grey level behind the subject where it is not random."""
    boundaries: bool = True
    """Whether pixels at the silhouette's edge, as the capture marks them, are left out. On small images they are so wide
    a band that figures swell; soft masks that are exact can do without."""
    near: float = 0.1
    """Metres in front of a camera before which nothing is drawn."""
    compiled: bool = True
    """Whether the arithmetic of an iteration is compiled on CUDA: some 10 s once, and iterations take a third less."""
    checkpoint_every: int = 5000
    model: ModelSettings = field(default_factory=ModelSettings)
    losses: LossSettings = field(default_factory=LossSettings)
    rates: Rates = field(default_factory=Rates)
    projection: ProjectionSettings = field(default_factory=ProjectionSettings)


def animatable_settings(values: Mapping, where: str = "animatable") -> AnimatableSettings:
    """Settings from nested mappings as a config file gives them; InputError names an unknown or misfitting key."""
    return build_settings(AnimatableSettings, values, where)
