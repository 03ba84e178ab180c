"""One thing a person consists of or wears: a surface, what its vertices carry, and how it is painted."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from avatarpipe.capture.labels import Label

Paint = Callable[[dict[str, np.ndarray]], np.ndarray]


@dataclass
class Layer:
    """A closed or open surface in the figure's frame.

    attributes: (V,) or (V, k) arrays by name, interpolated at every texel and given to `paint`, which returns (N, 3)
    sRGB albedo in [0, 1]. detail: (V,) texels per metre wanted there, relative to 1. shade: (V, 3) light on the surface,
    set by light_layers. kind: such as tshirt, skirt, long.
    """

    name: str
    label: Label
    vertices: np.ndarray
    faces: np.ndarray
    attributes: dict[str, np.ndarray]
    paint: Paint
    detail: np.ndarray
    shade: np.ndarray | None = None
    seen: np.ndarray | None = None  # (V,) bool: visible from outside when everything is worn
    kind: str = ""
