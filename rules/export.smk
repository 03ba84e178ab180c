"""Export: the avatar's layers as standard 3D Gaussian PLY files and as glTF, for any viewer.

Needs: results/{subject}/layered/outer/avatar/avatar.json; the capture that its world is known from.
Makes: results/{subject}/layered/export/: a PLY and a GLB (KHR_gaussian_splatting) of the composite and of each layer,
       canonical and posed, transform.json from the capture's world to that of the input files, and export.json.
"""


rule export:
    "Write the avatar's layers as files for other programs."
    input:
        avatar="results/{subject}/layered/outer/avatar/avatar.json",
        capture=image_capture,
        code=sources("avatarpipe.steps.export"),
    output:
        manifest="results/{subject}/layered/export/export.json",
        transform="results/{subject}/layered/export/transform.json",
    log:
        "logs/export/{subject}.log",
    benchmark:
        "results/benchmarks/{subject}/export.tsv"
    conda:
        "../envs/avatarpipe.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        formats=config["export"]["formats"],
        world=config["export"]["world"],
        sh_degree=config["export"]["sh_degree"],
    shell:
        """
        python -m avatarpipe.steps.export \
            --avatar {input.avatar:q} \
            --capture {input.capture:q} \
            --formats {params.formats} \
            --world {params.world} \
            --sh-degree {params.sh_degree} \
            --out {output.manifest:q} \
            2>&1 | tee {log:q}
        """
