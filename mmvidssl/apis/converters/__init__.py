"""Converters of released checkpoints to our names, and exporters of our backbones."""
