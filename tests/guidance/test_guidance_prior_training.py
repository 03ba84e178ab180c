"""A tiny prior on four pictures: it learns them, is written and read, resumes exactly, and guides an image to one of them."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from prior_people import four_pictures

from avatarpipe.errors import InputError
from avatarpipe.guidance.load import load_model
from avatarpipe.guidance.model import Seen
from avatarpipe.guidance.prior_data import PriorImages
from avatarpipe.guidance.prior_model import (
    SEEN,
    TONE,
    Prior,
    PriorCondition,
    denoise,
    make_unet,
    planes,
    sample,
    save_prior,
    schedule,
    to_images,
    to_latents,
)
from avatarpipe.guidance.prior_sheet import TOLD, held_out
from avatarpipe.guidance.prior_training import PriorSettings, PriorStage
from avatarpipe.guidance.words import VIEWS, with_views
from avatarpipe.training.checkpoint import Checkpoints
from avatarpipe.training.loop import train

CPU = torch.device("cpu")
SETTINGS = PriorSettings(
    size=16,
    channels=(16, 32),
    iterations=300,
    batch=10,
    learning_rate=3e-3,
    warmup=10,
    average=0.98,
)
PROMPTS = with_views("a photo of a man", VIEWS)


@pytest.fixture(scope="module")
def images():
    return PriorImages(four_pictures(), CPU)


@pytest.fixture(scope="module")
def network(images):
    stage = PriorStage(images, SETTINGS, 0, CPU)
    for step in range(SETTINGS.iterations):
        stage.step(step)
    return stage.result()


@pytest.fixture(scope="module")
def folder(network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("prior")
    save_prior(folder, network, {"trained_on": 4})
    return folder


def guide(folder, scale=1.0):
    return load_model(str(folder), "", "", "fp32", CPU, scale=scale)


@pytest.fixture(scope="module")
def whole(images):
    """All four pictures and everything about them."""
    batch = images.at(torch.arange(4))
    return batch, PriorCondition(batch.classes, planes(batch.skeletons, batch.seen, batch.tones))


def test_it_denoises_far_better_than_a_constant(network, whole):
    batch, condition = whole
    latents = to_latents(batch.images)
    generator = torch.Generator().manual_seed(0)
    errors, naive = [], []
    for t in (100, 400, 700, 900):
        level = schedule().alphas_cumprod[t]
        noise = torch.randn(latents.shape, generator=generator)
        velocity = level.sqrt() * noise - (1 - level).sqrt() * latents
        noisy = level.sqrt() * latents + (1 - level).sqrt() * noise
        with torch.no_grad():
            answer = denoise(network, noisy, torch.full((4,), t), condition)
        errors.append((answer - velocity).square().mean().item())
        naive.append(velocity.square().mean().item())
    assert np.mean(errors) < 0.2 * np.mean(naive), (errors, naive)


def test_samples_are_the_pictures_that_their_conditions_name(network, whole):
    batch, condition = whole
    drawn = sample(Prior(network), condition, 20, torch.Generator().manual_seed(1))
    distance = (drawn[:, None] - batch.images[None]).square().mean(dim=(2, 3, 4))
    assert (distance.argmin(dim=1) == torch.arange(4)).all()
    nothing_learnt = (0.5 - batch.images).square().mean()
    assert distance.diagonal().mean() < 0.5 * nothing_learnt


def test_noise_is_the_velocity_turned(network, whole):
    """eps = sqrt(a) v + sqrt(1 - a) x, checked with the exact velocity of a known noise."""
    prior = Prior(network)
    t = torch.tensor([10, 300, 600, 950])
    level = prior.alphas_cumprod[t].view(-1, 1, 1, 1)
    image, noise = torch.randn(2, 4, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    velocity = level.sqrt() * noise - (1 - level).sqrt() * image
    prior.velocity = lambda *_: velocity
    noisy = level.sqrt() * image + (1 - level).sqrt() * noise
    torch.testing.assert_close(prior.predict(noisy, t, whole[1]), noise, atol=1e-4, rtol=1e-4)


def test_guidance_scale_moves_away_from_the_unconditional_answer(network, whole):
    condition, t = whole[1], torch.full((4,), 500)
    noisy = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(3))
    every = torch.ones(4, dtype=torch.bool)
    with_it = Prior(network, 1.0).predict(noisy, t, condition)
    without = Prior(network, 1.0).predict(noisy, t, condition.nothing(every))
    twice = Prior(network, 2.0).predict(noisy, t, condition)
    assert (with_it - without).abs().max() > 1e-3
    torch.testing.assert_close(twice, without + 2.0 * (with_it - without), atol=1e-4, rtol=1e-4)


def test_saved_and_loaded_it_answers_alike(network, folder, whole):
    batch, condition = whole
    loaded = guide(folder)
    noisy, t = torch.randn(4, 3, 16, 16), torch.tensor([5, 250, 500, 999])
    assert torch.equal(
        loaded.predict(noisy, t, condition), Prior(network).predict(noisy, t, condition)
    )
    assert loaded.image_size == 16 and loaded.alphas_cumprod.shape == (1000,)
    torch.testing.assert_close(to_images(loaded.encode(batch.images)), batch.images)
    half = load_model(str(folder), "", "", "bf16", CPU, scale=1.0)
    assert half.predict(noisy, t, condition.to(torch.bfloat16)).dtype == torch.float32


def test_a_condition_holds_what_it_was_told(folder, whole):
    batch, condition = whole
    model = guide(folder)
    unseen = model.condition(PROMPTS, batch.skeletons, "ugly")
    assert not unseen.planes[:, SEEN].any() and not unseen.planes[:, TONE].any()
    model.tone = torch.tensor([0.2, 0.4, 0.6])
    told = model.condition(PROMPTS, batch.skeletons, "", seen=batch.seen)
    assert torch.equal(told.planes[:, SEEN], condition.planes[:, SEEN])
    assert torch.allclose(told.planes[:, TONE].mean(dim=(0, 2, 3)), model.tone)


def test_distillation_moves_an_image_to_the_picture_of_its_condition(folder, whole):
    """Poole et al. 2023, eq. 3, on the pixels themselves: grey becomes the green square at the upper right."""
    batch, model = whole[0], guide(folder)
    alone = Seen(
        *(x[1:2] for x in (batch.seen.colors, batch.seen.certainty, batch.seen.backgrounds))
    )
    model.tone = batch.tones[1]
    condition = model.condition([PROMPTS[1]], batch.skeletons[1:2], "", seen=alone)
    image = torch.full((1, 16, 16, 3), 0.5, requires_grad=True)
    optimiser = torch.optim.Adam([image], 0.03)
    generator = torch.Generator().manual_seed(4)
    before = (image.detach() - batch.images).square().mean(dim=(1, 2, 3))
    for _ in range(120):
        latents = model.encode(image)
        t = torch.randint(20, 980, (1,), generator=generator)
        level = model.alphas_cumprod[t].view(-1, 1, 1, 1)
        noise = torch.randn(latents.shape, generator=generator)
        noisy = level.sqrt() * latents.detach() + (1 - level).sqrt() * noise
        gradient = level.sqrt() * (1 - level) * (model.predict(noisy, t, condition) - noise)
        optimiser.zero_grad()
        latents.backward(gradient)
        optimiser.step()
    after = (image.detach() - batch.images).square().mean(dim=(1, 2, 3))
    assert after.argmin() == 1 and after[1] < 0.15 * before[1], (before, after)


def test_a_killed_training_resumes_bit_for_bit(images, tmp_path):
    settings = replace(SETTINGS, iterations=8, batch=4)

    def trained(folder, until):
        stage = PriorStage(images, settings, 7, CPU)
        train(stage, until, Checkpoints(folder, {"a": 1}), "test", CPU, checkpoint_every=3)
        return stage

    straight = trained(tmp_path / "straight", 8)
    trained(tmp_path / "cut", 5)  # leaves the checkpoint of iteration 3
    resumed = trained(tmp_path / "cut", 8)
    assert Checkpoints(tmp_path / "cut", {"a": 1}).newest() is not None
    for name, value in straight.state().items():
        assert torch.equal(value, resumed.state()[name]), name


def test_the_sheet_shows_truth_condition_and_samples(network, images):
    sheet, scores = held_out(Prior(network), images, 0)
    assert sheet.shape == (2 * 5 * 16, 2 * 4 * 16, 3)
    truth = images.at(torch.arange(4), 0.5).images.numpy()
    np.testing.assert_allclose(sheet[:32:2, :128:2], np.concatenate(list(truth), axis=1))
    assert list(scores) == list(TOLD) and all(8.0 < score < 60.0 for score in scores.values())
    assert scores[TOLD[2]] > scores[TOLD[0]]


def test_sizes_that_do_not_halve_are_refused():
    with pytest.raises(InputError, match="multiple of 4"):
        make_unet(18, (8, 16, 16))


@pytest.mark.parametrize("fault", ["version", "no weights", "cut weights", "other network"])
def test_a_prior_that_is_none_says_so(folder, tmp_path, fault):
    import shutil

    copy = tmp_path / "prior"
    shutil.copytree(folder, copy)
    weights = copy / "unet/diffusion_pytorch_model.safetensors"
    if fault == "version":
        manifest = json.loads((copy / "prior.json").read_text())
        (copy / "prior.json").write_text(json.dumps(manifest | {"format_version": 99}))
    elif fault == "no weights":
        weights.unlink()
    elif fault == "cut weights":
        weights.write_bytes(weights.read_bytes()[:1000])
    else:
        from diffusers import UNet2DModel

        UNet2DModel(16, 3, 3, block_out_channels=(8, 8), norm_num_groups=4,
                    down_block_types=("DownBlock2D",) * 2, up_block_types=("UpBlock2D",) * 2).save_pretrained(copy / "unet")  # fmt: skip
    with pytest.raises(InputError, match="Train it with"):
        guide(copy)
