"""What a prior of our own understands of a prompt: whom it shows, from which side, and whether trousers or a skirt are worn."""

import re
from collections.abc import Sequence

import torch

from avatarpipe.guidance.words import PERSON, VIEWS

PEOPLE = tuple(PERSON.values())
_LOWER_GARMENTS = {"pants", "trousers", "jeans", "skirt", "shorts"}
CLASSES = len(PEOPLE) * len(VIEWS) * 2
NOTHING = CLASSES
"""The class of an image about which no words are known."""


def word_class(person: str, view: str, lower: bool) -> int:
    """The number of a combination: `person` of PEOPLE, `view` of VIEWS, whether a lower garment is worn."""
    return (PEOPLE.index(person) * len(VIEWS) + VIEWS.index(view)) * 2 + int(lower)


def prompt_class(prompt: str) -> int:
    """The class that `prompt` describes; NOTHING where it names no view. Whom it leaves open is a person."""
    text = prompt.lower()
    view = next((view for view in VIEWS if view in text), None)
    if view is None:
        return NOTHING
    words = set(re.findall(r"[a-z]+", text))
    person = next((person for person in PEOPLE if person in words), PERSON["neutral"])
    return word_class(person, view, bool(words & _LOWER_GARMENTS))


def prompt_classes(prompts: Sequence[str], device=None) -> torch.Tensor:
    """(B,) int64 classes of the prompts."""
    return torch.tensor([prompt_class(prompt) for prompt in prompts], device=device)
