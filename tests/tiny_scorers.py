"""ImageReward and CLIP of toy size with random weights, in the very files that their makers publish."""

import json
from pathlib import Path

import torch
from transformers import CLIPConfig, CLIPModel

WORDS = (
    "a", "man", "woman", "person", "wearing", "pants", "and", "white", "tank", "top", "with", "black", "background",
)  # fmt: skip
MED = {
    "architectures": ["BertModel"], "attention_probs_dropout_prob": 0.1, "hidden_act": "gelu", "hidden_dropout_prob": 0.1,
    "hidden_size": 24, "initializer_range": 0.02, "intermediate_size": 40, "layer_norm_eps": 1e-12,
    "max_position_embeddings": 64, "model_type": "bert", "num_attention_heads": 3, "num_hidden_layers": 2, "pad_token_id": 0,
    "type_vocab_size": 2, "vocab_size": 30, "encoder_width": 768, "add_cross_attention": True,
}  # fmt: skip
WIDTH, PATCH, SIDE, BLOCKS = 128, 8, 4, 2  # of the image encoder; pictures of 32 pixels, two heads


def image_reward_state(generator: torch.Generator) -> dict[str, torch.Tensor]:
    """Every tensor of the checkpoint by its published name, and two that nothing needs."""
    hidden, inner = MED["hidden_size"], MED["intermediate_size"]
    shapes = {
        "cls_token": (1, 1, WIDTH), "pos_embed": (1, SIDE * SIDE + 1, WIDTH),
        "patch_embed.proj.weight": (WIDTH, 3, PATCH, PATCH), "patch_embed.proj.bias": (WIDTH,),
        **norm("norm", WIDTH),
    }  # fmt: skip
    for k in range(BLOCKS):
        shapes |= norm(f"blocks.{k}.norm1", WIDTH) | norm(f"blocks.{k}.norm2", WIDTH)
        shapes |= linear(f"blocks.{k}.attn.qkv", WIDTH, 3 * WIDTH) | linear(
            f"blocks.{k}.attn.proj", WIDTH, WIDTH
        )
        shapes |= linear(f"blocks.{k}.mlp.fc1", WIDTH, 96) | linear(
            f"blocks.{k}.mlp.fc2", 96, WIDTH
        )
    shapes = {f"blip.visual_encoder.{name}": shape for name, shape in shapes.items()}
    text = {
        "embeddings.word_embeddings.weight": (MED["vocab_size"], hidden),
        "embeddings.position_embeddings.weight": (MED["max_position_embeddings"], hidden),
        **norm("embeddings.LayerNorm", hidden),
    }  # fmt: skip
    for k in range(MED["num_hidden_layers"]):
        for kind, given in (("attention", hidden), ("crossattention", WIDTH)):
            layer = f"encoder.layer.{k}.{kind}"
            text |= linear(f"{layer}.self.query", hidden, hidden)
            text |= linear(f"{layer}.self.key", given, hidden) | linear(
                f"{layer}.self.value", given, hidden
            )
            text |= linear(f"{layer}.output.dense", hidden, hidden) | norm(
                f"{layer}.output.LayerNorm", hidden
            )
        text |= linear(f"encoder.layer.{k}.intermediate.dense", hidden, inner)
        text |= linear(f"encoder.layer.{k}.output.dense", inner, hidden)
        text |= norm(f"encoder.layer.{k}.output.LayerNorm", hidden)
    shapes |= {f"blip.text_encoder.{name}": shape for name, shape in text.items()}
    shapes |= linear("blip.vision_proj", WIDTH, 256)
    sizes = (hidden, 1024, 128, 64, 16, 1)
    for place, k in zip((0, 2, 4, 6, 7), range(5), strict=True):
        shapes |= linear(f"mlp.layers.{place}", sizes[k], sizes[k + 1])
    state = {name: 0.2 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    return state | {"blip.text_encoder.embeddings.position_ids": torch.arange(64)[None]}


def linear(name: str, given: int, made: int) -> dict[str, tuple]:
    return {f"{name}.weight": (made, given), f"{name}.bias": (made,)}


def norm(name: str, width: int) -> dict[str, tuple]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def write_image_reward(folder: Path) -> dict[str, torch.Tensor]:
    """ImageReward.pt, med_config.json and vocab.txt in `folder`; returns the checkpoint."""
    folder.mkdir(parents=True)
    state = image_reward_state(torch.Generator().manual_seed(0))
    torch.save(state, folder / "ImageReward.pt")
    (folder / "med_config.json").write_text(json.dumps(MED))
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    (folder / "vocab.txt").write_text("\n".join([*special, *WORDS]) + "\n")
    return state


def write_clip(folder: Path) -> CLIPModel:
    """config.json, model.safetensors, vocab.json and merges.txt in `folder`; returns the model."""
    torch.manual_seed(1)
    sizes = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    letters = [chr(k) for k in range(ord("a"), ord("z") + 1)]
    tokens = [
        *letters,
        *(f"{letter}</w>" for letter in letters),
        "<|startoftext|>",
        "<|endoftext|>",
    ]
    text = sizes | {
        "vocab_size": len(tokens), "max_position_embeddings": 77, "projection_dim": 16,
        "bos_token_id": len(tokens) - 2, "eos_token_id": len(tokens) - 1,
    }  # fmt: skip
    vision = sizes | {"image_size": 32, "patch_size": 8, "projection_dim": 16}
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)).eval()
    model.save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({token: k for k, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return model
