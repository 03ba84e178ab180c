"""Who a seed makes: build, skin, hair, and what is worn."""

from dataclasses import dataclass, replace

import numpy as np

from avatarpipe.errors import InputError
from avatarpipe.synthetic.fabrics import Fabric

GENDERS = ("male", "female")
_SKINS = [
    (0.88, 0.72, 0.63),
    (0.84, 0.66, 0.55),
    (0.80, 0.59, 0.45),
    (0.66, 0.46, 0.34),
    (0.50, 0.34, 0.25),
]
_HAIRS = [
    (0.12, 0.09, 0.07),
    (0.25, 0.16, 0.10),
    (0.38, 0.25, 0.14),
    (0.62, 0.47, 0.28),
    (0.45, 0.20, 0.10),
]
_IRISES = [(0.32, 0.20, 0.11), (0.27, 0.34, 0.40), (0.29, 0.33, 0.23)]
_UPPERS = [  # base, second, third: combinations that people wear
    ((0.88, 0.87, 0.83), (0.16, 0.22, 0.38), (0.72, 0.22, 0.20)),
    ((0.64, 0.15, 0.15), (0.14, 0.13, 0.17), (0.90, 0.83, 0.62)),
    ((0.18, 0.32, 0.30), (0.80, 0.76, 0.62), (0.85, 0.55, 0.22)),
    ((0.85, 0.68, 0.30), (0.90, 0.88, 0.82), (0.28, 0.30, 0.36)),
    ((0.36, 0.46, 0.62), (0.92, 0.90, 0.86), (0.22, 0.24, 0.36)),
    ((0.55, 0.52, 0.60), (0.86, 0.42, 0.40), (0.93, 0.88, 0.72)),
]
_TROUSERS = [
    Fabric("denim", (0.20, 0.28, 0.44), (0.62, 0.68, 0.76), (0.78, 0.55, 0.25), 0.01, 0),
    Fabric("plain", (0.62, 0.53, 0.40), (0.5, 0.42, 0.3), (0.4, 0.33, 0.24), 0.01, 0),
    Fabric("denim", (0.17, 0.18, 0.21), (0.42, 0.43, 0.46), (0.5, 0.45, 0.4), 0.01, 0),
    Fabric("pinstripes", (0.27, 0.28, 0.33), (0.62, 0.62, 0.66), (0.2, 0.2, 0.24), 0.022, 0),
    Fabric("checks", (0.42, 0.40, 0.37), (0.30, 0.29, 0.28), (0.72, 0.66, 0.55), 0.05, 0),
]


@dataclass(frozen=True)
class Traits:
    """Everything chosen before anything is built. Colours are sRGB in [0, 1]."""

    gender: str
    seed: int
    betas: np.ndarray  # (10,)
    skin: tuple[float, float, float]
    iris: tuple[float, float, float]
    hair: tuple[float, float, float]
    hair_kind: str  # short, cropped, bob, long
    beard: float  # 0..1
    upper_kind: str  # tshirt, longsleeve, hoodie, shirt
    upper: Fabric
    lower_kind: str  # trousers, skirt
    lower: Fabric
    shoe: tuple[float, float, float]
    sole: tuple[float, float, float]


def sample_traits(gender: str, seed: int) -> Traits:
    """The person of a seed; InputError for a gender other than male and female."""
    if gender not in GENDERS:
        raise InputError(f"gender {gender!r}: a synthetic subject is one of {', '.join(GENDERS)}.")
    rng = np.random.default_rng([seed, GENDERS.index(gender), 4242])
    female = gender == "female"
    colors = _UPPERS[rng.integers(len(_UPPERS))]
    kind = str(rng.choice(["tshirt", "longsleeve", "hoodie", "shirt"], p=[0.35, 0.25, 0.15, 0.25]))
    skirt = female and rng.random() < 0.4
    hair_kinds = ["long", "bob", "short"] if female else ["short", "cropped", "long"]
    return Traits(
        gender, seed, np.clip(rng.normal(0.0, 0.8, 10), -1.6, 1.6).astype(np.float32),
        _jitter(rng, _SKINS[rng.integers(len(_SKINS))], 0.02), _IRISES[rng.integers(3)],
        _jitter(rng, _HAIRS[rng.integers(len(_HAIRS))], 0.02),
        str(rng.choice(hair_kinds, p=[0.5, 0.3, 0.2] if female else [0.6, 0.3, 0.1])),
        0.0 if female else float(rng.choice([0.15, 0.5, 1.0])),
        kind, _upper_fabric(kind, colors, rng), "skirt" if skirt else "trousers", _lower_fabric(skirt, rng),
        *_shoe_colors(rng),
    )  # fmt: skip


def _jitter(rng, color, amount: float) -> tuple:
    return tuple(float(c) for c in np.clip(np.array(color) + rng.normal(0, amount), 0.03, 0.97))


def _upper_fabric(kind: str, colors, rng) -> Fabric:
    patterns = {
        "tshirt": ["stripes", "dots", "print"], "longsleeve": ["stripes", "knit", "dots"],
        "hoodie": ["plain", "stripes"], "shirt": ["checks", "print", "checks"],
    }[kind]  # fmt: skip
    pattern = str(rng.choice(patterns))
    size = {"stripes": 0.055, "dots": 0.04, "print": 0.06, "checks": 0.07}.get(pattern, 0.02)
    return Fabric(
        pattern, *colors, float(size * rng.uniform(0.85, 1.25)), int(rng.integers(1 << 16))
    )


def _lower_fabric(skirt: bool, rng) -> Fabric:
    seed = int(rng.integers(1 << 16))
    if not skirt:
        return replace(_TROUSERS[rng.integers(len(_TROUSERS))], seed=seed)
    colors = _UPPERS[rng.integers(len(_UPPERS))]
    return Fabric(str(rng.choice(["print", "checks", "dots"])), *colors, 0.06, seed)


def _shoe_colors(rng) -> tuple:
    shoes = [
        (0.90, 0.89, 0.86),
        (0.16, 0.16, 0.18),
        (0.36, 0.22, 0.14),
        (0.60, 0.16, 0.16),
        (0.22, 0.30, 0.42),
    ]
    soles = [(0.92, 0.91, 0.88), (0.85, 0.84, 0.80), (0.15, 0.13, 0.12)]
    return shoes[rng.integers(len(shoes))], soles[rng.integers(len(soles))]
