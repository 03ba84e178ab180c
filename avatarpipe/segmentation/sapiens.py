"""Body part segmentation by Sapiens (Khirodkar et al., ECCV 2024), 28 Goliath classes, from a TorchScript file.

The network takes (B, 3, 1024, 768) RGB normalised by mean and deviation, and gives (B, 28, h, w) logits. Here an image is
padded with black to 3:4 before it is scaled, so that bodies keep their proportions; the original demo squashes it.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import interpolate, pad

from avatarpipe.capture.capture import Capture
from avatarpipe.capture.labels import Label
from avatarpipe.devices import chosen_device
from avatarpipe.errors import InputError
from avatarpipe.files import require_file

CHECKPOINT = "sapiens_1b_goliath_best_goliath_mIoU_7994_epoch_151_torchscript.pt2"
HEIGHT, WIDTH = 1024, 768
MEAN = (123.5, 116.5, 103.5)  # of RGB in 0..255
DEVIATION = (58.5, 57.0, 57.5)
CLASSES = (
    "Background", "Apparel", "Face_Neck", "Hair", "Left_Foot", "Left_Hand", "Left_Lower_Arm", "Left_Lower_Leg",
    "Left_Shoe", "Left_Sock", "Left_Upper_Arm", "Left_Upper_Leg", "Lower_Clothing", "Right_Foot", "Right_Hand",
    "Right_Lower_Arm", "Right_Lower_Leg", "Right_Shoe", "Right_Sock", "Right_Upper_Arm", "Right_Upper_Leg",
    "Torso", "Upper_Clothing", "Lower_Lip", "Upper_Lip", "Lower_Teeth", "Upper_Teeth", "Tongue",
)  # fmt: skip
_LABELS = {
    "Background": Label.BACKGROUND, "Hair": Label.HAIR, "Lower_Clothing": Label.LOWER,
    "Upper_Clothing": Label.UPPER, "Left_Shoe": Label.SHOE, "Right_Shoe": Label.SHOE,
    "Left_Sock": Label.SHOE, "Right_Sock": Label.SHOE,
}  # fmt: skip
# (28,) uint8: the Label of each class. Apparel (glasses, belts, bags) stays with the body that wears it.
TO_LABEL = np.array([_LABELS.get(name, Label.SKIN) for name in CLASSES], np.uint8)


class Sapiens:
    """The network, loaded.

    checkpoint: the TorchScript file. device: "cpu", "cuda" or "auto" (CUDA where there is one).
    Raises InputError where the file is missing or no TorchScript.
    """

    def __init__(self, checkpoint: str | Path, device: str = "auto"):
        hint = (
            f"Download the TorchScript of Sapiens-1B body part segmentation, {CHECKPOINT}, from "
            "huggingface.co/facebook (accept its licence, CC-BY-NC-4.0) and put it into resources/sapiens/; "
            "or segment with provider scan_labels where the scan is labelled."
        )
        self.path = require_file(checkpoint, hint)
        self.device = chosen_device(device)
        try:
            self._network = torch.jit.load(str(self.path), map_location=self.device).eval()
        except Exception as error:  # the loader raises whatever its archive reader does
            reason = str(error).partition("\n")[0]
            raise InputError(
                f"{self.path}: truncated or no TorchScript ({reason}). {hint}"
            ) from error

    @torch.inference_mode()
    def classes(self, images: np.ndarray) -> np.ndarray:
        """(B, H, W) uint8 class of every pixel of (B, H, W, 3) float32 sRGB images in [0, 1]."""
        height, width = images.shape[1:3]
        padded, (top, left) = pad_to_aspect(torch.from_numpy(images).to(self.device).movedim(-1, 1))
        logits = self._network(normalized(padded))
        if (
            not isinstance(logits, torch.Tensor)
            or logits.ndim != 4
            or logits.shape[1] != len(CLASSES)
        ):
            shape = tuple(getattr(logits, "shape", ()))
            raise InputError(
                f"{self.path}: gives {shape}, expected (batch, {len(CLASSES)}, h, w) logits. "
                "Use the body part segmentation model with the Goliath classes."
            )
        logits = interpolate(logits.float(), padded.shape[2:], mode="bilinear", align_corners=False)
        found = logits.argmax(dim=1).to(torch.uint8).cpu().numpy()
        return found[:, top : top + height, left : left + width]


def pad_to_aspect(images: torch.Tensor) -> tuple[torch.Tensor, tuple[int, int]]:
    """(B, 3, H, W) images with black around them so that H : W is 4 : 3, and the (row, column) where they now start."""
    height, width = images.shape[2:]
    full_height = max(height, -(-width * HEIGHT // WIDTH))
    full_width = max(width, -(-height * WIDTH // HEIGHT))
    top, left = (full_height - height) // 2, (full_width - width) // 2
    around = (left, full_width - width - left, top, full_height - height - top)
    return pad(images, around), (top, left)


def normalized(images: torch.Tensor) -> torch.Tensor:
    """(B, 3, 1024, 768) network input of (B, 3, H, W) sRGB images in [0, 1]."""
    resized = interpolate(images, (HEIGHT, WIDTH), mode="bilinear", align_corners=False)
    mean, deviation = (
        torch.tensor(values, device=images.device).view(1, 3, 1, 1) for values in (MEAN, DEVIATION)
    )
    return (resized * 255.0 - mean) / deviation


def class_maps(
    capture: Capture, network: Sapiens, batch_size: int
) -> Iterator[tuple[str, str, np.ndarray]]:
    """(frame, camera, (H, W) uint8 class map) of every image of the capture."""
    views = list(capture.views().itertuples(index=False, name=None))
    for start in range(0, len(views), batch_size):
        batch = views[start : start + batch_size]
        images = np.stack([capture.image(camera, frame) for frame, camera in batch])
        for (frame, camera), found in zip(batch, network.classes(images), strict=True):
            yield frame, camera, found
