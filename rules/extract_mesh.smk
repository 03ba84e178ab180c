"""Meshes out of Gaussians: depth of the avatar fused, coloured, and the garment's faces found by vote.

Needs: an avatar of the single or outer stage, results/{subject}/segment/capture.json.
Makes: results/{subject}/layered/{single,outer}/mesh/: composite.ply, garment.ply, garment.glb and mesh.json.
"""


rule extract_mesh:
    "Fuse the avatar into a mesh and cut its garment out."
    input:
        avatar="results/{subject}/layered/{stage}/avatar/avatar.json",
        capture="results/{subject}/segment/capture.json",
        code=sources("avatarpipe.steps.extract_mesh"),
    output:
        mesh="results/{subject}/layered/{stage}/mesh/mesh.json",
        garment="results/{subject}/layered/{stage}/mesh/garment.ply",
    log:
        "logs/extract_mesh/{subject}-{stage}.log",
    benchmark:
        "results/benchmarks/{subject}/extract_mesh-{stage}.tsv"
    conda:
        "../envs/avatarpipe.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=60,
    params:
        garment=config["garment"],
        voxel=config["mesh"]["voxel"],
        size=config["mesh"]["size"],
    shell:
        """
        take_gpu {resources.gpu}
        python -m avatarpipe.steps.extract_mesh \
            --avatar {input.avatar:q} \
            --capture {input.capture:q} \
            --garment {params.garment} \
            --voxel {params.voxel} \
            --size {params.size} \
            --out {output.mesh:q} \
            2>&1 | tee {log:q}
        """
