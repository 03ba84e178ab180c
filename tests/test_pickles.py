import os
import pickle
from collections import OrderedDict
from fractions import Fraction

import numpy as np
import pytest
import torch

from avatarpipe.errors import InputError
from avatarpipe.motions.tensors import TENSOR_NAMES, load_storage
from avatarpipe.pickles import load_pickle


class Bomb:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_and_plain_values_come_back(tmp_path, protocol):
    content = {
        "a": np.arange(6.0).reshape(2, 3), "b": np.float32(1.5), "c": ["00011", 3, None, True],
        "d": OrderedDict(x=(1, 2)), "e": np.array(["left", "right"]), "f": {1, 2}, "g": b"raw",
        "h": np.asfortranarray(np.eye(3, dtype=np.uint8)),
    }  # fmt: skip
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    loaded = load_pickle(path)
    for key in "aeh":
        assert np.array_equal(loaded[key], content[key])
    assert loaded["a"].dtype == np.float64 and loaded["h"].dtype == np.uint8
    assert [loaded[key] for key in "bcdfg"] == [content[key] for key in "bcdfg"]


@pytest.mark.parametrize(
    "wrap", [lambda x: x, lambda x: {"vertices": x}, lambda x: np.array([x], object)]
)
def test_a_pickle_that_wants_to_run_something_runs_nothing(tmp_path, wrap):
    marker = tmp_path / "pwned"
    path = tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps(wrap(Bomb(marker))))
    with pytest.raises(InputError, match=r"evil\.pkl: this pickle wants to run \w+\.system"):
        load_pickle(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    "name", ["builtins.eval", "builtins.exec", "builtins.getattr", "numpy.load", "os.system"]
)
def test_functions_are_refused_by_name(tmp_path, name):
    module, _, function = name.rpartition(".")
    path = tmp_path / "x.pkl"
    path.write_bytes(f"c{module}\n{function}\n(S'1'\ntR.".encode())
    with pytest.raises(InputError, match=f"wants to run {name}"):
        load_pickle(path)


def test_a_named_class_is_admitted_and_no_other(tmp_path):
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps(Fraction(1, 3)))
    assert load_pickle(path, frozenset({"fractions.Fraction"})) == Fraction(1, 3)
    with pytest.raises(InputError, match=r"fractions\.Fraction"):
        load_pickle(path)


@pytest.mark.parametrize("keep", [0, 1, 20, -1])
def test_truncated(tmp_path, keep):
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps({"vertices": np.zeros((50, 3))})[:keep])
    with pytest.raises(InputError, match=r"x\.pkl: truncated or not a pickle"):
        load_pickle(path)


def test_missing(tmp_path):
    with pytest.raises(InputError, match=r"gone\.pkl: no such file"):
        load_pickle(tmp_path / "gone.pkl")


def _called(name: str, argument: bytes) -> bytes:
    """The opcodes of a call of one argument."""
    return b"c" + name.replace(".", "\n").encode() + b"\n" + argument + b"\x85R"


_MANY = b"\x8a\x08" + (10**11).to_bytes(8, "little")  # would be 800 GB


@pytest.mark.parametrize(
    "code",
    [
        _called("builtins.list", _called("builtins.range", _MANY)),
        _called("builtins.list", _called("builtins.bytearray", _MANY)),
        _called("builtins.set", _called("numpy.ndarray", _MANY)),
        _called("builtins.bytearray", _MANY),
        _called("numpy.ndarray", _MANY),
        _called("builtins.tuple", _MANY),
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n" + _MANY + b"\x85C\x01b\x87R",
    ],
)
def test_a_few_bytes_do_not_fill_the_memory(tmp_path, code):
    path = tmp_path / "bomb.pkl"
    path.write_bytes(b"\x80\x03" + code + b".")
    with pytest.raises(InputError, match=r"bomb\.pkl: (this pickle wants to run|truncated or not a pickle \(TypeError)"):
        load_pickle(path)


def test_a_tensor_that_is_one_number_ten_billion_times_is_refused(tmp_path):
    path = tmp_path / "bomb.pkl"
    path.write_bytes(pickle.dumps({"poses": torch.zeros(1).expand(10**10)}))
    assert path.stat().st_size < 1000
    with pytest.raises(InputError, match=r"bomb\.pkl: .*a tensor of shape \(10000000000,\)"):
        load_pickle(path, TENSOR_NAMES, instead=load_storage())
    path.write_bytes(pickle.dumps({"poses": torch.ones(1, 3).expand(5, 3)}))
    found = load_pickle(path, TENSOR_NAMES, instead=load_storage())
    assert torch.equal(found["poses"], torch.ones(5, 3))
