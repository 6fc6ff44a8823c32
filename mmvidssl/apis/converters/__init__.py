"""Checkpoints from released code to ours, and our backbones for other libraries."""
