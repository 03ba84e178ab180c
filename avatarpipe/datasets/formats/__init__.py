"""File formats that carry posed images and body parameters in and out: transforms.json, COLMAP models, smpl_params.npz."""
