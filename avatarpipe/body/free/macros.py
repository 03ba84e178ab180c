"""Anny's macro shape space: a product of linear interpolations selects and weighs morph targets.

Rules of MakeHuman's macro modelling as Anny states them (Anny, Bregier et al. 2025, section 3): each
target is named by one level per phenotype, and its weight is the product of those levels' weights.
"""

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avatarpipe.body.free.assets import target_folder

# level -> the value of the phenotype at which it alone acts
LEVELS: dict[str, dict[str, float]] = {
    "gender": {"male": 0.0, "female": 1.0},
    "age": {"young": 2 / 3, "old": 1.0},
    "muscle": {"minmuscle": 0.0, "averagemuscle": 0.5, "maxmuscle": 1.0},
    "weight": {"minweight": 0.0, "averageweight": 0.5, "maxweight": 1.0},
    "height": {"minheight": 0.0, "maxheight": 1.0},
    "proportions": {"idealproportions": 0.0, "uncommonproportions": 1.0},
    "cupsize": {"mincup": 0.0, "averagecup": 0.5, "maxcup": 1.0},
    "firmness": {"minfirmness": 0.0, "averagefirmness": 0.5, "maxfirmness": 1.0},
}
RACES = ("african", "asian", "caucasian")


@dataclass(frozen=True)
class MacroTarget:
    path: Path
    levels: tuple[str, ...]


def _block(folder: str, pattern: str, *phenotypes: str) -> list[MacroTarget]:
    choices = [RACES if p == "race" else tuple(LEVELS[p]) for p in phenotypes]
    return [
        MacroTarget(target_folder() / folder / pattern.format("-".join(levels)), levels)
        for levels in itertools.product(*choices)
    ]


def macro_targets() -> list[MacroTarget]:
    """All macro targets of adults. Breast targets exist for women only, and not for every mix."""
    name = "{}.target.gz"
    build = ("gender", "age", "muscle", "weight")
    breasts = _block("breast", name, *build, "cupsize", "firmness")
    return [
        *_block("macrodetails", "universal-" + name, *build),
        *_block("macrodetails", name, "race", "gender", "age"),
        *_block("macrodetails/height", name, *build, "height"),
        *_block("macrodetails/proportions", name, *build, "proportions"),
        *(t for t in breasts if t.levels[0] == "female" and t.path.exists()),
    ]


def macro_weights(people: dict[str, np.ndarray], targets: list[MacroTarget]) -> np.ndarray:
    """(S, T) weight of each target for S people.

    people: phenotype -> (S,) values; "race" -> (S, 3) weights that sum to 1.
    """
    level_weights = dict(zip(RACES, people["race"].T, strict=True))
    for phenotype, anchors in LEVELS.items():
        values = list(anchors.values())
        for k, level in enumerate(anchors):
            hat = np.eye(len(values))[k]
            level_weights[level] = np.interp(people[phenotype], values, hat)
    columns = [np.prod([level_weights[level] for level in t.levels], axis=0) for t in targets]
    return np.stack(columns, axis=1)
