"""ImageReward 1.0 (Xu et al., NeurIPS 2023): how well people would like a picture as an answer to a prompt.

A ViT encodes the image, BLIP's text encoder reads the prompt with cross attention to it, five linear layers make a number of the
first token. The published checkpoint is read into the BLIP of `transformers`; its own package asks for software of
2023. Published scores of generated images lie mostly between -2 and 2, with mean 0 and deviation 1.
"""

import json
from pathlib import Path

import torch
from tokenizers import BertWordPieceTokenizer
from torch import Tensor, nn
from transformers import BlipTextConfig, BlipTextModel, BlipVisionConfig, BlipVisionModel

from avatarpipe.errors import InputError
from avatarpipe.prefixes import under
from avatarpipe.score_files import image_reward_files

REWARD_MEAN, REWARD_DEVIATION = 0.16717362830052426, 1.0333394966054072
PROMPT_TOKENS = 35  # longer prompts are cut
HEAD_CHANNELS = 64  # of a ViT, base and large alike
MLP_CHANNELS = (1024, 128, 64, 16, 1)
_MLP_PLACES = (0, 2, 4, 6, 7)  # in the checkpoint, where layers of dropout stood between
_TEXT_KEYS = (
    "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
    "max_position_embeddings", "hidden_act", "layer_norm_eps", "pad_token_id",
)  # fmt: skip
_VISION_NAMES = (
    ("cls_token", "embeddings.class_embedding"), ("pos_embed", "embeddings.position_embedding"),
    ("patch_embed.proj.", "embeddings.patch_embedding."), ("blocks.", "encoder.layers."),
    (".attn.proj.", ".self_attn.projection."), (".attn.", ".self_attn."), (".norm1.", ".layer_norm1."),
    (".norm2.", ".layer_norm2."),
)  # fmt: skip


class ImageReward(nn.Module):
    """The network, loaded; sizes are those of the checkpoint.

    folder: holds ImageReward.pt, med_config.json and vocab.txt (of bert-base-uncased). Raises InputError where one is missing,
    broken, or holds something else.
    """

    def __init__(self, folder: str | Path):
        super().__init__()
        files = image_reward_files(folder)
        state, path = _read_state(files["ImageReward.pt"]), files["ImageReward.pt"]
        vision, text = under("blip.visual_encoder.", state), under("blip.text_encoder.", state)
        try:
            vision_config = _vision_config(vision)
            text_config = _text_config(files["med_config.json"], vision_config.hidden_size)
            self.vision = BlipVisionModel(vision_config)
            self.text = BlipTextModel(text_config, add_pooling_layer=False)
            self.mlp = _mlp(text_config.hidden_size)
            _fill(self.vision, {_vision_name(name): value for name, value in vision.items()})
            _fill(self.text, text)
            _fill(self.mlp, _mlp_state(under("mlp.layers.", state)))
        except (KeyError, RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())[:300]
            raise InputError(
                f"{path}: not the checkpoint of ImageReward that {files['med_config.json']} describes ({reason}). "
                "Fetch both again; docs/licensed.md says how."
            ) from error
        self.tokenizer = _tokenizer(files["vocab.txt"])
        self.size = vision_config.image_size
        self.eval().requires_grad_(False)

    @torch.inference_mode()
    def forward(self, pixels: Tensor, prompt: str) -> Tensor:
        """(B,) rewards of (B, 3, size, size) normalised pictures."""
        seen = self.vision(pixels).last_hidden_state
        tokens = torch.tensor([self.tokenizer.encode(prompt).ids], device=pixels.device)
        tokens = tokens.expand(len(pixels), -1)
        read = self.text(
            input_ids=tokens, attention_mask=torch.ones_like(tokens), encoder_hidden_states=seen,
            encoder_attention_mask=torch.ones(seen.shape[:2], dtype=torch.long, device=pixels.device), is_decoder=False,
        ).last_hidden_state  # fmt: skip
        return (self.mlp(read[:, 0].float())[:, 0] - REWARD_MEAN) / REWARD_DEVIATION


def _read_state(path: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the loader raises whatever its archive reader does
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"{path}: truncated or no checkpoint ({reason}). Fetch it again."
        ) from error
    if not isinstance(state, dict):
        raise InputError(f"{path}: holds no tensors by name. Fetch it again.")
    return state


def _vision_config(state: dict[str, Tensor]) -> BlipVisionConfig:
    """The sizes of the image encoder, from its tensors. Its norms use 1e-6, where `transformers` would take 1e-5."""
    _, places, width = state["pos_embed"].shape
    patch = state["patch_embed.proj.weight"].shape[-1]
    return BlipVisionConfig(
        hidden_size=width,
        intermediate_size=state["blocks.0.mlp.fc1.weight"].shape[0],
        num_hidden_layers=len({name.split(".")[1] for name in state if name.startswith("blocks.")}),
        num_attention_heads=width // HEAD_CHANNELS,
        image_size=round((places - 1) ** 0.5) * patch,
        patch_size=patch,
        layer_norm_eps=1e-6,
    )


def _text_config(path: Path, encoder_width: int) -> BlipTextConfig:
    """The text encoder as med_config.json describes it; ValueError where it does not."""
    given = json.loads(path.read_text())  # JSONDecodeError is a ValueError
    return BlipTextConfig(
        **{name: given[name] for name in _TEXT_KEYS}, encoder_hidden_size=encoder_width
    )


def _vision_name(name: str) -> str:
    """What `transformers` calls a tensor of the image encoder."""
    for theirs, ours in _VISION_NAMES:
        name = name.replace(theirs, ours)
    return f"post_layernorm.{name.removeprefix('norm.')}" if name.startswith("norm.") else name


def _mlp(width: int) -> nn.Sequential:
    sizes = (width, *MLP_CHANNELS)
    return nn.Sequential(*(nn.Linear(sizes[k], sizes[k + 1]) for k in range(len(MLP_CHANNELS))))


def _mlp_state(state: dict[str, Tensor]) -> dict[str, Tensor]:
    kinds = ("weight", "bias")
    return {
        f"{k}.{kind}": state[f"{place}.{kind}"]
        for k, place in enumerate(_MLP_PLACES)
        for kind in kinds
    }


def _fill(module: nn.Module, state: dict[str, Tensor]) -> None:
    """Load what the module has; the checkpoint may hold more. KeyError or RuntimeError where one is missing or misfits."""
    module.load_state_dict({name: state[name] for name in module.state_dict()})


def _tokenizer(vocabulary: Path) -> BertWordPieceTokenizer:
    try:
        tokenizer = BertWordPieceTokenizer(str(vocabulary), lowercase=True)
        tokenizer.enable_truncation(PROMPT_TOKENS)
        tokenizer.encode("a")
    except Exception as error:  # the library raises plain Exception
        raise InputError(
            f"{vocabulary}: no vocabulary of bert-base-uncased ({error}). Fetch it again."
        ) from error
    return tokenizer
