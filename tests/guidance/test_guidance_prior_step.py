"""The step that trains a prior, on two real undressed people at a size where nothing looks good."""

import shutil

import numpy as np
import pytest
import torch

from avatarpipe.body.model import Body
from avatarpipe.body.params import canonical_params
from avatarpipe.capture.labels import Label
from avatarpipe.errors import InputError
from avatarpipe.files import read_json
from avatarpipe.guidance.load import load_model
from avatarpipe.guidance.prior_data import Shard
from avatarpipe.images import read_image
from avatarpipe.mesh.closest import closest_points
from avatarpipe.steps.train_prior import TrainPrior, run
from avatarpipe.synthetic.undressed import Cover, make_undressed, sample_cover
from avatarpipe.tables import read_table

SMALL = {
    "exclude": (1, 10_000), "people": 1, "test_people": 1, "poses": 1, "size": 32, "channels": (8, 16),
    "iterations": 6, "batch": 4, "checkpoint_every": 2, "workers": 1, "device": "cpu",
}  # fmt: skip


@pytest.fixture(scope="module")
def body_file(free_man_file):
    return free_man_file


@pytest.fixture(scope="module")
def made(body_file, tmp_path_factory):
    out = tmp_path_factory.mktemp("results") / "prior/prior.json"
    run(TrainPrior(female=body_file, male=body_file, out=out, **SMALL))
    return out


@pytest.fixture(scope="module")
def man(body_file):
    return make_undressed(Body(body_file), "male", 10_001)


def test_everything_lies_beside_the_manifest(made):
    folder, manifest = made.parent, read_json(made)
    assert manifest["image_size"] == 32 and manifest["trained_on"] == 8
    assert len(manifest["hidden_psnr"]) == 3 and manifest["provenance"]["seed"] == 0
    assert set(read_table(folder / "curves.parquet")["name"]) == {"loss", "learning_rate"}
    assert read_image(folder / "samples.png").shape == (2 * 5 * 32, 2 * 8 * 32, 3)
    assert not (folder / "checkpoints").exists()


def test_nobody_excluded_was_rendered(made):
    assert [path.name for path in (made.parent / "data/train").glob("*.npz")] == ["0010001.npz"]
    assert [path.name for path in (made.parent / "data/test").glob("*.npz")] == ["0900000.npz"]


def test_the_prior_is_loaded_where_stable_diffusion_would_be(made):
    model = load_model(str(made.parent), "", "", "fp32", torch.device("cpu"), scale=1.5)
    condition = model.condition(["a photo of a woman, back view"], torch.zeros(1, 32, 32, 3), "")
    latents = model.encode(torch.rand(1, 32, 32, 3))
    assert (
        model.predict(latents, torch.tensor([500]), condition).shape
        == latents.shape
        == (1, 3, 32, 32)
    )


def test_skeletons_lie_on_real_bodies(made):
    pictures = Shard.load(made.parent / "data/train/0010001.npz")
    drawn = pictures.skeletons.max(axis=-1) > 100
    assert (drawn & (pictures.alpha > 0)).sum() > 0.93 * drawn.sum() > 0


def test_trained_again_it_is_the_same(made, body_file, tmp_path):
    out = tmp_path / "prior.json"
    shutil.copytree(made.parent / "data", tmp_path / "data")
    run(TrainPrior(female=body_file, male=body_file, out=out, **SMALL))
    first, again = (p.parent / "unet/diffusion_pytorch_model.safetensors" for p in (made, out))
    assert first.read_bytes() == again.read_bytes()


def test_a_missing_body_is_named(body_file, tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.npz.*avatarpipe body --gender male"):
        run(
            TrainPrior(female=body_file, male=tmp_path / "nowhere.npz", out=tmp_path / "prior.json")
        )


def test_the_canonical_person_is_posed_back_to_where_he_was_made(man, body_file):
    body = Body(body_file)
    posed = man.mesh(body, man.captured).vertices
    skin = man.labels == Label.SKIN
    surface = body.vertices(man.captured)[0].double().numpy()
    assert (
        closest_points(posed[skin], surface, body.faces)[3].max() < 0.004
    )  # metres: one is smoother than the other
    canonical = man.mesh(body, canonical_params()).vertices
    assert np.ptp(canonical[:, 0]) > 1.4 * np.ptp(posed[:, 0])  # the arms are out


def test_a_seed_makes_one_person_and_trousers_are_worn_or_not(man, body_file):
    bare, again = (make_undressed(Body(body_file), "male", 10_001, trousers=False) for _ in range(2))
    assert torch.equal(bare.canonical, again.canonical) and np.array_equal(bare.colors, again.colors)
    worn = {Label.SKIN, Label.SHOE, Label.HAIR}
    assert {Label(x) for x in np.unique(bare.labels)} == worn
    assert {Label(x) for x in np.unique(man.labels)} == worn | {Label.LOWER}
    assert bare.traits.skin == man.traits.skin


def test_an_imagined_shirt_hides_chest_and_arms_but_neither_head_nor_hair(man):
    long, none = (
        Cover(sleeve, -0.1, 0.0, 0.0).hides(man.places, man.labels) for sleeve in (1.9, 0.0)
    )
    assert not long[man.labels == Label.HAIR].any() and not long[man.places.head].any()
    chest = ~man.places.arm & (man.places.height > 0.4) & (man.places.height < 0.8)
    assert long[chest & (man.labels == Label.SKIN)].all()
    assert long[man.places.arm].mean() > none[man.places.arm].mean() == 0.0
    rng = np.random.default_rng(0)
    covers = [sample_cover(rng, trousers=True) for _ in range(20)]
    assert all(cover.leg == 0 for cover in covers) and len({cover.sleeve for cover in covers}) == 20
