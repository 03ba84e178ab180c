"""Train a small diffusion prior on renders of synthetic undressed people. Killed and started again, it goes on where it was."""

import logging
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from avatarpipe.devices import chosen_device, usable_cores
from avatarpipe.files import require_file
from avatarpipe.guidance.prior_data import PriorImages, prior_seeds
from avatarpipe.guidance.prior_model import Prior, save_prior
from avatarpipe.guidance.prior_renders import RenderSettings, load_shards, rendered_shards
from avatarpipe.guidance.prior_sheet import TOLD, held_out
from avatarpipe.guidance.prior_training import PriorSettings, PriorStage
from avatarpipe.images import write_image
from avatarpipe.provenance import provenance
from avatarpipe.record import note_written
from avatarpipe.steps.command import run_step
from avatarpipe.synthetic.undressed import make_undressed
from avatarpipe.terminal import tracked
from avatarpipe.training.checkpoint import Checkpoints
from avatarpipe.training.loop import train

_log = logging.getLogger(__name__)


@dataclass
class TrainPrior:
    """A diffusion prior of people without their upper garment, from nothing but the free bodies."""

    female: Path
    """SMPLX_FEMALE.npz."""
    male: Path
    """SMPLX_MALE.npz."""
    out: Path
    """The prior's manifest, such as results/prior/prior.json; everything else lies beside it."""
    data: Path | None = None
    """Where the renders are kept or already lie; a folder beside the manifest by default."""
    exclude: tuple[int, ...] = ()
    """Seeds of synthetic subjects that the prior must never see."""
    people: int = 160
    """Whom it learns from."""
    test_people: int = 6
    """Whom its samples are compared with."""
    poses: int = 6
    """Of each person, each seen by eight cameras."""
    size: int = 64
    """Side of the images in pixels."""
    data_size: int = 0
    """Side of the renders in the data folder, where they are larger; 0 for the same."""
    channels: tuple[int, ...] = (64, 128, 192, 256)
    """Of the network, a number a level."""
    iterations: int = 3000
    batch: int = 128
    learning_rate: float = 5e-4
    checkpoint_every: int = 1000
    workers: int = 0
    """Processes that render; 0 for one a core."""
    seed: int = 0
    device: str = "auto"
    """auto, cpu or cuda."""


def run(options: TrainPrior) -> None:
    """Render what is missing, train from the newest checkpoint, write the network, its curves and samples, then the manifest."""
    device, folder = chosen_device(options.device), options.out.parent
    torch.backends.cudnn.benchmark = True  # all batches have one shape
    bodies = {gender: _body(getattr(options, gender), gender) for gender in ("female", "male")}
    made_by = provenance(bodies, asdict(options), options.seed)
    images = _images(options, bodies, device)
    stage = PriorStage(images["train"], _settings(options), options.seed, device)
    checkpoints = Checkpoints(folder / "checkpoints", identity=made_by)
    curves = train(
        stage, options.iterations, checkpoints, "prior", device, options.checkpoint_every
    )
    curves.save(folder / "curves.parquet")
    unet = stage.result()
    sheet, scores = held_out(Prior(unet), images["test"], options.seed)
    write_image(folder / "samples.png", sheet)
    for told in TOLD:
        _log.info(
            "hidden parts of unseen people, PSNR of samples given %s: %.2f dB", told, scores[told]
        )
    about = {"trained_on": len(images["train"]), "hidden_psnr": scores, "provenance": made_by}
    save_prior(folder, unet, about)
    checkpoints.clear()


def _body(path: Path, gender: str) -> Path:
    return require_file(path, f"Build it with `avatarpipe body --gender {gender} --out FILE`.")


def _images(
    options: TrainPrior, bodies: dict[str, Path], device: torch.device
) -> dict[str, PriorImages]:
    """The pictures of both splits on the device."""
    folder = options.data or options.out.parent / "data"
    workers = options.workers or usable_cores()
    images = {}
    for split, people in (("train", options.people), ("test", options.test_people)):
        settings = RenderSettings(options.data_size or options.size, options.poses)
        seeds = prior_seeds(split, people, options.exclude)
        shards = rendered_shards(
            folder / split, seeds, bodies, make_undressed, settings, workers, tracked
        )
        note_written(folder / split)
        images[split] = PriorImages(load_shards(shards).resized(options.size), device)
        _log.info("%s: %d pictures of %d people", split, len(images[split]), people)
    return images


def _settings(options: TrainPrior) -> PriorSettings:
    return PriorSettings(
        options.size, options.channels, options.iterations, options.batch, options.learning_rate,
        warmup=min(200, options.iterations // 10), checkpoint_every=options.checkpoint_every,
    )  # fmt: skip


def main(args: list[str] | None = None) -> None:
    """The command line."""
    run_step(run, args)


if __name__ == "__main__":
    main()
