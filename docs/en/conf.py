"""Sphinx settings: ``sphinx-build docs/en docs/_build``, with the packages of CONTRIBUTING.md."""

import functools
import inspect
import os
import re
import shutil
import warnings
from pathlib import Path

import yaml

from mmvidssl import registry

project = 'mmvidssl'
author = copyright = 'The mmvidssl authors'
extensions = [
    'myst_parser',
    'sphinx.ext.autodoc',
    'sphinx.ext.napoleon',
    'sphinx.ext.viewcode',
    'sphinx_copybutton',
    'sphinx_design',
    'sphinx_gallery.gen_gallery',
]
# MMEngine imports it while examples run; under pytest they would show that.
warnings.filterwarnings('ignore', 'pkg_resources')
# .txt: copies, see below; .rst: examples, as sphinx-gallery writes them.
source_suffix = {'.md': 'markdown', '.txt': 'markdown', '.rst': 'restructuredtext'}
sphinx_gallery_conf = dict(
    examples_dirs='examples',
    gallery_dirs='gallery',
    filename_pattern='',  # run all
    capture_repr=(),
    remove_config_comments=True,
    run_stale_examples=True,
    within_subsection_order='FileNameSortKey',
    download_all_examples=False,
    write_computation_times=False,
)
html_theme = 'furo'
html_title = 'mmvidssl'
myst_enable_extensions = ['colon_fence']
myst_heading_anchors = 4
autodoc_default_options = {'members': True, 'show-inheritance': True}
autodoc_member_order = 'bysource'
napoleon_use_ivar = True
# Tables are included by pages of reference.
exclude_patterns = ['_build', 'examples', 'repository/models.txt', 'repository/parts.txt']

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parents[1]
KEYS = ('HOOKS', 'LOOPS', 'PARAM_SCHEDULERS', 'OPTIM_WRAPPERS', 'OPTIM_WRAPPER_CONSTRUCTORS')
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
EXAMPLES = {path: DOCS / f'gallery/{path.stem}.rst' for path in sorted(DOCS.glob('examples/*.py'))}
# A folder stands for its README.
MOVED = {**PAGES, **EXAMPLES, DOCS / 'examples/README.md': DOCS / 'gallery/index.rst'}


def copy_pages(app, config) -> None:
    """Write the READMEs and two tables, of all models and of the parts that configs name."""
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

    configs = (ROOT / 'configs').rglob('*.py')
    texts = {path.relative_to(ROOT / 'configs'): path.read_text() for path in configs}
    rows = ['| type | what it does | in our configs |', '| --- | --- | --- |']
    for name in KEYS:
        (found := getattr(registry, name)).import_from_location()
        for part, cls in found.module_dict.items():
            users = (path for path, text in texts.items() if re.search(rf"['.]{part}'", text))
            places = {f'`{"downstream" if "frozen" in x.stem else x.parts[0]}`' for x in users}
            line = re.sub(':class:', '', inspect.getdoc(cls).partition('\n')[0])
            rows.append(f'| {{py:class}}`.{part}` | {line} | {", ".join(sorted(places))} |')
    (COPIES / 'parts.txt').write_text('\n'.join(rows))


def mend_links(app, docname: str, source: list[str]) -> None:
    """Links to examples go to their pages; out of ``docs/en``, to a page's copy or to a file."""
    here = Path(app.env.doc2path(docname))
    origin = next((path for path, copy in PAGES.items() if copy == here), here)

    def mend(match: re.Match) -> str:
        path = Path(os.path.normpath(origin.parent / match[1]))
        path = path / 'README.md' if path.is_dir() else path
        return f']({os.path.relpath(MOVED.get(path, path), here.parent)}'

    source[0] = re.sub(r'\]\((?!\w+:|#)([^)#\s]+)', mend, source[0])


@functools.cache
def words_of(path: Path) -> set[str]:
    """Words of an example, or of the code in a page."""
    text = path.read_text()
    if path.suffix == '.md':
        text = ' '.join(re.findall(r'```.*?```|`[^`\n]+`', text, re.DOTALL))
    return set(re.findall(r'\w+', text))


def link_back(app, what: str, name: str, obj, options, lines: list[str]) -> None:
    """End the docstring of a class or function with links to examples and pages that name it.

    Those named by a plain word, which pages also use as such, get none.
    """
    uses = {**EXAMPLES, **{page: page for page in sorted(DOCS.glob('*/*.md'))}}
    word = name.rpartition('.')[2]
    found = [uses[path] for path in uses if word in words_of(path)]
    if found and what in ('class', 'function') and not re.fullmatch('[a-z]+', word):
        links = (f':doc:`/{page.relative_to(DOCS).with_suffix("")}`' for page in found)
        lines += ['', f'Used in: {", ".join(links)}', '']


def setup(app) -> None:
    app.connect('config-inited', copy_pages)
    app.connect('source-read', mend_links)
    app.connect('autodoc-process-docstring', link_back)
