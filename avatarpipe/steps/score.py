"""Score pictures by ImageReward and CLIP: how well they show what a prompt says. Needs only what envs/imagereward.yaml holds.

    avatarpipe score --pictures results/demo/layered/score/pictures/pictures.json \\
        --prompt "a woman wearing pants and a white tank top with black background" \\
        --image-reward resources/imagereward --clip resources/clip --out results/demo/layered/score/metrics.parquet
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from avatarpipe.devices import chosen_device
from avatarpipe.errors import InputError
from avatarpipe.evaluation.clip_score import ClipScore
from avatarpipe.evaluation.image_reward import ImageReward
from avatarpipe.evaluation.rows import score_rows, tidy
from avatarpipe.evaluation.scored_pictures import Pictures, batch_pixels, batched, read_pictures
from avatarpipe.files import write_json
from avatarpipe.provenance import provenance
from avatarpipe.score_files import score_files
from avatarpipe.steps.command import run_step
from avatarpipe.tables import write_table
from avatarpipe.terminal import tracked

Scorer = tuple[str, Callable[[torch.Tensor, str], torch.Tensor], int]
"""Metric, network of pixels and prompt, and the size of its pictures."""


@dataclass(frozen=True)
class Options:
    """One row a picture and score, in the layout of the evaluation; how they were made is written beside them."""

    pictures: Path
    """pictures.json of the step draw-inner."""
    prompt: str
    """What the pictures ought to show."""
    out: Path
    """Table to write, metrics.parquet; the protocol goes beside it as metrics.json."""
    image_reward: str = ""
    """Folder with ImageReward.pt, med_config.json and vocab.txt; empty for no such score."""
    clip: str = ""
    """Folder of a CLIP in the layout of transformers; empty for no such score."""
    method: str = "layered"
    """Name of the method, for the table."""
    device: str = "auto"
    """"cpu", "cuda", or "auto" for CUDA where there is one."""


def run(options: Options) -> None:
    """Score, then write the protocol, then the table."""
    if not options.prompt.strip():
        raise InputError("--prompt: empty; say what the pictures ought to show.")
    weights = score_files(options.image_reward, options.clip)
    pictures, device = read_pictures(options.pictures), chosen_device(options.device)
    rows = [
        row
        for scorer in _scorers(options, device)
        for row in _rows(pictures, options.prompt, scorer, device)
    ]
    table = tidy(rows, subject=pictures.subject, method=options.method, stage=pictures.stage)
    write_json(options.out.with_suffix(".json"), _protocol(options, pictures, weights))
    write_table(table, options.out)
    for metric, value in table.groupby("metric", sort=False)["value"].mean().items():
        logging.info("%-14s %10.4f", metric, value)


def _scorers(options: Options, device: torch.device) -> Iterator[Scorer]:
    """The networks that are asked for."""
    if options.image_reward:
        network = ImageReward(options.image_reward).to(device)
        yield "image_reward", network, network.size
    if options.clip:
        network = ClipScore(options.clip, device)
        yield "clip_score", network, network.size


def _rows(pictures: Pictures, prompt: str, scorer: Scorer, device: torch.device) -> list[dict]:
    metric, network, size = scorer
    batches = batched(pictures)
    seen = (batch_pixels(batch, size, device) for batch in tracked(batches, len(batches), metric))
    values = torch.cat([network(pixels, prompt).cpu() for pixels in seen]).tolist()
    where = {"split": pictures.split, "layer": pictures.layer}
    return [
        row
        for picture, value in zip(pictures.pictures, values, strict=True)
        for row in score_rows({metric: (value, "")}, camera=picture.camera, **where)
    ]


def _protocol(options: Options, pictures: Pictures, weights: list[Path]) -> dict:
    inputs = {"pictures": options.pictures} | {str(path): path for path in weights}
    return {
        "subject": pictures.subject,
        "prompt": options.prompt,
        "pictures": f"{len(pictures.pictures)} of layer {pictures.layer} alone, split {pictures.split}, canonical pose, on black",
        "image_reward": "ImageReward 1.0; 0 and 1 are mean and deviation of its training"
        if options.image_reward
        else "not asked for",
        "clip_score": "100 max(cos, 0)" if options.clip else "not asked for",
        "provenance": provenance(inputs, asdict(options)),
    }


def main(args: Sequence[str] | None = None) -> None:
    """The command line."""
    run_step(run, args)


if __name__ == "__main__":
    main()
