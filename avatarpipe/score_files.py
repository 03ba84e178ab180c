"""The files that scoring needs: the networks of ImageReward and of CLIP, as their makers publish them.

Imports no torch: the workflow asks here too, before any job runs. What is missing is named, never fetched.
"""

from pathlib import Path

from avatarpipe.errors import InputError
from avatarpipe.files import require_file

IMAGE_REWARD_FILES = ("ImageReward.pt", "med_config.json", "vocab.txt")
CLIP_FILES = ("config.json", "vocab.json", "merges.txt")
CLIP_WEIGHTS = ("model.safetensors", "pytorch_model.bin")


def image_reward_files(folder: str | Path) -> dict[str, Path]:
    """Checkpoint, text configuration and vocabulary in `folder`, by name; InputError names the first that is missing."""
    hint = (
        "scoring.image_reward in config.yaml names its folder; empty leaves the score out. Fetch it once: "
        f"`hf download zai-org/ImageReward ImageReward.pt med_config.json --local-dir {folder}` and "
        f"`hf download google-bert/bert-base-uncased vocab.txt --local-dir {folder}`. Nothing is downloaded by itself."
    )
    return {name: require_file(Path(folder, name), hint) for name in IMAGE_REWARD_FILES}


def clip_files(folder: str | Path) -> dict[str, Path]:
    """Configuration, tokenizer and weights in `folder`, by name; InputError names the first that is missing."""
    hint = (
        "scoring.clip in config.yaml names its folder; empty leaves the score out. Fetch it once: "
        f"`hf download laion/CLIP-ViT-B-32-laion2B-s34B-b79K config.json model.safetensors vocab.json merges.txt "
        f"--local-dir {folder}`. Nothing is downloaded by itself."
    )
    found = next((name for name in CLIP_WEIGHTS if Path(folder, name).is_file()), CLIP_WEIGHTS[0])
    return {name: require_file(Path(folder, name), hint) for name in (*CLIP_FILES, found)}


def score_files(image_reward: str | Path, clip: str | Path) -> list[Path]:
    """All files of the scores whose folder is not empty; InputError where both are."""
    if not (image_reward or clip):
        raise InputError(
            "scoring.image_reward and scoring.clip are both empty; name the folder of at least one network."
        )
    rewarded = image_reward_files(image_reward).values() if image_reward else ()
    return [*rewarded, *(clip_files(clip).values() if clip else ())]
