"""Look at avatars in a web browser: pose, shape, play motions, hide layers; also while they are being trained."""
