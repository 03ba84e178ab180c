"""Triangle meshes: files, rendering, closest points, extraction from depth, clean-up and comparison."""
