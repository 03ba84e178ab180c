"""Tables over all subjects, and what the run cost.

Needs: every subject's metrics.parquet, of either method, that of `score` too where it is enabled, and pictures.json; by
       then the benchmark files of its jobs are there too.
Makes: results/tables/: metrics.parquet and metrics.csv with every value; summary.csv, .md, .tex and .html with mean and
       spread over all subjects, a row a method; subjects.csv, .md and .html, a part a subject; timings.csv and timings.png.
"""


rule collect:
    "Gather metrics and timings of all subjects."
    input:
        metrics=layout.metrics(),
        pictures=expand(
            "results/{subject}/layered/pictures/pictures.json",
            subject=layout.layered(),
        ),
        metrics_list=path_list("metrics", layout.metrics()),
        benchmarks_list=path_list("benchmarks", layout.benchmarks()),
        code=sources("avatarpipe.steps.collect"),
    output:
        metrics="results/tables/metrics.parquet",
        csv="results/tables/metrics.csv",
        summary=report(
            "results/tables/summary.html",
            caption="../workflow/report/metrics.rst",
            category="Evaluation",
            labels={"picture": "metrics of all methods, over subjects"},
        ),
        subjects=report(
            "results/tables/subjects.html",
            caption="../workflow/report/metrics.rst",
            category="Evaluation",
            labels={"picture": "metrics of each subject"},
        ),
        timings=report(
            "results/tables/timings.png",
            caption="../workflow/report/timings.rst",
            category="Benchmark",
            labels={"picture": "time and memory of each job"},
        ),
    log:
        "logs/collect.log",
    benchmark:
        "results/benchmarks/collect.tsv"
    conda:
        "../envs/avatarpipe.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    shell:
        """
        python -m avatarpipe.steps.collect \
            --metrics-list {input.metrics_list:q} \
            --benchmarks-list {input.benchmarks_list:q} \
            --out {output.metrics:q} \
            2>&1 | tee {log:q}
        """
