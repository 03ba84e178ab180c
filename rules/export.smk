"""Export: the avatar's layers as standard 3D Gaussian PLY files, for any viewer.

Needs: results/{subject}/layered/outer/avatar/avatar.json.
Makes: results/{subject}/layered/export/: a PLY of the composite and of each layer, canonical and posed, and export.json.
"""


rule export:
    "Write the avatar's layers as PLY files."
    input:
        avatar="results/{subject}/layered/outer/avatar/avatar.json",
        code=sources("avatarpipe.steps.export"),
    output:
        manifest="results/{subject}/layered/export/export.json",
    log:
        "logs/export/{subject}.log",
    benchmark:
        "results/benchmarks/{subject}/export.tsv"
    conda:
        "../envs/avatarpipe.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    shell:
        """
        python -m avatarpipe.steps.export \
            --avatar {input.avatar:q} \
            --out {output.manifest:q} \
            2>&1 | tee {log:q}
        """
