"""Readers that cannot hang or crash the process that uses them."""
