"""The container of binary glTF 2.0: a JSON document and one buffer of arrays."""

import json
import struct
from pathlib import Path

import numpy as np

from avatarpipe.errors import InputError
from avatarpipe.files import atomic_file, require_file

_MAGIC, _JSON, _BINARY = b"glTF", b"JSON", b"BIN\0"
_VERTICES = 34962  # what a buffer view of vertex attributes is marked as: ARRAY_BUFFER
_COMPONENTS = {
    5120: np.dtype("i1"),
    5121: np.dtype("u1"),
    5122: np.dtype("<i2"),
    5123: np.dtype("<u2"),
    5126: np.dtype("<f4"),
}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}


class ArrayBuffer:
    """Vertex attributes on their way into a file: the buffer, and the JSON that describes it."""

    def __init__(self):
        self.data = bytearray()
        self.views: list[dict] = []
        self.accessors: list[dict] = []

    def add(self, array: np.ndarray, normalized: bool = False, bounds: bool = False) -> int:
        """The index of the accessor of `array` (N,) or (N, 2..4): float32, or uint16 that stands for [0, 1]."""
        component = next(code for code, kind in _COMPONENTS.items() if kind == array.dtype)
        width = 1 if array.ndim == 1 else array.shape[1]
        name = next(name for name, size in _WIDTHS.items() if size == width)
        place = {"buffer": 0, "byteOffset": len(self.data), "byteLength": array.nbytes}
        accessor = {"bufferView": len(self.views), "componentType": component}
        accessor |= {"count": len(array), "type": name}
        if normalized:
            accessor["normalized"] = True
        if bounds:
            accessor |= {"min": array.min(axis=0).tolist(), "max": array.max(axis=0).tolist()}
        self.views.append(place | {"target": _VERTICES})
        self.accessors.append(accessor)
        self.data += array.tobytes() + b"\0" * (-array.nbytes % 4)
        return len(self.accessors) - 1


def write_glb(path: str | Path, document: dict, buffer: ArrayBuffer) -> None:
    """Write `document`, completed by the buffer's views and accessors, and the buffer as one .glb."""
    document = document | {
        "accessors": buffer.accessors,
        "bufferViews": buffer.views,
        "buffers": [{"byteLength": len(buffer.data)}],
    }
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    chunks = _chunk(_JSON, text) + _chunk(_BINARY, bytes(buffer.data))
    with atomic_file(path) as temporary:
        temporary.write_bytes(struct.pack("<4sII", _MAGIC, 2, 12 + len(chunks)) + chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack("<I4s", len(content), kind) + content


def read_glb(path: str | Path) -> tuple[dict, bytes]:
    """(JSON document, buffer) of a .glb; InputError where it is none, of another version, or cut short."""
    path = require_file(path, "A binary glTF file (.glb) was expected here.")
    data = path.read_bytes()
    if len(data) < 20 or data[:4] != _MAGIC or struct.unpack_from("<I", data, 4)[0] != 2:
        raise InputError(f"{path}: not a binary glTF 2.0 file. Export it again.")
    if struct.unpack_from("<I", data, 8)[0] > len(data):
        raise InputError(f"{path}: cut short, {len(data)} bytes. Export it again.")
    chunks, at = {}, 12
    while at + 8 <= len(data):
        length, kind = struct.unpack_from("<I4s", data, at)
        chunks.setdefault(kind, data[at + 8 : at + 8 + length])
        at += 8 + length
    try:
        document = json.loads(chunks[_JSON])
    except (KeyError, ValueError) as error:
        raise InputError(f"{path}: its JSON is missing or broken ({error}). Export it again.") from error
    return document, chunks.get(_BINARY, b"")


def read_accessor(document: dict, buffer: bytes, index: int) -> np.ndarray:
    """(N, width) float32 of an accessor, normalised integers brought to [0, 1] or [-1, 1].

    Raises KeyError, IndexError or ValueError where the document is not sound or the buffer too short.
    """
    accessor = document["accessors"][index]
    view = document["bufferViews"][accessor["bufferView"]]
    kind, width = _COMPONENTS[accessor["componentType"]], _WIDTHS[accessor["type"]]
    start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
    step = view.get("byteStride", kind.itemsize * width)
    count = accessor["count"]
    if count < 1 or start + (count - 1) * step + kind.itemsize * width > len(buffer):
        raise ValueError(f"accessor {index} reaches beyond the buffer")
    shape, strides = (count, width), (step, kind.itemsize)
    values = np.ndarray(shape, kind, buffer, start, strides).astype(np.float32)
    if accessor.get("normalized"):
        values = np.maximum(values / np.iinfo(kind).max, -1.0)
    return values
