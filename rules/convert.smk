"""Conversion: a recording of any dataset becomes a capture; from here on every subject looks the same.

Needs: the manifest of a synthetic subject, or the subject's raw files below the folder that config.yaml names; the body
       of the subject's gender.
Makes: results/{subject}/convert/capture.json in the dataset's own world: scans, labels and body fits, or cameras,
       undistorted images, masks and body fits. A killed job of many images continues where it was.
"""


rule convert:
    "Read and check scans or images and their body fits."
    input:
        raw=raw_files,
        body=body_file,
        code=sources("avatarpipe.steps.convert"),
    output:
        capture="results/{subject}/convert/capture.json",
    log:
        "logs/convert/{subject}.log",
    benchmark:
        "results/benchmarks/{subject}/convert.tsv"
    conda:
        "../envs/avatarpipe.yaml"
    threads: convert_threads
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        root=raw_root,
        source=raw_source,
        dataset=cell("dataset"),
        frames=cell("frames"),
        gender=cell("gender"),
        options=dataset_options,
    shell:
        """
        python -m avatarpipe.steps.convert \
            --dataset {params.dataset:q} \
            --root={params.root:q} \
            --source={params.source:q} \
            --frames {params.frames:q} \
            --subject {wildcards.subject:q} \
            --gender {params.gender:q} \
            --body {input.body:q} \
            --options {params.options:q} \
            --workers {threads} \
            --out {output.capture:q} \
            2>&1 | tee {log:q}
        """
