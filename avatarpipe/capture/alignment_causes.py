"""Why a body does not lie where its images show the subject: every known mistake is undone, and what is seen compared.

Where the body is far off, the change that brings it back names the cause. Where it is not, mistakes that show little are
still looked for: hands, gender, a few frames, a few centimetres. Such a change must beat what is by a clear margin, in
metres between outlines and look by look, before it counts. docs/benchmarks.md has the measurements behind the numbers.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pandas as pd

from avatarpipe.body.model import Body
from avatarpipe.capture import alignment_changes as changes
from avatarpipe.capture import alignment_estimates as estimates
from avatarpipe.capture.alignment import Scene
from avatarpipe.capture.alignment_changes import Change
from avatarpipe.capture.alignment_hands import compare_hands
from avatarpipe.capture.alignment_views import evenly
from avatarpipe.capture.capture import Capture

_HEIGHT = 1.7  # metres that the longer side of a silhouette is taken to be, whatever the fit says
_PROBES = 12  # looks on which every change is tried
_SUBTLE_LOOKS = 36
_FAST_FRAMES, _LOOKS_A_FRAME = 4, 3
_CLOSE = 0.05  # agreement within which the outlines decide between two changes
_FEWEST = 4  # looks that a comparison needs


@dataclass(frozen=True)
class Tolerance:
    """How far body and images may disagree. Medians are over the images checked."""

    agreement: float = 0.5
    """Least median Tversky index of body and silhouette."""
    outside: float = 0.25
    """Largest median share of the body out of the silhouette."""
    unexplained: float = 0.15
    """Largest median share of the silhouette more than 15 cm off the body."""
    keypoints: float = 0.75
    """Least median share of joints on the silhouette, and of joints in front of the camera."""
    camera_outside: float = 0.5
    """Largest median share of the body out of the silhouette in one camera."""
    camera_excess: float = 0.2
    """The same where all others fit; it grows by thrice the share in the median camera."""
    offset: float = 0.05
    """Metres that all bodies may be off in one direction."""
    scale: float = 0.08
    """How far the subject's size may be from the body's, as a share of it."""
    margin: float = 0.35
    """Share of the misfit by which another gender, frame, hand, place or size must be better to count as the right one."""
    certainty: float = 3.0
    """Standard errors of that difference over images or hands."""
    warn_outside: float = 0.03
    """Median share of the body out of the silhouette from which the report warns."""
    warn_offset: float = 0.008
    """Metres that all bodies are off in one direction from which it warns."""
    warn_camera: float = 0.5
    """Degrees that the median camera is off from which it warns."""


@dataclass(frozen=True)
class Finding:
    """What is wrong: the cause by name ("" where no known mistake explains it), and the sentence for people."""

    cause: str
    says: str
    evidence: dict[str, float]
    undone: Scene | None = None
    """Some of the looks as they would be without the mistake."""


def diagnose(
    capture: Capture, scene: Scene, table: pd.DataFrame, others: Mapping[str, Body], tolerance: Tolerance
) -> Finding | None:
    """The likely cause where the capture is off, or None where it is not; `others` are bodies of other genders by name."""
    over = exceeded(table, tolerance)
    if over:
        return _coarse(scene, table, others, over)
    return (
        _subtle(scene, others, tolerance)
        or _hands(capture, scene, tolerance)
        or _lone_cameras(table, tolerance)
    )


def exceeded(table: pd.DataFrame, tolerance: Tolerance) -> str:
    """What of the medians is beyond the tolerance, in words; empty where nothing is."""
    middle = table.median(numeric_only=True)
    least = {"agreement": tolerance.agreement, "keypoints_front": tolerance.keypoints,
             "keypoints_mask": tolerance.keypoints}  # fmt: skip
    most = {"outside": tolerance.outside, "unexplained": tolerance.unexplained}
    said = [f"{name} {middle[name]:.2f} (at least {limit})" for name, limit in least.items() if not middle[name] >= limit]
    said += [f"{name} {middle[name]:.2f} (at most {limit})" for name, limit in most.items() if not middle[name] <= limit]
    return ", ".join(said)


def _coarse(scene: Scene, table: pd.DataFrame, others: Mapping[str, Body], over: str) -> Finding:
    """The change after which body and images agree best, if they then do."""
    probes = scene.part(evenly(len(scene.looks), _PROBES))
    before = _mean(probes.agreements())
    found = _best(all_changes(probes, others))
    measured = f"The body does not lie where the images show the subject: median {over}."
    if found is None or not _restores(before, found[1]):
        best = "" if found is None else f" The best of all ({found[0].what}) reaches an agreement of {found[1]:.2f}."
        return Finding("", f"{measured} No known mistake explains it.{best} {_numbers(table)}",
                       {"agreement": before})  # fmt: skip
    change, after = found
    says = (
        f"{measured} Likely cause: {change.cause}: {change.what}. Undoing that takes the agreement of body and "
        f"silhouette from {before:.2f} to {after:.2f}. {change.advice}"
    )
    return Finding(change.cause, says, {"agreement": before, "agreement_if_undone": after}, change.scene)


def _restores(before: float, after: float) -> bool:
    """Whether more than half of what was missing to a good agreement (0.85, as clothed subjects have) is won."""
    return after >= 0.6 and after - before > 0.5 * (0.85 - before)


def all_changes(scene: Scene, others: Mapping[str, Body]) -> Iterable[Change]:
    """Every mistake that is known, undone."""
    return chain(
        changes.camera_changes(scene),
        changes.up_changes(scene),
        changes.scale_changes(scene, estimates.scales(scene)),
        changes.place_changes(scene, estimates.offset(scene)),
        changes.body_changes(scene, others),
        likely_frames(scene),
    )


def likely_frames(scene: Scene) -> list[Change]:
    """The two most promising of the frame offsets, tried on the few frames around which the bodies move most."""
    frames = sorted({look.frame for look in scene.looks})
    speed = changes.speeds(scene.figures.poses)
    fast = sorted(frames, key=lambda frame: -speed[frame])[:_FAST_FRAMES]
    chosen = [index for frame in fast for index in _looks_at(scene, frame)[:_LOOKS_A_FRAME]]
    few = scene.part(chosen)
    scales = image_scales(few)
    tried = {change.scene.shift: _mean(change.scene.misfits(scales)) for change in changes.frame_changes(few)}
    known = {shift: value for shift, value in tried.items() if np.isfinite(value)}
    return list(changes.frame_changes(scene, sorted(known, key=known.get)[:2]))


def _looks_at(scene: Scene, frame: int) -> list[int]:
    return [index for index, look in enumerate(scene.looks) if look.frame == frame]


def _best(tried: Iterable[Change]) -> tuple[Change, float] | None:
    """The change with the highest mean agreement; of those close to it, the one with the least misfit."""
    kept: list[tuple[Change, float]] = []
    for change in tried:
        after = _mean(change.scene.agreements())
        if np.isfinite(after):
            kept.append((change, after))
            best = max(score for _, score in kept)
            kept = [(other, score) for other, score in kept if score > best - _CLOSE]
    if not kept:
        return None
    return min(kept, key=lambda pair: _mean(pair[0].scene.misfits(image_scales(pair[0].scene))))


def image_scales(scene: Scene) -> np.ndarray:
    """(N,) pixels a metre, from the silhouettes alone."""
    sides = [max(*np.ptp(np.argwhere(look.mask), axis=0), 1) if look.mask.any() else 1 for look in scene.looks]
    return np.array(sides) / _HEIGHT


def _subtle(scene: Scene, others: Mapping[str, Body], tolerance: Tolerance) -> Finding | None:
    """The mistake that explains the images better by the margin, and best of all."""
    scene = scene.part(evenly(len(scene.looks), _SUBTLE_LOOKS))
    scales = image_scales(scene)
    before = scene.misfits(scales)
    tried = chain(
        likely_frames(scene),
        changes.body_changes(scene, others),
        changes.camera_changes(scene),
        _places(scene, tolerance),
        _sizes(scene, tolerance),
    )
    found = []
    for change in tried:
        gain = better(before, change.scene.misfits(scales), tolerance)
        if gain is not None:
            found.append((gain, change))
    if not found:
        return None
    gain, change = max(found, key=lambda pair: pair[0])
    now = _mean(before)
    says = (
        f"The body lies near the subject, but likely cause: {change.cause}: {change.what}. Undoing that takes the "
        f"distance between outlines from {1000 * now:.0f} to {1000 * now * (1 - gain):.0f} mm. {change.advice}"
    )
    return Finding(change.cause, says, {"misfit": now, "misfit_if_undone": now * (1 - gain)}, change.scene)


def _places(scene: Scene, tolerance: Tolerance) -> Iterable[Change]:
    offset = estimates.offset(scene)
    if not np.linalg.norm(offset) > tolerance.offset:
        return []
    return changes.place_changes(scene, offset)


def _sizes(scene: Scene, tolerance: Tolerance) -> Iterable[Change]:
    guesses = [guess for guess in estimates.scales(scene) if abs(guess - 1) > tolerance.scale]
    tried = changes.scale_changes(scene, guesses) if guesses else []
    return (change for change in tried if not any(f"{unit:.3g} times" in change.what for unit in changes.UNITS))


def better(before: np.ndarray, after: np.ndarray, tolerance: Tolerance) -> float | None:
    """The share of the misfit that a change takes away, or None where that is not clear.

    Both (N,), look by look; the difference must exceed the margin, and its own standard error `certainty` times.
    """
    known = np.isfinite(before) & np.isfinite(after)
    gain = (before - after)[known]
    if len(gain) < _FEWEST or not before[known].mean() > 0:
        return None
    error = gain.std(ddof=1) / np.sqrt(len(gain))
    share = gain.mean() / before[known].mean()
    return float(share) if share > tolerance.margin and gain.mean() > tolerance.certainty * error else None


def _hands(capture: Capture, scene: Scene, tolerance: Tolerance) -> Finding | None:
    """The hand mean, added or taken away, where fingers are seen clearly enough to tell."""
    pairs = [(look.frame, look.camera) for look in scene.part(evenly(len(scene.looks), 48)).looks]
    tried, mismatch = compare_hands(capture, scene, pairs)
    gains = [better(mismatch[0], other, tolerance) for other in mismatch[1:]]
    clear = [(gain, change) for gain, change in zip(gains, tried, strict=True) if gain is not None]
    if not clear:
        return None
    gain, change = max(clear, key=lambda pair: pair[0])
    now = float(mismatch[0].mean())
    says = (
        f"The body fits, but not its hands. Likely cause: {change.cause}: {change.what}. Undoing that takes the mismatch "
        f"around the fingers from {now:.2f} to {now * (1 - gain):.2f} of their area, in {mismatch.shape[1]} views of a "
        f"hand. {change.advice}"
    )
    return Finding(change.cause, says, {"hands": now, "hands_if_undone": now * (1 - gain)}, change.scene)


def _lone_cameras(table: pd.DataFrame, tolerance: Tolerance) -> Finding | None:
    """Cameras in which the body is off although it is not in most: far more than in the others, or by very much."""
    by_camera = table.groupby("camera")["outside"].median()
    limit = min(tolerance.camera_outside, tolerance.camera_excess + 3 * by_camera.median())
    off = by_camera[by_camera > limit]
    if not len(off):
        return None
    named = ", ".join(f"{camera} ({share:.2f})" for camera, share in off.head(8).items())
    says = (
        f"The body fits in most cameras, but lies outside of the silhouette in {len(off)} of {len(by_camera)}: {named} "
        f"(at most {limit:.2f}). Likely cause: camera calibration of these alone: another camera's "
        "numbers, images under a wrong name, or a camera that moved. Correct them or leave these cameras out."
    )
    return Finding("camera calibration", says, {f"outside {name}": float(x) for name, x in off.items()})


def warnings(scene: Scene, table: pd.DataFrame, tolerance: Tolerance) -> list[str]:
    """What is off by less than the tolerance, in numbers."""
    middle, off = table.median(numeric_only=True), estimates.offset(scene)
    said = []
    if middle["outside"] > tolerance.warn_outside:
        said.append(f"median {middle['outside']:.1%} of the body lies outside of the silhouette")
    if np.linalg.norm(off) > tolerance.warn_offset:
        said.append(f"all bodies are off by ({', '.join(f'{x:+.3f}' for x in off)}) m")
    cameras = table.groupby("camera")["offset_deg"].median().sort_values()
    if cameras.median() > tolerance.warn_camera:
        said.append(
            f"cameras are off by a median of {cameras.median():.1f} degrees, {cameras.index[-1]} by {cameras.iloc[-1]:.1f}"
        )
    poor = table[(table["outside"] > tolerance.camera_outside) | (table["agreement"] < tolerance.agreement)]
    if len(poor):
        first = poor.sort_values("agreement").iloc[0]
        said.append(
            f"{len(poor)} of {len(table)} images disagree, worst camera {first['camera']} at frame {first['frame']}"
        )
    return said


def _numbers(table: pd.DataFrame) -> str:
    middle = table.median(numeric_only=True)
    return (
        f"Measured: subject {middle['scale']:.2f} times as high as the body, off by "
        f"{middle['offset_x']:+.2f}, {middle['offset_y']:+.2f} m in the images."
    )


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else np.nan
