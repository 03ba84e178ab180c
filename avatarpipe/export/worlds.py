"""The worlds that an export can stand in: the capture's own, or that of the files the capture was made from."""

from dataclasses import dataclass

import numpy as np

from avatarpipe.capture.capture import Capture
from avatarpipe.errors import InputError

_ROUNDING = 1e-6


@dataclass(frozen=True)
class Worlds:
    """The similarity (4, 4) between a capture's world and that of the files it was made from, either way."""

    input_to_capture: np.ndarray

    @staticmethod
    def of(capture: Capture) -> "Worlds":
        """As the capture's manifest has it; InputError where its normalization is no rotation, uniform scale and shift."""
        matrix = capture.normalization
        linear = matrix[:3, :3]
        scale = np.cbrt(np.linalg.det(linear))
        off = np.abs(linear @ linear.T - scale**2 * np.eye(3)).max()
        if not (np.isfinite(matrix).all() and scale > 0 and off < _ROUNDING * scale**2):
            raise InputError(
                f"{capture.path}: normalization is no rotation, uniform scale and translation. "
                "Rerun the steps that made the capture."
            )
        return Worlds(matrix)

    @property
    def capture_to_input(self) -> np.ndarray:
        return np.linalg.inv(self.input_to_capture)

    def document(self, world: str) -> dict:
        """What transform.json says. world: that in which the files beside it stand, "capture" or "input"."""
        return {
            "format": "avatarpipe.transform",
            "world": world,
            "convention": "x' = matrix[:3, :3] x + matrix[:3, 3]",
            "capture_to_input": self.capture_to_input.tolist(),
            "input_to_capture": self.input_to_capture.tolist(),
            "input_units_per_metre": float(np.cbrt(np.linalg.det(self.capture_to_input[:3, :3]))),
        }
