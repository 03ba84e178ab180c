"""Gaussian clouds: surfels and ellipsoids, their files and their renderer."""
