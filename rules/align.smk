"""The alignment check: do the fitted bodies lie where the images show the subject?

Needs: results/{subject}/render/capture.json, or normalize/capture.json of a subject given as images; the subject's
       body; where there are licensed bodies of other genders, those.
Makes: results/{subject}/align/alignment.json with alignment.parquet, a row an image checked, and overlays.png. Where
       the check fails, the same in the folder failed/, and the likely cause by name.
"""


rule align:
    "Refuse a capture whose bodies do not lie where its images show the subject, and name the likely cause."
    input:
        capture=image_capture,
        body=body_file,
        others=other_bodies,
        code=sources("avatarpipe.steps.align"),
    output:
        manifest="results/{subject}/align/alignment.json",
        table="results/{subject}/align/alignment.parquet",
        overlays=report(
            "results/{subject}/align/overlays.png",
            caption="../workflow/report/alignment.rst",
            category="Subject",
            subcategory="{subject}",
            labels={"picture": "alignment: body over images"},
        ),
    log:
        "logs/align/{subject}.log",
    benchmark:
        "results/benchmarks/{subject}/align.tsv"
    conda:
        "../envs/avatarpipe.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        frames=config["align"]["frames"],
        images=config["align"]["images"],
        tolerance=alignment_tolerance(),
    shell:
        """
        python -m avatarpipe.steps.align \
            --capture {input.capture:q} \
            --body {input.body:q} \
            --others {input.others:q} \
            --frames {params.frames} \
            --images {params.images} \
            --tolerance {params.tolerance:q} \
            --out {output.manifest:q} \
            2>&1 | tee {log:q}
        """
