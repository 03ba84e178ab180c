"""The benchmark of one guided step runs anywhere, with networks of toy size."""

import json

import torch

from benchmarks import guidance


def test_the_benchmark_times_every_part(fake_body_file, tmp_path):
    words = ["--body", fake_body_file, "--out", tmp_path, "--surfels", 300, "--views", 2, "--size", 32]
    guidance.main([*map(str, words), "--tiny", "--steps", "1", "--warmup", "1", "--dtype", "fp32", "--device", "cpu"])
    result = json.loads((tmp_path / "guidance.json").read_text())
    assert set(result["parts_ms"]) == set(guidance.PARTS)
    assert max(result["parts_ms"].values()) > 0 and result["whole_step_ms"] > 0
    assert result["options"]["views"] == "2" and result["peak_gpu_gib"] is None
    table = (tmp_path / "guidance.md").read_text()
    assert all(f"| {part} |" in table for part in guidance.PARTS) and "**whole step**" in table


def test_full_size_is_that_of_stable_diffusion():
    """Known counts of parameters, without making them: UNet 859.5 M, openpose ControlNet 361.3 M, tiny encoder 1.22 M."""
    unet, control, vae, scheduler = guidance.networks(512, guidance.FULL, torch.bfloat16, torch.device("meta"))
    counts = [sum(p.numel() for p in network.parameters()) for network in (unet, control, vae.encoder)]
    assert counts == [859_520_964, 361_279_120, counts[2]] and 1.2e6 < counts[2] < 1.25e6
    assert abs(float(scheduler.alphas_cumprod[-1]) - 0.0047) < 1e-4
