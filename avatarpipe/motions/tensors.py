"""Torch tensors inside plain pickles, restored without the function that torch names there, which would run anything."""

import io
import math
from collections.abc import Callable, Sequence

from avatarpipe.npz import LIMIT

TENSOR_NAMES = frozenset({"torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor"})


def load_storage() -> dict[str, Callable]:
    """What to call in place of torch.storage._load_from_bytes, which unpickles without restriction, and of what shapes it."""
    return {"torch.storage._load_from_bytes": _storage} | dict.fromkeys(TENSOR_NAMES, _tensor)


def _tensor(storage, offset: int, size: Sequence[int], stride: Sequence[int], *_):
    """A tensor of the storage. ValueError where it would be huge: strides of 0 make any size of a single number."""
    import torch

    if 8 * math.prod(size) > LIMIT:
        raise ValueError(f"a tensor of shape {tuple(size)}")
    return torch._utils._rebuild_tensor(storage, offset, size, stride)


def _storage(content: bytes):
    import torch  # here, since most motions hold no tensors

    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
