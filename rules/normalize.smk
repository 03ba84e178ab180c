"""Normalisation: the scan and its fit moved into the common frame, and checked against each other.

Needs: results/{subject}/convert/capture.json and the subject's body.
Makes: results/{subject}/normalize/capture.json: metres, +Y up, facing +Z, the fit's origin near the belly.
"""


rule normalize:
    "Move scan and fit into the common frame, and refuse a fit that does not match its scan."
    input:
        capture="results/{subject}/convert/capture.json",
        body=body_file,
        code=sources("avatarpipe.steps.normalize"),
    output:
        capture="results/{subject}/normalize/capture.json",
    log:
        "logs/normalize/{subject}.log",
    benchmark:
        "results/benchmarks/{subject}/normalize.tsv"
    conda:
        "../envs/avatarpipe.yaml"
    resources:
        mem_mb=4000,
        runtime=15,
    shell:
        """
        python -m avatarpipe.steps.normalize \
            --capture {input.capture:q} \
            --body {input.body:q} \
            --out {output.capture:q} \
            2>&1 | tee {log:q}
        """
