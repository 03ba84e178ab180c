"""Captures in the layouts of other programs, made where they are asked for by name.

    snakemake --cores all results/demo/export/nerfstudio/transforms.json
    snakemake --cores all results/demo/export/colmap-binary/export.json

Needs: results/{subject}/render/capture.json, or normalize/capture.json of a subject given as images; its body.
Makes: results/{subject}/export/nerfstudio/ with transforms.json; export/colmap/ and export/colmap-binary/ with a folder
       a frame, each with sparse/0; export/smpl-params/smpl_params.npz. Each with export.json, written last.
"""


rule export_nerfstudio:
    "Write the subject's capture as a folder that nerfstudio trains from."
    input:
        capture=image_capture,
        body=body_file,
        code=sources("avatarpipe.steps.export_capture"),
    output:
        transforms="results/{subject}/export/nerfstudio/transforms.json",
        bodies="results/{subject}/export/nerfstudio/smpl_params.npz",
        manifest="results/{subject}/export/nerfstudio/export.json",
    log:
        "logs/export_nerfstudio/{subject}.log",
    benchmark:
        "results/benchmarks/{subject}/export_nerfstudio.tsv"
    conda:
        "../envs/avatarpipe.yaml"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        frames=verbatim(config["export"]["frames"]),
        images=config["export"]["images"],
    shell:
        """
        python -m avatarpipe.steps.export_capture \
            --capture {input.capture:q} \
            --format nerfstudio \
            --frames {params.frames:q} \
            --images {params.images} \
            --body {input.body:q} \
            --out {output.manifest:q} \
            2>&1 | tee {log:q}
        """


rule export_colmap:
    "Write the subject's capture as COLMAP models, one a frame, as text or binary."
    input:
        capture=image_capture,
        body=body_file,
        code=sources("avatarpipe.steps.export_capture"),
    output:
        manifest="results/{subject}/export/{form}/export.json",
    log:
        "logs/export_colmap/{subject}-{form}.log",
    benchmark:
        "results/benchmarks/{subject}/export_colmap-{form}.tsv"
    wildcard_constraints:
        form="colmap|colmap-binary",
    conda:
        "../envs/avatarpipe.yaml"
    resources:
        mem_mb=2000,
        runtime=120,
    params:
        frames=verbatim(config["export"]["frames"]),
        images=config["export"]["images"],
    shell:
        """
        python -m avatarpipe.steps.export_capture \
            --capture {input.capture:q} \
            --format {wildcards.form:q} \
            --frames {params.frames:q} \
            --images {params.images} \
            --body {input.body:q} \
            --out {output.manifest:q} \
            2>&1 | tee {log:q}
        """


rule export_bodies:
    "Write the subject's bodies alone, as smpl_params.npz."
    input:
        capture="results/{subject}/normalize/capture.json",
        code=sources("avatarpipe.steps.export_capture"),
    output:
        bodies="results/{subject}/export/smpl-params/smpl_params.npz",
        manifest="results/{subject}/export/smpl-params/export.json",
    log:
        "logs/export_bodies/{subject}.log",
    benchmark:
        "results/benchmarks/{subject}/export_bodies.tsv"
    conda:
        "../envs/avatarpipe.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        frames=verbatim(config["export"]["frames"]),
    shell:
        """
        python -m avatarpipe.steps.export_capture \
            --capture {input.capture:q} \
            --format smpl-params \
            --frames {params.frames:q} \
            --out {output.manifest:q} \
            2>&1 | tee {log:q}
        """
