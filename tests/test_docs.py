"""The site builds without a warning, runs its examples, and has every class of the registries."""

import io
from pathlib import Path

import pytest
from mmengine.registry import Registry
from sphinx.application import Sphinx

from mmvidssl import registry

# MyST uses what Sphinx 11 will lack.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings('ignore::PendingDeprecationWarning')]

DOCS = Path(__file__).resolve().parents[1] / 'docs/en'


# One test: a build writes docs/en/repository, so two at once would be in each other's way.
def test_the_site_builds_without_warnings_and_has_every_registered_class(tmp_path):
    warnings = io.StringIO()
    app = Sphinx(
        DOCS, DOCS, tmp_path, tmp_path / '.doctrees', 'html', status=None, warning=warnings
    )
    app.build()
    assert not warnings.getvalue()  # links that lead nowhere are among them
    assert (tmp_path / 'index.html').is_file()

    documented = {
        name.rpartition('.')[2]
        for name, item in app.env.domains.python_domain.objects.items()
        if item.objtype in ('class', 'function')
    }
    ours = [r for r in vars(registry).values() if isinstance(r, Registry)]
    for one in ours:
        one.import_from_location()
    classes = [cls for one in ours for cls in one.module_dict.values()]
    registered = {cls.__name__ for cls in classes if cls.__module__.startswith('mmvidssl.')}
    assert 'DoRA' in registered
    assert registered <= documented
    links = (tmp_path / 'reference/api/models.html').read_text().split('Used in: ')[1:]
    assert any('gallery/own_target.html' in text.split('</p>')[0] for text in links)
