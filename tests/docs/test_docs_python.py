"""The Python of the pages is run, on tiny results in the places that it names."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from docs_pages import PAGES, ROOT, Block, blocks

from avatarpipe.body.params import BodyParams
from avatarpipe.cameras import orbit
from avatarpipe.datasets.formats.colmap import read_colmap

sys.path.insert(0, str(ROOT / "tests/export"))
from export_clouds import skinned_avatar


def python_of(page: str) -> list[Block]:
    """The blocks of a page that are Python."""
    return [
        block
        for block in blocks(ROOT / page)
        if block.language == "python"
        or (block.language == "" and block.text.startswith(("from ", "import ")))
    ]


def run(page: str, monkeypatch, folder: Path, **names) -> dict:
    """What the only Python block of a page leaves behind when it is run in `folder`, where `names` are known."""
    monkeypatch.chdir(folder)
    (block,) = python_of(page)
    exec(compile(block.text, page, "exec"), names)
    return names


def test_an_avatar_is_posed_and_rendered(monkeypatch, tmp_path, fake_body):
    folder = tmp_path / "results/ada/layered/outer/avatar"
    skinned_avatar(fake_body, BodyParams.zeros()).save(folder)
    left = run("README.md", monkeypatch, tmp_path)
    rgb = left["views"].rgb.numpy()
    assert rgb.shape == (2, 512, 512, 3) and rgb.max() > 0.1
    assert left["pose"].betas.equal(left["avatar"].captured.betas)


def test_points_are_brought_back_into_the_world_of_the_input(monkeypatch, tmp_path):
    file = tmp_path / "results/ada/layered/export/transform.json"
    file.parent.mkdir(parents=True)
    matrix = np.array([[0, -2, 0, 1], [2, 0, 0, 2], [0, 0, 2, 3], [0, 0, 0, 1.0]])
    file.write_text(json.dumps({"capture_to_input": matrix.tolist()}))
    left = run("docs/exports.md", monkeypatch, tmp_path, points=np.array([[1.0, 0, 0]]))
    np.testing.assert_allclose(left["there"], [[1, 4, 3]])


def test_cameras_are_written_as_a_colmap_model(monkeypatch, tmp_path):
    cameras = orbit([0], [0, 90], 2.0, 60.0, 64, 48)
    run("docs/data.md", monkeypatch, tmp_path, cameras=cameras)
    assert len(read_colmap(tmp_path / "out/sparse/0")) == 2


TRIED = {"README.md", "docs/exports.md", "docs/data.md"}
SHAPES_ONLY = {"docs/adding-a-dataset.md"}  # the signature of a function that the reader writes


@pytest.mark.parametrize("page", [str(page.relative_to(ROOT)) for page in PAGES])
def test_no_python_is_left_out(page):
    assert not python_of(page) or page in TRIED | SHAPES_ONLY
