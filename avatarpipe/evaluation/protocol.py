"""What the numbers mean: written beside them, since a metric is worth what its protocol says."""

from collections.abc import Sequence

from avatarpipe.capture.capture import Capture
from avatarpipe.evaluation.metrics import CROP_MARGIN
from avatarpipe.evaluation.penetration import VISIBLE_OPACITY


def protocol(capture: Capture, splits: Sequence[str], garment: str, lpips: str) -> dict:
    """Splits, views, background, crop, masks and nets behind the metrics of one capture."""
    labels = "none"
    if capture.has("truth_labels"):
        labels = "rendered from the labels of the scan"
    elif capture.has("labels"):
        labels = "from the segmenter"
    size = capture.cameras()
    return {
        "subject": capture.subject,
        "views": {split: len(capture.cameras(split)) for split in splits},
        "frames": len(capture.frame_names),
        "image_size": [size.width, size.height],
        "background": "black, in ground truth and rendering",
        "full_frame": "every pixel",
        "crop": f"box of the ground truth mask > 0.5, grown by {CROP_MARGIN:g} of the longer image side",
        "psnr": "10 log10(1 / MSE) over pixels and channels, sRGB in [0, 1]; 100 dB at most",
        "ssim": "Gaussian window 11, sigma 1.5, zeros outside the image, mean over pixels and channels",
        "lpips": lpips,
        "garment": garment,
        "labels": labels,
        "iou": "a view at a time; pixels of alpha > 0.5 belong to their heaviest layer; miou is the mean of body and garment",
        "hidden": "first layer alone against the undressed subject; pixels labelled garment where the undressed body shows",
        "penetration": f"centres of Gaussians of opacity >= {VISIBLE_OPACITY:g} inside the posed body, first layer left out",
        "surface": "both meshes sampled evenly by area, in the pose of the scan",
    }
