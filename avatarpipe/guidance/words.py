"""The words that tell a diffusion model what it looks at: whom, wearing what, from which side."""

from collections.abc import Sequence

from avatarpipe.genders import PERSON

FRONT, SIDE, BACK, OVERHEAD = VIEWS = ("front view", "side view", "back view", "overhead view")
OVERHEAD_FROM = 60.0  # degrees of elevation
_WEARING = {
    ("single", "upper"): "a shirt",
    ("single", "lower"): "pants",
    ("single", "both"): "a shirt and pants",
    ("inner", "upper"): "pants and a white tank top",
    ("inner", "lower"): "a shirt and white underpants",
    ("inner", "both"): "white underwear",
}


def view_word(azimuth_deg: float, elevation_deg: float = 0.0) -> str:
    """How a camera sees the subject. Azimuth 0 is the front, any multiple of 360 degrees away too."""
    if elevation_deg > OVERHEAD_FROM:
        return OVERHEAD
    aside = abs((azimuth_deg + 180.0) % 360.0 - 180.0)
    return FRONT if aside < 45.0 else SIDE if aside <= 135.0 else BACK


def with_views(prompt: str, views: Sequence[str]) -> list[str]:
    """`prompt` once a view, with the view's words at its end."""
    return [f"{prompt}, {view}" for view in views]


def prompt_for(stage: str, garment: str, gender: str, prompt: str = "") -> str:
    """The prompt of a stage, {person} in it replaced; where it is empty, one that fits the stage and the garment."""
    worn = _WEARING["single" if stage == "outer" else stage, garment]
    text = prompt or f"a photo of a {{person}} wearing {worn}"
    return text.replace("{person}", PERSON[gender])
