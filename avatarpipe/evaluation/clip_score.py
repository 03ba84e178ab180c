"""CLIP score (Hessel et al., EMNLP 2021): 100 max(cos, 0) between the embeddings of a picture and of a prompt.

Published numbers are of ViT-B/32 trained on LAION-2B; other CLIP models score on other scales.
"""

from pathlib import Path

import torch
from torch import Tensor
from transformers import CLIPModel, CLIPTokenizer

from avatarpipe.errors import InputError
from avatarpipe.score_files import clip_files


class ClipScore:
    """The network and its tokenizer from `folder`, in the layout of `transformers`.

    Raises InputError where a file is missing or broken, or where the folder holds no CLIP.
    """

    def __init__(self, folder: str | Path, device="cpu"):
        clip_files(folder)
        try:
            self.model = CLIPModel.from_pretrained(folder, local_files_only=True).to(device).eval()
            self.tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
        except Exception as error:  # what is broken decides what is raised
            reason = " ".join(str(error).split())[:300]
            raise InputError(
                f"{folder}: no CLIP in the layout of transformers ({reason}). Fetch it again."
            ) from error
        self.size = self.model.config.vision_config.image_size

    @torch.inference_mode()
    def __call__(self, pixels: Tensor, prompt: str) -> Tensor:
        """(B,) scores of (B, 3, size, size) normalised pictures, 0 to 100."""
        longest = self.model.config.text_config.max_position_embeddings
        words = self.tokenizer(prompt, truncation=True, max_length=longest, return_tensors="pt").to(
            pixels.device
        )
        found = self.model(
            input_ids=words["input_ids"],
            attention_mask=words["attention_mask"],
            pixel_values=pixels,
        )
        cosine = torch.nn.functional.cosine_similarity(
            found.image_embeds, found.text_embeds, dim=-1
        )
        return 100.0 * cosine.clamp_min(0.0)
