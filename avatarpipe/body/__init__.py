"""The parametric human: one file in the SMPL-X layout, posed by the smplx package."""
