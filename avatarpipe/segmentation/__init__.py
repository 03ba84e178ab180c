"""Label maps of a capture's images: read off a labelled scan, or found by a segmentation network."""
