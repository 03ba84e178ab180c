"""Stable Diffusion as a DiffusionModel: guided noise as networks called one by one give it, and errors that say how to get weights."""

import json
import shutil

import fake_diffusion
import pytest
import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from safetensors.torch import load_file, save_file

from avatarpipe.errors import InputError
from avatarpipe.guidance.load import load_model

PROMPTS = ["a photo of a woman, front view", "a photo of a woman, back view"]
CPU = torch.device("cpu")


def loaded(folders, dtype="fp32", **options):
    model = load_model(folders["model"], folders["controlnet"], folders["vae"], dtype, CPU, **options)
    model.read([*PROMPTS, ""])
    return model


def inputs(seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    images, skeletons = torch.rand(2, 2, 32, 32, 3, generator=generator)
    return images, skeletons, torch.tensor([50, 700])


@pytest.mark.parametrize("guess_mode", [True, False])
def test_guided_noise_is_that_of_the_networks_called_one_by_one(toy_diffusion, guess_mode):
    model = loaded(toy_diffusion, scale=7.0, controlnet_scale=0.8, guess_mode=guess_mode)
    _, skeletons, t = inputs()
    noisy = torch.randn(2, 4, 4, 4, generator=torch.Generator().manual_seed(1))
    found = model.predict(noisy, t, model.condition(PROMPTS, skeletons, ""))
    unet = UNet2DConditionModel.from_pretrained(toy_diffusion["model"], subfolder="unet", low_cpu_mem_usage=False)
    control = ControlNetModel.from_pretrained(toy_diffusion["controlnet"], low_cpu_mem_usage=False)
    for i, prompt in enumerate(PROMPTS):
        answers = []
        for text in ("", prompt):
            x, words = noisy[i : i + 1], model.embeddings[text][None]
            hint = skeletons[i : i + 1].permute(0, 3, 1, 2)
            down, mid = control(x, t[i], words, hint, 0.8, guess_mode=guess_mode, return_dict=False)
            if guess_mode and not text:
                down, mid = None, None
            with torch.no_grad():
                answers.append(unet(x, t[i], words, down_block_additional_residuals=down, mid_block_additional_residual=mid).sample)
        without, with_prompt = answers
        assert torch.allclose(found[i], (without + 7.0 * (with_prompt - without))[0], atol=2e-4, rtol=1e-4)


def test_skeleton_prompt_view_and_negative_all_matter(toy_diffusion):
    model = loaded(toy_diffusion)
    _, skeletons, t = inputs()
    noisy = torch.randn(2, 4, 4, 4, generator=torch.Generator().manual_seed(1))
    base = model.predict(noisy, t, model.condition(PROMPTS, skeletons, ""))
    swapped = model.predict(noisy, t, model.condition(PROMPTS[::-1], skeletons, ""))
    black = model.predict(noisy, t, model.condition(PROMPTS, torch.zeros_like(skeletons), ""))
    negated = model.predict(noisy, t, model.condition(PROMPTS, skeletons, PROMPTS[0]))
    for other in (swapped, black, negated):
        assert (base - other).abs().max() > 1e-3


def test_the_text_encoder_goes_once_the_prompts_are_read(toy_diffusion):
    model = loaded(toy_diffusion)
    assert model.read_prompts is None and set(model.embeddings) == {*PROMPTS, ""}
    with pytest.raises(KeyError):
        model.condition(["another"], torch.zeros(1, 32, 32, 3), "")


@pytest.mark.parametrize("own_vae", [True, False])
def test_latents_follow_the_images_and_nothing_else_learns(toy_diffusion, own_vae):
    model = loaded(toy_diffusion | ({"vae": ""} if own_vae else {}))
    images = inputs()[0].requires_grad_()
    latents = model.encode(images)
    assert latents.shape == (2, 4, 4, 4) and latents.dtype == torch.float32
    vae = model.vae
    if own_vae:
        code = vae.encode(2 * images.permute(0, 3, 1, 2) - 1).latent_dist.mode() * 0.18215
    else:
        code = vae.encode(2 * images.permute(0, 3, 1, 2) - 1).latents
    assert torch.allclose(latents, code, atol=1e-5)
    latents.square().sum().backward()
    assert images.grad.abs().max() > 0
    networks = (model.unet, model.controlnet, model.vae)
    assert all(p.grad is None and not p.requires_grad for net in networks for p in net.parameters())


@pytest.mark.parametrize(("dtype", "torch_dtype"), [("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_half_precision_is_close(toy_diffusion, dtype, torch_dtype):
    images, skeletons, t = inputs()
    full, half = loaded(toy_diffusion, scale=2.0), loaded(toy_diffusion, dtype, scale=2.0)
    assert half.unet.dtype == half.vae.dtype == half.controlnet.dtype == torch_dtype
    answers = [
        model.predict(model.encode(images), t, model.condition(PROMPTS, skeletons, ""))
        for model in (full, half)
    ]
    assert answers[1].dtype == torch.float32
    assert (answers[0] - answers[1]).norm() < 0.1 * answers[0].norm()


def test_velocities_become_noise(toy_diffusion, tmp_path):
    folders = {name: shutil.copytree(path, tmp_path / name) for name, path in toy_diffusion.items()}
    config = folders["model"] / "scheduler" / "scheduler_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"prediction_type": "v_prediction"}))
    plain, velocity = loaded(toy_diffusion), loaded({k: str(v) for k, v in folders.items()})
    _, skeletons, t = inputs()
    noisy = torch.randn(2, 4, 4, 4, generator=torch.Generator().manual_seed(1))
    v = plain.predict(noisy, t, plain.condition(PROMPTS, skeletons, ""))
    noise = velocity.predict(noisy, t, velocity.condition(PROMPTS, skeletons, ""))
    a = plain.alphas_cumprod[t].view(-1, 1, 1, 1)
    image = (noisy - (1 - a).sqrt() * noise) / a.sqrt()
    assert torch.allclose(a.sqrt() * noise - (1 - a).sqrt() * image, v, atol=1e-3)


def test_betas_are_those_of_the_checkpoint(toy_diffusion):
    alphas = loaded(toy_diffusion).alphas_cumprod
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    assert torch.allclose(alphas, torch.cumprod(1 - betas, 0), atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": "resources/nowhere"}, r"resources/nowhere: no such folder.*layered\.guidance\.model.*hf download stable-diffusion-v1-5/stable-diffusion-v1-5 --local-dir resources/nowhere"),
        ({"controlnet": ""}, r"layered\.guidance\.controlnet is empty.*hf download lllyasviel/sd-controlnet-openpose"),
        ({"vae": "no/vae"}, r"no/vae: no such folder, nor a repository in the local.*hf download madebyollin/taesd"),
    ],
)  # fmt: skip
def test_missing_weights_are_named_with_how_to_get_them(toy_diffusion, changes, words):
    with pytest.raises(InputError, match=words):
        loaded(toy_diffusion | changes)


def test_a_part_that_is_missing_broken_or_incomplete_is_named(toy_diffusion, tmp_path):
    model = shutil.copytree(toy_diffusion["model"], tmp_path / "sd")
    folders = toy_diffusion | {"model": str(model)}
    weights = model / "unet" / "diffusion_pytorch_model.safetensors"
    whole = weights.read_bytes()
    tensors = load_file(weights)
    tensors.pop("conv_in.weight")
    save_file(tensors, weights, {"format": "pt"})
    with pytest.raises(InputError, match=r"unet: lacks 1 weights of a UNet2DConditionModel, conv_in\.weight"):
        loaded(folders)
    weights.write_bytes(whole[:1000])
    with pytest.raises(InputError, match=r"sd/unet: no UNet2DConditionModel could be loaded"):
        loaded(folders)
    weights.unlink()
    with pytest.raises(InputError, match=r"sd/unet: no UNet2DConditionModel could be loaded"):
        loaded(folders)


def test_other_mistakes_are_named(toy_diffusion, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="dtype 'int8': expected one of bf16, fp16, fp32"):
        loaded(toy_diffusion, "int8")
    monkeypatch.setitem(fake_diffusion.TEXT, "hidden_size", 16)
    other = fake_diffusion.write_pipeline(tmp_path)
    with pytest.raises(InputError, match="made for another model"):
        loaded(toy_diffusion | {"controlnet": other["controlnet"]})
