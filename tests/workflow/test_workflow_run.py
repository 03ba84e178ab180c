"""One whole run on a tiny subject: what it leaves, and that a second one does nothing."""

import json
import re
import time

import pandas as pd
import pytest

RESULTS = [
    "results/body/SMPLX_FEMALE.npz",
    *(f"results/tina/{step}/capture.json" for step in ("convert", "normalize", "render", "segment")),
    *(f"results/tina/layered/{stage}/avatar/avatar.json" for stage in ("single", "inner", "outer")),
    *(f"results/tina/layered/{stage}/curves.parquet" for stage in ("single", "inner", "outer")),
    *(f"results/tina/layered/{stage}/mesh/garment.ply" for stage in ("single", "outer")),
    "results/tina/layered/export/export.json",
    "results/tina/layered/evaluate/metrics.parquet",
    "results/tina/layered/pictures/turntable.webp",
    "results/tables/metrics.parquet",
    "results/tables/metrics.csv",
    "logs/train_inner/tina.log",
]


@pytest.mark.parametrize("path", RESULTS)
def test_a_run_leaves_what_readers_count_on(finished, path):
    assert (finished.folder / path).stat().st_size > 0


def test_a_run_leaves_nothing_half_written(finished):
    left = [path for path in (finished.folder / "results").rglob(".*") if path.name != ".snakemake_timestamp"]
    assert left == []
    assert not list((finished.folder / "results").rglob("checkpoints/*"))


def test_the_table_holds_values_of_the_subject(finished):
    table = pd.read_parquet(finished.folder / "results/tables/metrics.parquet")
    assert {"subject", "method", "stage", "split", "layer", "frame", "camera", "metric", "value"} <= set(table)
    assert set(table["subject"]) == {"tina"} and table["value"].notna().all()
    assert table["metric"].str.startswith("psnr").any()


def test_manifests_form_a_chain_of_hashes(finished):
    results = finished.folder / "results/tina"
    manifests = {
        path.parent.relative_to(results).as_posix(): json.loads(path.read_text())["provenance"]
        for path in (*results.glob("*/capture.json"), *results.glob("layered/*/avatar/avatar.json"))
    }
    assert set(manifests) >= {"convert", "segment", "layered/outer/avatar"}
    for name, made_by in manifests.items():
        assert len(made_by["code"]) == 64 and made_by["inputs"], name
        for entry in made_by["inputs"].values():
            assert (finished.folder / entry["path"]).is_file()


def test_a_second_run_has_nothing_to_do_and_says_so_soon(finished):
    start = time.monotonic()
    output = finished.run()
    assert "Nothing to be done" in output
    assert time.monotonic() - start < 20  # about 2 s on an idle machine


def test_the_report_is_one_file_with_pictures_in_every_category(finished):
    finished.run("--report", "results/report.html")
    page = (finished.folder / "results/report.html").read_text()
    for category in ("Subject", "Training", "Evaluation", "Benchmark"):
        assert f'"{category}"' in page
    assert len(re.findall(r"data:image/png;", page)) >= 5
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=\"https?://", page)
