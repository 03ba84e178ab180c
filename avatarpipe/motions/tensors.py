"""Torch tensors inside plain pickles, restored without the function that torch names there, which would run anything."""

import io
from collections.abc import Callable

TENSOR_NAMES = frozenset({"torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor"})


def load_storage() -> dict[str, Callable]:
    """What to call in place of torch.storage._load_from_bytes, which unpickles without restriction."""
    return {"torch.storage._load_from_bytes": _storage}


def _storage(content: bytes):
    import torch  # here, since most motions hold no tensors

    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
