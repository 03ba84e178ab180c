"""Score distillation: its gradient is the plain one, view by view, and all it draws is a function of seed and iteration."""

from dataclasses import replace
from functools import cache

import pytest
import torch

from avatarpipe.body.params import BodyParams
from avatarpipe.body.skinning import skinned_motion
from avatarpipe.gaussians.cloud import GaussianCloud
from avatarpipe.gaussians.render import render
from avatarpipe.guidance.cameras import CameraSettings, Zoom, Zooms, sample_views
from avatarpipe.guidance.distillation import ScoreDistillation, StageGuidance, seen_parts
from avatarpipe.guidance.load import load_model
from avatarpipe.guidance.poses import drawn_pose
from avatarpipe.guidance.randomness import Purpose, device_numbers, numbers, stratified
from avatarpipe.guidance.schedule import gradient_weight, timestep_range, timesteps_of
from avatarpipe.guidance.settings import GuidanceSettings
from avatarpipe.guidance.skeleton import draw_skeletons
from avatarpipe.training.densify import ScreenGradients

CPU = torch.device("cpu")
PROMPT, NEGATIVE = "a photo of a woman wearing a shirt", "close up"
STAGE = StageGuidance(weight=3e-4, iterations=100, prompt=PROMPT, negative=NEGATIVE, views=3)


@pytest.fixture(scope="module")
def judge(toy_diffusion, fake_body):
    """A function that makes a ScoreDistillation by the toy networks."""

    @cache
    def model(dtype: str):
        places = (toy_diffusion[name] for name in ("model", "controlnet", "vae"))
        return load_model(*places, dtype, CPU, scale=5.0)

    def make(stage=STAGE, dtype="fp32", **settings) -> ScoreDistillation:
        captured = BodyParams.zeros().replaced(betas=torch.full((1, 10), 0.3))
        return ScoreDistillation(model(dtype), GuidanceSettings(**settings), stage, fake_body, captured, seed=4)

    return make


def gradients(layer) -> dict[str, torch.Tensor]:
    names = ("means", "quats", "scales", "opacities", "colors")
    return {name: getattr(layer.cloud, name).grad for name in names}


def plain_loss(judge: ScoreDistillation, layer, frozen, step: int) -> torch.Tensor:
    """The same by the textbook: one view at a time, two passes of the networks each, 0.5 |x - const(x - grad)|^2."""
    model, settings, stage, body = judge.model, judge.settings, judge.stage, judge.body
    pose = drawn_pose(numbers(4, step, Purpose.POSE), settings.arms_lowered_probability)
    size, count = model.image_size, stage.views
    views = sample_views(
        settings.cameras, stage.zooms, judge.centres[pose], step, count, 2 * size, numbers(4, step, Purpose.VIEWS)
    )
    backgrounds = torch.rand(count, 3, generator=device_numbers(4, step, Purpose.BACKGROUND, CPU))
    noises = torch.randn(count, 4, 4, 4, generator=device_numbers(4, step, Purpose.NOISE, CPU))
    limits = timestep_range(settings.timesteps, settings.timestep_schedule, settings.annealed_to, step / 100)
    shares = stratified(count, numbers(4, step, Purpose.TIMESTEPS))
    total = 0.0
    for i in range(count):
        parts = []
        for part in ([] if frozen is None else [frozen]) + [layer]:
            motion = skinned_motion(body, part.binding, judge.poses[pose])
            cloud = part.cloud
            parts.append(replace(cloud, means=motion.points(cloud.means), quats=motion.rotations(cloud.quats)))
        image = render(GaussianCloud.concatenate(parts), views.cameras[i], backgrounds[i]).rgb
        image = 0.25 * (image[:, ::2, ::2] + image[:, 1::2, ::2] + image[:, ::2, 1::2] + image[:, 1::2, 1::2])
        x = model.vae.encode(2 * image.permute(0, 3, 1, 2) - 1).latents
        t = int((limits[0] + (limits[1] - limits[0]) * shares[i]) * 1000)
        a = model.alphas_cumprod[t]
        noise = noises[i : i + 1]
        noisy = (a.sqrt() * x + (1 - a).sqrt() * noise).detach()
        skeleton = draw_skeletons(
            judge.figures[pose], *views.cameras[[i]].resized(size, size).tensors(), size
        ).permute(0, 3, 1, 2)
        words = [model.embeddings[text][None] for text in (NEGATIVE, f"{PROMPT}, {views.words[i]}")]
        with torch.no_grad():
            down, middle = model.controlnet(noisy, t, words[1], skeleton, 1.0, guess_mode=True, return_dict=False)
            without = model.unet(noisy, t, words[0]).sample
            with_prompt = model.unet(
                noisy, t, words[1], down_block_additional_residuals=down, mid_block_additional_residual=middle
            ).sample
        guided = without + 5.0 * (with_prompt - without)
        grad = a.sqrt() * (1 - a) * (guided - noise)
        total = total + 0.5 * (x - (x - grad).detach()).square().sum()
    return stage.weight * total / count


@pytest.mark.parametrize("with_frozen", [False, True])
def test_the_gradient_is_that_of_a_plain_implementation(judge, covered, with_frozen):
    distillation = judge()
    frozen = covered(200, seed=7) if with_frozen else None
    ours, theirs = covered(), covered()
    term = distillation.loss(ours, frozen, 12)
    term.loss.backward()
    assert frozen is None or frozen.cloud.means.grad is None
    expected = plain_loss(distillation, theirs, frozen, 12)
    expected.backward()
    assert torch.allclose(term.loss, expected, rtol=1e-3)
    for (name, found), wanted in zip(gradients(ours).items(), gradients(theirs).values(), strict=True):
        assert wanted.abs().max() > 0, name
        assert (found - wanted).norm() < 1e-2 * wanted.norm(), name


def test_the_loss_is_normalised_by_view(judge, covered):
    """Twice the views, twice the same: the gradient stays of one size."""
    sizes = {}
    for views in (2, 10):
        norms = []
        for step in range(2):
            layer = covered()
            judge(replace(STAGE, views=views)).loss(layer, None, step).loss.backward()
            norms.append(layer.cloud.colors.grad.sum().abs())
        sizes[views] = torch.stack(norms).mean()
    assert 0.2 < sizes[10] / sizes[2] < 5.0


def test_one_step_is_a_function_of_seed_and_step(judge, covered):
    one, other = judge(), judge()
    for step in (5,):
        other.loss(covered(), None, step)  # having done something before changes nothing
    found = []
    for distillation in (one, other):
        layer = covered()
        distillation.loss(layer, None, 9).loss.backward()
        found.append(gradients(layer))
    for name in found[0]:
        assert torch.equal(found[0][name], found[1][name]), name
    layer = covered()
    one.loss(layer, None, 10).loss.backward()
    assert not torch.equal(layer.cloud.means.grad, found[0]["means"])


def test_guidance_is_due_from_its_start_every_so_often(judge, covered):
    distillation = judge(replace(STAGE, start=10, every=3, views=1))
    due = [step for step in range(18) if distillation.loss(covered(50), None, step) is not None]
    assert due == [11, 14, 17]


def test_half_precision_keeps_small_gradients(judge, covered):
    """fp16 has nothing below 6e-8: the loss weight must not meet the gradient there."""
    found = []
    for dtype in ("fp32", "fp16"):
        layer = covered()
        judge(replace(STAGE, weight=1e-9), dtype).loss(layer, None, 3).loss.backward()
        found.append(layer.cloud.colors.grad)
    assert (found[0] - found[1]).norm() < 0.6 * found[0].norm()  # 1.0 where all has vanished


def test_the_rendering_gives_screen_gradients_of_the_trained_surfels_last(judge, covered):
    layer, frozen = covered(300), covered(100, seed=3)
    term = judge().loss(layer, frozen, 2)
    term.loss.backward()
    screen = term.rendering.screen_points.grad
    assert screen.shape == (3, 400, 2)
    statistic = ScreenGradients(300, CPU)
    statistic.add(screen[:, -300:], term.rendering.radii[:, -300:], 64, 64)
    assert (statistic.mean() > 0).float().mean() > 0.3


def test_a_layer_bound_anew_moves_anew(judge, covered, fake_body):
    distillation = judge()
    layer = covered()
    first = distillation.posing.trained(layer, "canonical").means
    again = replace(layer, binding=layer.binding.select(torch.arange(len(layer.binding)).flip(0)))
    assert not torch.allclose(first, distillation.posing.trained(again, "canonical").means)
    motion = skinned_motion(fake_body, layer.binding, distillation.poses["canonical"])
    assert torch.equal(distillation.posing.trained(layer, "canonical").means, motion.points(layer.cloud.means))


class Recorder:
    """A DiffusionModel that likes grey, and remembers what it was shown and told."""

    image_size, alphas_cumprod = 32, torch.linspace(0.999, 0.01, 1000)
    takes_seen = True

    def read(self, prompts):
        self.prompts = list(prompts)

    def encode(self, images):
        self.images = images
        return images.permute(0, 3, 1, 2)

    def condition(self, prompts, skeletons, negative, seen=None):
        self.told = prompts, skeletons, negative, seen

    def predict(self, noisy, t, condition):
        signal = self.alphas_cumprod[t].view(-1, 1, 1, 1)
        self.t = t
        return (noisy - signal.sqrt() * 0.5) / (1 - signal).sqrt()


@pytest.fixture
def recorder(fake_body):
    model = Recorder()
    settings = GuidanceSettings(weighting="uniform", cameras=CameraSettings(distance=(2.2, 2.4)))
    stage = replace(STAGE, views=4, weight=1.0, zooms=Zooms(head=Zoom(0.0)))
    return model, ScoreDistillation(model, settings, stage, fake_body, BodyParams.zeros(), seed=0)


def test_any_model_is_used_alike_and_descent_follows_it(recorder, covered):
    model, distillation = recorder
    layer = covered(1500)
    optimizer = torch.optim.Adam([layer.cloud.colors], lr=0.08)
    before = (layer.cloud.colors.detach() - 0.5).abs().mean()
    for step in range(15):
        optimizer.zero_grad()
        distillation.loss(layer, None, step).loss.backward()
        optimizer.step()
    assert (layer.cloud.colors.detach() - 0.5).abs().mean() < 0.5 * before
    prompts, skeletons, negative, _ = model.told
    assert set(prompts) <= set(model.prompts) and negative in model.prompts
    assert skeletons.shape == (4, 32, 32, 3) and skeletons.amax(dim=(1, 2, 3)).min() > 0.5


def test_a_model_that_takes_it_is_told_what_is_certain(recorder, covered):
    model, distillation = recorder
    layer = covered(3000)
    upper = (layer.cloud.means[:, 1] > 0.4).float()[:, None]
    layer.cloud.features = upper.detach()
    term = distillation.loss(layer, None, 1)
    seen = model.told[3]
    assert seen.certainty.shape == (4, 32, 32, 1) and seen.backgrounds.shape == (4, 3)
    assert seen.certainty[:, :8].max() > 0.5 and seen.certainty[:, -6:].max() < 0.05
    assert not seen.colors.requires_grad and (seen.colors <= seen.certainty + 1e-4).all()
    certain = (seen.certainty > 0.95)[..., 0]
    assert certain.any()
    assert (seen.colors[certain] - model.images[certain]).abs().max() < 0.1
    term.loss.backward()
    pull = layer.cloud.colors.grad.abs().mean(dim=1)
    assert pull[upper[:, 0] > 0].mean() < 0.2 * pull[upper[:, 0] == 0].mean()  # what is certain is left alone
    nothing = seen_parts(render(replace(layer.cloud, features=None), distillation._views("canonical", 0).cameras), torch.zeros(4, 3), 32)
    assert nothing.certainty.max() == 0 and nothing.colors.abs().max() == 0


def test_timesteps_stay_in_their_range_and_anneal():
    assert timestep_range((0.02, 0.98), "uniform", 0.5, 0.7) == (0.02, 0.98)
    ends = [timestep_range((0.02, 0.98), "annealed", 0.4, progress)[1] for progress in (0.0, 0.25, 1.0)]
    assert ends == pytest.approx([0.98, 0.98 - 0.58 * 0.5, 0.4])
    drawn = timesteps_of(torch.linspace(0, 0.9999, 500).numpy(), (0.02, 0.98), 1000)
    assert drawn.min() == 20 and drawn.max() == 979
    assert timesteps_of(torch.tensor([0.9999]).numpy(), (0.0, 1.0), 1000).max() == 999


def test_weights_are_their_formulas():
    a = torch.tensor([0.9, 0.5, 0.01])
    assert torch.allclose(gradient_weight("published", a), a**0.5 * (1 - a))
    assert torch.allclose(gradient_weight("variance", a), 1 - a)
    assert torch.equal(gradient_weight("uniform", a), torch.ones(3))


def test_statistics_of_two_kinds_of_views_add_up():
    images, guided = ScreenGradients(2, CPU), ScreenGradients(2, CPU)
    images.add(torch.tensor([[[1.0, 0.0], [0.0, 0.0]]]), torch.tensor([[1, 1]]), 2, 2)
    for _ in range(4):
        guided.add(torch.tensor([[[0.0, 2.0], [0.0, 3.0]]]), torch.tensor([[1, 1]]), 2, 2)
    assert torch.allclose(images.beside(guided).mean(), torch.tensor([1.0 + 2.0, 3.0]))
