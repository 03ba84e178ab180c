"""Pictures: what people want to see of an avatar before they believe its numbers.

Needs: the outer avatar, results/{subject}/segment/capture.json, the curves of the three stages.
Makes: results/{subject}/layered/pictures/: turntable, layers, held-out views with error maps, new poses, training
       curves; pictures.json, written last.
"""


rule pictures:
    "Draw the avatar for the report."
    input:
        avatar="results/{subject}/layered/outer/avatar/avatar.json",
        capture="results/{subject}/segment/capture.json",
        curves=expand(
            "results/{{subject}}/layered/{stage}/curves.parquet",
            stage=["single", "inner", "outer"],
        ),
        code=sources("avatarpipe.steps.pictures"),
    output:
        manifest="results/{subject}/layered/pictures/pictures.json",
        turntable=report(
            "results/{subject}/layered/pictures/turntable.html",
            caption="../workflow/report/turntable.rst",
            category="Subject",
            subcategory="{subject}",
            labels={"picture": "turntable: composite and layers"},
        ),
        layers=report(
            "results/{subject}/layered/pictures/canonical.png",
            caption="../workflow/report/layers.rst",
            category="Subject",
            subcategory="{subject}",
            labels={"picture": "layers in canonical pose"},
        ),
        poses=report(
            "results/{subject}/layered/pictures/poses.png",
            caption="../workflow/report/poses.rst",
            category="Subject",
            subcategory="{subject}",
            labels={"picture": "new poses"},
        ),
        views=report(
            "results/{subject}/layered/pictures/views.png",
            caption="../workflow/report/views.rst",
            category="Evaluation",
            subcategory="{subject}",
            labels={"picture": "held-out views and error maps"},
        ),
        curves=report(
            "results/{subject}/layered/pictures/curves.png",
            caption="../workflow/report/curves.rst",
            category="Training",
            subcategory="{subject}",
            labels={"picture": "training curves"},
        ),
    log:
        "logs/pictures/{subject}.log",
    benchmark:
        "results/benchmarks/{subject}/pictures.tsv"
    conda:
        "../envs/avatarpipe.yaml"
    threads: 2
    resources:
        gpu=1,
        mem_mb=4000,
        runtime=60,
    params:
        garment=config["garment"],
    shell:
        """
        take_gpu {resources.gpu}
        python -m avatarpipe.steps.pictures \
            --avatar {input.avatar:q} \
            --capture {input.capture:q} \
            --curves {input.curves:q} \
            --garment {params.garment} \
            --out {output.manifest:q} \
            2>&1 | tee {log:q}
        """
