"""Files with bytes changed, lost or added at random: each is read, or refused by an InputError that names it; nothing else escapes."""

import random
from dataclasses import replace

import datasets_recordings as demo
import pytest

from avatarpipe.datasets import colmap, fourview, nerfstudio, people_snapshot, sigman
from avatarpipe.datasets.writers import colmap as colmap_writer
from avatarpipe.datasets.writers import fourview as fourview_writer
from avatarpipe.datasets.writers import nerfstudio as nerfstudio_writer
from avatarpipe.datasets.writers import people_snapshot as people_snapshot_writer
from avatarpipe.datasets.writers import sigman as sigman_writer
from avatarpipe.errors import InputError

ENDINGS = (".bin", ".txt", ".json", ".npz", ".pkl", ".hdf5")
TRIES = 100


def write_fourview(root, raw, body):
    poses = raw.poses.replaced(transl=0.2 * raw.poses.transl)
    cameras = replace(raw.cameras, names=("0", "90", "180"))
    fourview_writer.write(root, "take", replace(raw, cameras=cameras, poses=poses), 0.6)


LAYOUTS = {
    "binary": (colmap, lambda root, raw, body: colmap_writer.write(root / "take", raw), {"names": colmap_writer.NAMES}),
    "text": (colmap, lambda root, raw, body: colmap_writer.write(root / "take", raw, False), {"names": colmap_writer.NAMES}),
    "nerfstudio": (nerfstudio, lambda root, raw, body: nerfstudio_writer.write(root / "take", raw), {}),
    "sigman": (sigman, lambda root, raw, body: sigman_writer.write(root / "take", raw, body), {}),
    "four-view": (fourview, write_fourview, {}),
    "people-snapshot": (people_snapshot, lambda root, raw, body: people_snapshot_writer.write(root / "take", raw, body), {"betas": [0] * 10}),
}  # fmt: skip


def damaged(data: bytes, dice: random.Random) -> bytes:
    data, place = bytearray(data), dice.randrange(len(data))
    kind = dice.choice(("cut", "change", "insert", "delete"))
    if kind == "cut":
        return bytes(data[:place])
    if kind == "change":
        for _ in range(8):
            data[dice.randrange(len(data))] = dice.randrange(256)
    elif kind == "insert":
        data[place:place] = dice.randbytes(4)
    else:
        del data[place : place + dice.randrange(1, 40)]
    return bytes(data)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_damage_is_refused_or_harmless(tmp_path, fake_body, layout):
    module, write, options = LAYOUTS[layout]
    write(tmp_path, demo.recording((0, 1)), fake_body)
    request = demo.request(tmp_path, fake_body, frames="0", **options)
    assert module.read(request).frames == ("000000",)
    files = sorted(path for path in tmp_path.rglob("*") if path.suffix in ENDINGS)
    dice, refused = random.Random(layout), 0
    for _ in range(TRIES):
        path = dice.choice(files)
        whole = path.read_bytes()
        path.write_bytes(damaged(whole, dice))
        try:
            module.read(request)
        except InputError as error:
            refused += 1
            assert str(tmp_path) in str(error)
        path.write_bytes(whole)
    assert refused >= TRIES // 4
