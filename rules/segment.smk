"""Segmentation: a label map for every image, from the scan's own labels or by the Sapiens network.

Needs: the subject's capture with images (of render, or of normalize where it was photographed); for Sapiens the checkpoint that config.yaml names.
Makes: results/{subject}/segment/capture.json with labels/; this capture is complete, and what training reads.
"""

if config["segmentation"]["provider"] == "sapiens":

    rule segment_sapiens:
        "Label the images by the Sapiens network."
        input:
            capture=image_capture,
            checkpoint=sapiens_checkpoint,
            code=sources("avatarpipe.steps.segment"),
        output:
            capture="results/{subject}/segment/capture.json",
        log:
            "logs/segment/{subject}.log",
        benchmark:
            "results/benchmarks/{subject}/segment.tsv"
        conda:
            "../envs/sapiens.yaml"
        threads: 8
        resources:
            gpu=1,
            mem_mb=16000,
            runtime=60,
        shell:
            """
            take_gpu {resources.gpu}
            python -m avatarpipe.steps.segment \
                --capture {input.capture:q} \
                --provider sapiens \
                --checkpoint {input.checkpoint:q} \
                --out {output.capture:q} \
                2>&1 | tee {log:q}
            """

else:

    rule segment:
        "Take the label maps that were rendered from the scan's labels."
        input:
            capture=labelled_capture,
            code=sources("avatarpipe.steps.segment"),
        output:
            capture="results/{subject}/segment/capture.json",
        log:
            "logs/segment/{subject}.log",
        benchmark:
            "results/benchmarks/{subject}/segment.tsv"
        conda:
            "../envs/avatarpipe.yaml"
        resources:
            mem_mb=2000,
            runtime=15,
        shell:
            """
            python -m avatarpipe.steps.segment \
                --capture {input.capture:q} \
                --provider scan_labels \
                --out {output.capture:q} \
                2>&1 | tee {log:q}
            """
