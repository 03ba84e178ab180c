"""Conversion: one frame of a raw dataset becomes a capture; from here on every subject looks the same.

Needs: results/{subject}/synthesize/manifest.json, or the frame's files of 4D-Dress below the configured folder;
       the body of the subject's gender.
Makes: results/{subject}/convert/capture.json with scan, labels and body fit in the dataset's own world.
"""


rule convert:
    "Read and check one scan and its body fit."
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
    resources:
        mem_mb=4000,
        runtime=15,
    params:
        root=raw_root,
        source=raw_source,
        frame=raw_frame,
        gender=cell("gender"),
    shell:
        """
        python -m avatarpipe.steps.convert \
            --root {params.root:q} \
            --source {params.source:q} \
            --frame {params.frame:q} \
            --subject {wildcards.subject:q} \
            --gender {params.gender:q} \
            --body {input.body:q} \
            --out {output.capture:q} \
            2>&1 | tee {log:q}
        """
