"""Raw datasets, one module each, read into what a capture is made of."""
