"""What every per-subject training shares: trainable Gaussians, densification, losses, checkpoints, the loop."""
