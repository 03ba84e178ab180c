"""The shape space of a population of T-posed people: a few traits, then principal components of the rest."""

from dataclasses import dataclass

import numpy as np

COMPONENTS = 60  # betas in all


@dataclass(frozen=True)
class ShapeSpace:
    """mean (V, 3); directions (V, 3, K): the change of the vertices per standard deviation of a beta.

    joint_mean (55, 3) and joint_directions (55, 3, K) are the same for the true joints.
    names: K names of the betas, such as "stature" or "component3".
    """

    mean: np.ndarray
    directions: np.ndarray
    joint_mean: np.ndarray
    joint_directions: np.ndarray
    names: list[str]


def learn_shapes(
    people: np.ndarray, joints: np.ndarray, traits: dict[str, np.ndarray]
) -> ShapeSpace:
    """Regress vertices (S, V, 3) on the traits (name -> (S,)), then take the PCA of what they leave.

    The first betas are the traits, in their order: +1 is one standard deviation more of it, all other traits
    being equal (taller, heavier at the same stature, ...). The other signs are fixed by the largest change being positive. Joints (S, 55, 3) follow the scores.
    """
    mean, joint_mean = people.mean(0), joints.mean(0)
    centred = (people - mean).reshape(len(people), -1)
    known = np.stack([(t - t.mean()) / t.std() for t in traits.values()], axis=1)
    explained = np.linalg.lstsq(known, centred, rcond=None)[0]
    scores, components = _principal(centred - known @ explained, COMPONENTS - len(traits))
    directions = np.concatenate([explained, components]).T.reshape(*mean.shape, COMPONENTS)
    all_scores = np.concatenate([known, scores], axis=1)
    offsets = (joints - joint_mean).reshape(len(people), -1)
    joint_directions = np.linalg.lstsq(all_scores, offsets, rcond=None)[0].T
    names = [*traits, *(f"component{k}" for k in range(1, components.shape[0] + 1))]
    return ShapeSpace(
        mean, directions, joint_mean, joint_directions.reshape(*joint_mean.shape, COMPONENTS), names
    )


def _principal(data: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores (S, count) of unit variance and components (count, D) of centred data (S, D)."""
    values, vectors = np.linalg.eigh(data @ data.T)
    scores = vectors[:, np.argsort(values)[::-1][:count]] * np.sqrt(len(data))
    components = scores.T @ data / len(data)
    largest = np.take_along_axis(components, np.abs(components).argmax(1)[:, None], axis=1)
    return scores * np.sign(largest).T, components * np.sign(largest)
