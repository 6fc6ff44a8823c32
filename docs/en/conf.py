"""Sphinx settings: ``pip install -r requirements/docs.txt; sphinx-build docs/en docs/_build``."""

import os
import re
import shutil
from pathlib import Path

import yaml

project = 'mmvidssl'
author = 'The mmvidssl authors'
extensions = [
    'myst_parser',
    'sphinx.ext.autodoc',
    'sphinx.ext.napoleon',
    'sphinx.ext.viewcode',
    'sphinx_copybutton',
    'sphinx_design',
]
source_suffix = {'.md': 'markdown', '.txt': 'markdown'}  # the latter: copies, see below
html_theme = 'furo'
html_title = 'mmvidssl'
myst_enable_extensions = ['colon_fence']
myst_heading_anchors = 4
autodoc_default_options = {'members': True, 'show-inheritance': True}
autodoc_member_order = 'bysource'
napoleon_use_ivar = True
exclude_patterns = ['_build', 'repository/models.txt']  # included by reference/model_zoo.md

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parents[1]
# Written anew by each build: pages that lie where GitHub shows them, with their links mended.
COPIES = DOCS / 'repository'
PAGES = {
    path: COPIES / path.relative_to(ROOT).with_suffix('.txt')
    for path in (
        *(ROOT / name for name in ('CHANGELOG.md', 'CONTRIBUTING.md')),
        *ROOT.glob('configs/**/README.md'),
        *ROOT.glob('projects/*/README.md'),
    )
}


def copy_pages(app, config) -> None:
    """Write the READMEs and the table of all models, ``repository/models.txt``."""
    shutil.rmtree(COPIES, ignore_errors=True)
    for path, copy in PAGES.items():
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    rows = ['| config | trained on | paper | measured by us |', '| --- | --- | --- | --- |']
    for metafile in yaml.safe_load((ROOT / 'model-index.yml').read_text())['Import']:
        for model in yaml.safe_load((ROOT / metafile).read_text())['Models']:
            facts = model['Metadata']
            link = f'[{model["Name"]}](../../../{model["Config"]})'
            cells = (facts[k] for k in ('Training Data', 'Paper Result', 'Our Result'))
            rows.append('| ' + ' | '.join((link, *cells)) + ' |')
    (COPIES / 'models.txt').write_text('\n'.join(rows))


def mend_links(app, docname: str, source: list[str]) -> None:
    """Links out of ``docs/en`` go to the copy of a page, or to a file that is downloaded."""
    here = Path(app.env.doc2path(docname))
    origin = next((path for path, copy in PAGES.items() if copy == here), here)

    def mend(match: re.Match) -> str:
        path = Path(os.path.normpath(origin.parent / match[1]))
        path = path / 'README.md' if path.is_dir() else path
        return f']({os.path.relpath(PAGES.get(path, path), here.parent)}'

    source[0] = re.sub(r'\]\((?!\w+:|#)([^)#\s]+)', mend, source[0])


def setup(app) -> None:
    app.connect('config-inited', copy_pages)
    app.connect('source-read', mend_links)
