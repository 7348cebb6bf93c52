"""AIGC Desktop: an offline generative studio for designers."""

__version__ = "0.1.0"
