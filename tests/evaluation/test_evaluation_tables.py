"""Summaries and timings."""

import pandas as pd
import pytest

from avatarpipe.errors import InputError
from avatarpipe.evaluation.rows import tidy
from avatarpipe.evaluation.summary import summarize, to_html, to_markdown
from avatarpipe.evaluation.timings import duration, plot_timings, read_benchmarks
from avatarpipe.steps import collect
from avatarpipe.tables import read_table, write_table

BENCHMARK = (
    "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
    "{s}\t0:01:05\t2048.00\t1\t1\t1\t0\t0\t150.0\t{cpu}\n"
)


@pytest.fixture
def metrics():
    rows = [
        {
            "split": "test",
            "layer": "composite",
            "camera": c,
            "metric": "psnr",
            "value": v,
            "unit": "dB",
        }
        for c, v in (("a", 30.0), ("b", 34.0))
    ]
    rows.append(
        {"layer": "outer", "metric": "penetration_rate", "value": 0.0123456, "unit": "ratio"}
    )
    return tidy(rows, subject="<s>", method="layered", stage="outer")


def test_summary_means_over_cameras(metrics):
    summary = summarize(metrics)
    assert summary["mean"].tolist() == [32.0, 0.0123456]
    assert summary["std"].tolist() == pytest.approx([8**0.5, 0.0])
    assert summary["count"].tolist() == [2, 1]


def test_tables_for_people(metrics):
    markdown = to_markdown(summarize(metrics)).splitlines()
    assert (
        markdown[2] == "| <s> | layered | outer | test | composite | psnr ↑ | 32.00 ± 2.8 | dB | 2 |"
    )
    assert "| penetration_rate ↓ | 0.01235 |" in markdown[3]
    html = to_html(summarize(metrics))
    assert "&lt;s&gt;" in html
    assert "<s>" not in html
    assert html.count("<tr") == 4 - 1
    assert 'class="first"' in html


def benchmark(path, seconds, cpu):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(BENCHMARK.format(s=seconds, cpu=cpu))
    return path


def test_benchmarks_become_jobs(tmp_path):
    paths = [
        benchmark(tmp_path / "anna/train_inner.tsv", 65.1, 97.0),
        benchmark(tmp_path / "body.tsv", 3.0, "NA"),
    ]
    timings = read_benchmarks(paths, tmp_path)
    assert timings["job"].tolist() == ["anna/train_inner", "body"]
    assert timings["seconds"].tolist() == [65.1, 3.0]
    assert timings["memory_mb"].tolist() == [2048.0, 2048.0]
    bars = plot_timings(timings).axes[0]
    assert [round(bar.get_width(), 1) for bar in bars.patches] == [3.0, 65.1]
    assert [text.get_text() for text in bars.texts] == ["  3.0 s, 2.0 GiB", "  1 min 05 s, 2.0 GiB"]


def test_what_is_no_benchmark_is_named(tmp_path):
    (tmp_path / "x.tsv").write_text("a\tb\n1\t2\n")
    with pytest.raises(InputError, match=r"x\.tsv"):
        read_benchmarks([tmp_path / "x.tsv"], tmp_path)


def test_durations():
    assert [duration(s) for s in (4.21, 59.96, 200, 7500)] == [
        "4.2 s",
        "1 min 00 s",
        "3 min 20 s",
        "2 h 05 min",
    ]


def test_collect_writes_all_tables(metrics, tmp_path):
    for subject in ("anna", "bert"):
        write_table(metrics.assign(subject=subject), tmp_path / subject / "metrics.parquet")
    job = benchmark(tmp_path / "benchmarks/anna/train.tsv", 65.1, 97.0)
    out = tmp_path / "tables" / "metrics.parquet"
    collect.main(
        ["--metrics", *(str(tmp_path / s / "metrics.parquet") for s in ("anna", "bert")), "--out", str(out),
         "--benchmarks", str(job), "--benchmark-root", str(tmp_path / "benchmarks")]
    )  # fmt: skip
    assert read_table(out)["subject"].unique().tolist() == ["anna", "bert"]
    assert len(pd.read_csv(out.with_name("metrics.csv"))) == 6
    assert len(pd.read_csv(out.with_name("subjects.csv"))) == 4
    assert pd.read_csv(out.with_name("summary.csv"))["subjects"].tolist() == [2, 2]
    assert pd.read_csv(out.with_name("timings.csv"))["job"].tolist() == ["anna/train"]
    assert out.with_name("timings.png").read_bytes()[:4] == b"\x89PNG"
    assert {p.name for p in out.parent.iterdir()} == {
        "metrics.parquet", "metrics.csv", "subjects.csv", "subjects.md", "subjects.html", "summary.csv", "summary.md",
        "summary.tex", "summary.html", "timings.csv", "timings.png", "provenance.json",
    }  # fmt: skip


def test_many_jobs_are_drawn_by_kind():
    names = [f"s{subject}/{job}" for subject in range(50) for job in ("train", "render")]
    rows = pd.DataFrame({"job": names, "seconds": [10.0, 2.0] * 50, "cpu_seconds": 1.0, "memory_mb": 1024.0})
    axes = plot_timings(rows).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["render (mean of 50)", "train (mean of 50)"]
    assert [bar.get_width() for bar in axes.patches] == [2.0, 10.0]
    assert "10 min 00 s in all" in axes.get_title(loc="left")


def test_collect_reads_lists_and_leaves_out_benchmarks_that_are_gone(metrics, tmp_path):
    tables = [tmp_path / subject / "metrics.parquet" for subject in ("anna", "bert")]
    for table in tables:
        write_table(metrics.assign(subject=table.parent.name), table)
    job = benchmark(tmp_path / "benchmarks/anna/train.tsv", 65.1, 97.0)
    (tmp_path / "tables.txt").write_text("".join(f"{table}\n" for table in tables))
    (tmp_path / "jobs.txt").write_text(f"{job}\n{tmp_path / 'benchmarks/bert/train.tsv'}\n")
    out = tmp_path / "tables" / "metrics.parquet"
    collect.main(
        ["--metrics-list", str(tmp_path / "tables.txt"), "--benchmarks-list", str(tmp_path / "jobs.txt"),
         "--benchmark-root", str(tmp_path / "benchmarks"), "--out", str(out)]
    )  # fmt: skip
    assert read_table(out)["subject"].unique().tolist() == ["anna", "bert"]
    assert pd.read_csv(out.with_name("timings.csv"))["job"].tolist() == ["anna/train"]


def test_collect_refuses_a_table_of_something_else(tmp_path, capsys):
    write_table(pd.DataFrame({"step": [1]}), tmp_path / "curves.parquet")
    with pytest.raises(SystemExit):
        collect.main(
            ["--metrics", str(tmp_path / "curves.parquet"), "--out", str(tmp_path / "t/m.parquet")]
        )
    assert "curves.parquet" in capsys.readouterr().err
    assert not (tmp_path / "t").exists()
