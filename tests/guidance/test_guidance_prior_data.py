"""The pictures that a prior learns from: the same for the same seed, of nobody excluded, skeletons where the bodies are."""

import numpy as np
import pytest
import torch
from prior_people import four_pictures, plain_person

from avatarpipe.errors import InputError
from avatarpipe.guidance.prior_data import PriorImages, Shard, neutral_classes, prior_seeds
from avatarpipe.guidance.prior_renders import (
    VIEWS_A_POSE,
    RenderSettings,
    load_shards,
    rendered_shards,
)
from avatarpipe.guidance.prior_words import CLASSES, NOTHING, prompt_class, word_class
from avatarpipe.guidance.words import VIEWS, prompt_for, with_views

SETTINGS = RenderSettings(size=40, poses=1)


def silent(items, total, what):
    return items


@pytest.fixture(scope="module")
def bodies(fake_body_file):
    return {"female": fake_body_file, "male": fake_body_file}


def shards(folder, bodies, seeds, workers=1, settings=SETTINGS, maker=plain_person):
    return rendered_shards(folder, seeds, bodies, maker, settings, workers, silent)


@pytest.fixture(scope="module")
def made(tmp_path_factory, bodies):
    return shards(tmp_path_factory.mktemp("made"), bodies, [10_000, 10_001])


def same(a: Shard, b: Shard) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in vars(a))


def test_seeds_of_the_splits_are_disjoint_and_spare_the_excluded():
    train, test = prior_seeds("train", 50, [1, 10_003, 10_049]), prior_seeds("test", 50, [900_000])
    assert len(set(train)) == 50 and len(set(test)) == 50 and not set(train) & set(test)
    assert not {1, 10_003, 10_049} & set(train) and 900_000 not in test
    assert prior_seeds("train", 20, [1]) == prior_seeds("train", 50, [1])[:20]
    with pytest.raises(InputError, match="too many"):
        prior_seeds("train", 890_001)


def test_two_processes_make_the_same_pictures_as_one(tmp_path, bodies, made):
    again = shards(tmp_path, bodies, [10_001, 10_000], workers=2)
    assert [path.name for path in again] == ["0010001.npz", "0010000.npz"]
    assert same(Shard.load(again[1]), Shard.load(made[0]))
    assert same(Shard.load(again[0]), Shard.load(made[1]))
    assert not np.array_equal(Shard.load(made[0]).colors, Shard.load(made[1]).colors)


def test_what_is_there_is_not_rendered_again(made, bodies):
    before = [path.stat().st_mtime_ns for path in made]
    assert [
        p.stat().st_mtime_ns for p in shards(made[0].parent, bodies, [10_000, 10_001])
    ] == before


def test_pictures_of_other_settings_are_refused(made, bodies):
    with pytest.raises(InputError, match="other settings"):
        shards(made[0].parent, bodies, [10_000], settings=RenderSettings(size=32, poses=1))


def test_a_broken_shard_says_what_to_do(tmp_path):
    (tmp_path / "0010000.npz").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(InputError, match="Delete it"):
        Shard.load(tmp_path / "0010000.npz")


def test_skeletons_lie_on_the_bodies_and_colours_within_the_silhouette(made):
    pictures = load_shards(made)
    assert len(pictures) == 2 * SETTINGS.poses * VIEWS_A_POSE
    drawn = pictures.skeletons.max(axis=-1) > 100
    assert drawn.any(axis=(1, 2)).mean() > 0.9
    on_body = drawn & (pictures.alpha > 0)
    assert on_body.sum() > 0.9 * drawn.sum()  # the fake body has no face, so its eyes are anywhere
    assert not pictures.colors[pictures.alpha == 0].any()
    assert not pictures.hidden[pictures.alpha == 0].any()
    assert 0.1 < pictures.hidden.sum() / (pictures.alpha > 0).sum() < 0.9


def test_the_skin_tone_is_that_of_what_is_not_hidden(made):
    pictures = Shard.load(made[0])
    whole = pictures.colors[(pictures.alpha == 255) & ~pictures.hidden] / 255.0
    np.testing.assert_allclose(pictures.tones[0], whole.mean(axis=0), atol=0.01)


def test_the_edge_of_what_is_hidden_does_not_give_it_away(made):
    pictures = Shard.load(made[0])
    seen = (pictures.alpha > 0) & ~pictures.hidden
    lonely = seen.copy()
    for axis in (1, 2):
        for shift in (-1, 1):
            lonely &= ~np.roll((pictures.alpha == 255) & seen, shift, axis)
    assert lonely.sum() < 0.03 * seen.sum()


def test_batches_are_drawn_by_the_generator_and_varied_within_bounds():
    images = PriorImages(four_pictures(), torch.device("cpu"))
    first, again = (images.batch(64, torch.Generator().manual_seed(5)) for _ in range(2))
    other = images.batch(64, torch.Generator().manual_seed(6))
    assert torch.equal(first.images, again.images) and not torch.equal(first.images, other.images)
    assert first.images.min() >= 0.0 and first.images.max() <= 1.0
    truth = images.at(torch.arange(4))
    on_black = (first.seen.backgrounds == 0).all(dim=1)
    assert 5 < on_black.sum() < 40
    corner = first.images[:, 0, 0]  # empty in every picture
    assert torch.allclose(corner, first.seen.backgrounds)
    assert not truth.seen.certainty[truth.hidden].any()
    assert not first.seen.colors[first.hidden].any()
    assert (first.classes >= neutral_classes(torch.zeros(1, dtype=torch.int64))).any()


def test_pictures_can_be_averaged_to_a_smaller_size(made):
    pictures = Shard.load(made[0])
    small = pictures.resized(20)
    naive = pictures.colors.reshape(8, 20, 2, 20, 2, 3).mean(axis=(2, 4))
    assert np.abs(small.colors - naive).max() <= 0.5 and pictures.resized(40) is pictures
    partly = pictures.hidden.reshape(8, 20, 2, 20, 2).sum(axis=(2, 4))
    assert small.hidden[partly >= 2].all() and not small.hidden[partly == 0].any()


def test_prompts_become_classes():
    for garment, lower in (("upper", True), ("both", False)):
        prompts = with_views(prompt_for("inner", garment, "female"), VIEWS)
        assert [prompt_class(p) for p in prompts] == [
            word_class("woman", view, lower) for view in VIEWS
        ]
    assert prompt_class("somebody in jeans, back view") == word_class("person", "back view", True)
    assert prompt_class("a photo of a man") == NOTHING == CLASSES
    classes = [
        word_class(p, v, w)
        for p in ("man", "woman", "person")
        for v in VIEWS
        for w in (False, True)
    ]
    assert sorted(classes) == list(range(CLASSES))
    assert neutral_classes(torch.tensor(classes[:8])).tolist() == classes[16:]
