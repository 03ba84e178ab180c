"""What is trained of a subject: the full method, and the baseline that it has to beat."""

from dataclasses import replace
from typing import Literal

from avatarpipe.methods.animatable.settings import AnimatableSettings

Variant = Literal["full", "skinned"]


def variant_settings(settings: AnimatableSettings, variant: Variant) -> AnimatableSettings:
    """The settings of a variant: skinned is the same training in which the pose never shapes the Gaussians.

    What the pose would drive is as small as can be there; the Gaussians and control points start the same.
    """
    if variant == "full":
        return settings
    model = replace(settings.model, anchors=1, bases=1, control_bases=1, widths=(1,))
    return replace(settings, bases_from=settings.iterations, model=model)
