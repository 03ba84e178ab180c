import numpy as np
import pandas as pd
import pytest

from avatarpipe.errors import InputError
from avatarpipe.images import read_image, read_labels, read_mask, write_image, write_labels
from avatarpipe.tables import read_table, write_table


def test_table_round_trip(tmp_path):
    table = pd.DataFrame({"frame": ["00001", "00002"], "time": [0.0, 0.04], "iteration": [1, 2]})
    write_table(table, tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.parquet"), table)


def test_table_errors(tmp_path):
    path = tmp_path / "t.parquet"
    with pytest.raises(InputError, match=r"t\.parquet: no such file"):
        read_table(path)
    write_table(pd.DataFrame({"a": [1]}), path)
    with pytest.raises(InputError, match="column b is missing"):
        read_table(path, ["a", "b"])
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InputError, match="not a readable Parquet table"):
        read_table(path)


def test_every_8_bit_value_survives(tmp_path):
    levels = np.arange(256, dtype=np.float32).reshape(16, 16) / 255
    image = np.stack([levels, levels[::-1], levels.T], axis=-1)
    write_image(tmp_path / "i.png", image)
    write_image(tmp_path / "m.png", levels)
    assert np.array_equal(read_image(tmp_path / "i.png"), image)
    assert np.array_equal(read_mask(tmp_path / "m.png"), levels)
    write_labels(tmp_path / "l.png", np.arange(256).reshape(16, 16))
    assert np.array_equal(read_labels(tmp_path / "l.png"), np.arange(256).reshape(16, 16))


def test_colours_are_clipped_and_rounded(tmp_path):
    write_image(tmp_path / "i.png", np.full((2, 2, 3), (-1.0, 0.5, 2.0)))
    assert np.allclose(read_image(tmp_path / "i.png")[0, 0], [0, 128 / 255, 1])


@pytest.mark.parametrize("keep", [0, 60])
def test_a_broken_image_is_named(tmp_path, keep):
    path = tmp_path / "i.png"
    write_image(path, np.random.default_rng(0).random((64, 64, 3)))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"i\.png: truncated or not an image"):
        read_image(path)
