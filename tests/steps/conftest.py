"""The fake subject taken through the pipeline once."""

from types import SimpleNamespace

import pytest
from fake_pipeline import convert_options, write_truth

from avatarpipe.steps import convert, normalize, render


@pytest.fixture(scope="session")
def pipeline(fake_raw, fake_body, fake_body_file, tmp_path_factory):
    """Paths: raw, body, converted, normalized, rendered (capture.json each). The raw root gets ground truth first."""
    write_truth(fake_raw, fake_body)
    results = tmp_path_factory.mktemp("results") / "ann"
    paths = SimpleNamespace(
        raw=fake_raw, body=fake_body_file,
        **{name: results / step / "capture.json"
           for name, step in [("converted", "convert"), ("normalized", "normalize"), ("rendered", "render")]},
    )  # fmt: skip
    convert.run(convert_options(paths))
    normalize.run(normalize.Normalize(paths.converted, paths.body, paths.normalized))
    render.run(
        render.Render(paths.normalized, paths.rendered, size=96, train_views=4, test_views=2)
    )
    return paths
