"""Seeded adults to learn the shape space from: macro phenotypes and local changes of each person."""

from dataclasses import dataclass

import numpy as np

from avatarpipe.body.free.assets import local_changes, read_target, target_folder
from avatarpipe.body.free.macros import macro_targets, macro_weights

GENDERS = ("neutral", "male", "female")
# Phenotypes that get betas of their own, after stature and corpulence; gender grows towards female.
TRAITS = {
    "neutral": ("gender", "muscle"),
    "male": ("muscle", "proportions"),
    "female": ("muscle", "proportions"),
}
PEOPLE = 240
# Local changes: standard deviation of their coefficients (1 is the target in full).
_BODY_CHANGE = 0.08
_FACE_CHANGE = 0.25
_BODY_FOLDERS = ("torso", "hip", "stomach", "buttocks", "arms", "legs", "hands", "feet", "neck")
_FACE_FOLDERS = (
    "head", "forehead", "eyebrows", "eyes", "nose", "mouth", "cheek", "chin", "ears",
)  # fmt: skip
# Changes that shift or turn whole parts, that macro phenotypes already make, or that no ordinary adult shows.
_LEFT_OUT = ("angle-in", "pregnant", "measure", "pointed", "valgus", "age")
_LEFT_OUT_OF_BODY = ("trans", "vert", "height", "length", "foot-scale", "hand-scale")
_LEFT_OUT_OF_HEAD = ("head-trans",)


@dataclass(frozen=True)
class Population:
    """weights (S, T) of targets (T, N, 3) for S people, and the traits (S,) that get betas of their own."""

    weights: np.ndarray
    targets: np.ndarray
    traits: dict[str, np.ndarray]


def sample_population(gender: str, mirror: np.ndarray, seed: int = 7) -> Population:
    """Draw PEOPLE adults in mirrored-sign pairs, so that the mean of each trait is exact.

    mirror: (N,) left-right image of each base vertex; every target is made symmetric with it.
    """
    vertex_count = len(mirror)
    rng = np.random.default_rng([seed, GENDERS.index(gender)])
    traits = _draw_traits(gender, rng)
    macros = macro_targets()
    weights = macro_weights(traits, macros)
    active = weights.max(0) > 1e-6
    paths = [t.path for t, use in zip(macros, active, strict=True) if use]
    local_weights, local_targets = _draw_local_changes(rng, vertex_count)
    macro_offsets = [read_target(path, vertex_count) for path in paths]
    return Population(
        np.concatenate([weights[:, active], local_weights], axis=1).astype(np.float32),
        np.stack([_symmetric(target, mirror) for target in (*macro_offsets, *local_targets)]),
        {name: traits[name] for name in TRAITS[gender]},
    )


def _symmetric(offsets: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    return 0.5 * (offsets + offsets[mirror] * np.float32([-1, 1, 1]))


def _paired_normals(rng: np.random.Generator) -> np.ndarray:
    half = rng.standard_normal(PEOPLE // 2)
    return np.concatenate([half, -half])


def _draw_traits(gender: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Phenotypes of PEOPLE adults; the means make men of 1.77 m, women of 1.64 m and both of 1.70 m."""
    sex = {"male": 0.0, "female": 1.0, "neutral": 0.5}[gender]
    middle = {
        "gender": (sex, 0.28 if gender == "neutral" else 0.06),
        "age": (0.70, 0.03),
        "muscle": ({"male": 0.60, "female": 0.50, "neutral": 0.55}[gender], 0.13),
        "weight": ({"male": 0.52, "female": 0.58, "neutral": 0.55}[gender], 0.24),
        "height": ({"male": 0.372, "female": 0.370, "neutral": 0.366}[gender], 0.06),
        "proportions": (0.35, 0.08),
        "cupsize": (0.45, 0.15),
        "firmness": (0.60, 0.12),
    }
    traits = {
        name: np.clip(mean + spread * _paired_normals(rng), 0.0, 1.0)
        for name, (mean, spread) in middle.items()
    }
    traits["race"] = rng.dirichlet((1.5, 1.5, 1.5), PEOPLE)
    return traits


def _chosen_changes() -> list[tuple[float, list[tuple[str, str, str]]]]:
    """[(spread, [(folder, negative, positive), ...])]; a left and a right target go together."""
    chosen = []
    for folder, pairs in local_changes():
        on_body = folder in _BODY_FOLDERS
        left_out = _LEFT_OUT + (_LEFT_OUT_OF_BODY if on_body else _LEFT_OUT_OF_HEAD)
        unwanted = any(word in pairs[0][1] for word in left_out)
        if folder in _BODY_FOLDERS + _FACE_FOLDERS and not unwanted:
            spread = _BODY_CHANGE if on_body else _FACE_CHANGE
            chosen.append((spread, [(folder, *pair) for pair in pairs]))
    return chosen


def _draw_local_changes(
    rng: np.random.Generator, vertex_count: int
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Weights (S, 2L) and targets of L symmetric local changes, negative and positive ends apart."""
    weights, targets = [], []
    for spread, pairs in _chosen_changes():
        amount = spread * np.clip(_paired_normals(rng), -2.5, 2.5)
        for end, signed in ((1, -amount), (2, amount)):
            paths = [target_folder() / p[0] / f"{p[end]}.target.gz" for p in pairs]
            targets.append(sum(read_target(path, vertex_count) for path in paths))
            weights.append(np.clip(signed, 0, None))
    return np.stack(weights, axis=1), targets
