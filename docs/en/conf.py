"""Sphinx settings: ``pip install -r requirements/docs.txt; sphinx-build docs/en docs/_build``."""

project = 'mmvidssl'
author = 'The mmvidssl authors'
extensions = ['myst_parser']
source_suffix = {'.md': 'markdown'}
html_theme = 'alabaster'
# The contributing guide and the changelog lie outside of docs/, where GitHub looks for them.
suppress_warnings = ['myst.xref_missing']
