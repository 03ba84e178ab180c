"""avatarpipe: human captures in, animatable Gaussian avatars out."""

__version__ = "0.1.0"
