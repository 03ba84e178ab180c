"""File formats that carry posed images in and out: transforms.json and COLMAP models."""
