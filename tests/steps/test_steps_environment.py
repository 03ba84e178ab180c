"""The Sapiens step in the environment that is built for it alone."""

import os
import subprocess
import sys
from pathlib import Path

import fake_network
import numpy as np
import pytest

from avatarpipe.images import read_labels
from avatarpipe.segmentation.sapiens import CLASSES

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_sapiens_labels_the_same_in_the_environment_that_is_built_for_it(tmp_path, pipeline):
    """Built as `--sdm conda` builds it, minutes and gigabytes; what it labels there is what it labels here."""
    conda = [sys.executable, ROOT / "workflow/conda-uv/bin/conda", "env", "create"]
    subprocess.run(
        [*conda, "--file", ROOT / "envs/sapiens.yaml", "--prefix", tmp_path / "env"], check=True
    )
    python = tmp_path / "env/bin/python"
    absent = "import importlib.util as u; print([n for n in ('gsplat', 'smplx', 'trimesh', 'scipy', 'tokenizers') if u.find_spec(n)])"
    assert subprocess.check_output([python, "-c", absent], text=True) == "[]\n"
    colours = {index: (index / 40, 0.5, 1 - index / 40) for index in range(len(CLASSES))}
    network = fake_network.write_network(tmp_path / "network.pt2", colours, len(CLASSES))
    labels = []
    for number, interpreter in enumerate((python, sys.executable)):
        out = tmp_path / str(number) / "capture.json"
        words = [
            "--capture",
            pipeline.rendered,
            "--provider",
            "sapiens",
            "--checkpoint",
            network,
            "--device",
            "cpu",
            "--out",
            out,
        ]
        subprocess.run(
            [interpreter, "-m", "avatarpipe.steps.segment", *words],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            check=True,
        )
        labels.append([read_labels(path) for path in sorted(out.parent.rglob("labels/**/*.png"))])
    assert len(labels[0]) > 0 and all(np.array_equal(*pair) for pair in zip(*labels, strict=True))
