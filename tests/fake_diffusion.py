"""A Stable Diffusion pipeline of toy size, random weights, saved as diffusers and transformers save theirs."""

import json
from pathlib import Path

import torch

WORDS = (
    "a", "photo", "of", "man", "woman", "person", "wearing", "shirt", "pants", "and", "white", "tank", "top",
    "front", "side", "back", "overhead", "view",
)  # fmt: skip
WIDTHS = (4, 8, 8, 8)
TEXT = {"hidden_size": 12, "intermediate_size": 16, "num_attention_heads": 2, "num_hidden_layers": 2}


def write_pipeline(root: Path, size: int = 32, prediction: str = "epsilon") -> dict[str, str]:
    """Folders of the model (with a VAE of its own), the ControlNet and a tiny VAE, by the keys of layered.guidance."""
    from diffusers import (
        AutoencoderKL,
        AutoencoderTiny,
        ControlNetModel,
        DDPMScheduler,
        UNet2DConditionModel,
    )

    torch.manual_seed(0)
    both = {
        "cross_attention_dim": TEXT["hidden_size"], "attention_head_dim": 2,
        "block_out_channels": WIDTHS, "norm_num_groups": 4, "layers_per_block": 1,
    }  # fmt: skip
    model = root / "sd"
    UNet2DConditionModel(sample_size=size // 8, **both).save_pretrained(model / "unet")
    AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(4,) * 4, norm_num_groups=2, latent_channels=4,
    ).save_pretrained(model / "vae")  # fmt: skip
    DDPMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type=prediction
    ).save_pretrained(model / "scheduler")
    _write_text_encoder(model)
    (model / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline"}))
    control = ControlNetModel(conditioning_embedding_out_channels=(4, 4, 8, 8), **both)
    _wake(control)
    control.save_pretrained(root / "openpose")
    _write_tiny_vae(AutoencoderTiny, root / "taesd")
    return {"model": str(model), "controlnet": str(root / "openpose"), "vae": str(root / "taesd")}


def _write_tiny_vae(kind: type, folder: Path) -> None:
    kind(encoder_block_out_channels=(8,) * 4, decoder_block_out_channels=(8,) * 4).save_pretrained(folder)


def _wake(control) -> None:
    """A new ControlNet says nothing, its last layers are zero: give them something to say."""
    for block in [*control.controlnet_down_blocks, control.controlnet_mid_block]:
        torch.nn.init.normal_(block.weight, std=0.5)
    torch.nn.init.normal_(control.controlnet_cond_embedding.conv_out.weight, std=0.5)


def _write_text_encoder(model: Path) -> None:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    pieces = ["<|startoftext|>", "<|endoftext|>", *(f"{word}</w>" for word in WORDS), *"abcdefghijklmnopqrstuvwxyz,"]
    pieces += [f"{letter}</w>" for letter in "abcdefghijklmnopqrstuvwxyz"]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    folder = model / "tokenizer"
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=20)
    tokenizer.save_pretrained(folder)
    ends = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    config = CLIPTextConfig(vocab_size=len(vocabulary), max_position_embeddings=20, **TEXT, **ends)
    CLIPTextModel(config).save_pretrained(model / "text_encoder")
