"""The site builds without a warning, and describes every class that a config can name."""

import io
from pathlib import Path

import pytest
from mmengine.registry import Registry
from sphinx.application import Sphinx

from mmvidssl import registry

# MyST uses what Sphinx 11 will lack.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings('ignore::PendingDeprecationWarning')]

DOCS = Path(__file__).resolve().parents[1] / 'docs/en'


@pytest.fixture(scope='module')
def site(tmp_path_factory):
    """What was built, and its warnings: links that lead nowhere are among them."""
    out = tmp_path_factory.mktemp('site')
    warnings = io.StringIO()
    app = Sphinx(DOCS, DOCS, out, out / '.doctrees', 'html', status=None, warning=warnings)
    app.build()
    return app, warnings.getvalue()


def test_the_site_builds_without_warnings(site):
    app, warnings = site
    assert not warnings, warnings
    assert (Path(app.outdir) / 'index.html').is_file()


def test_every_registered_class_is_in_the_reference(site):
    documented = {
        name.rpartition('.')[2]
        for name, item in site[0].env.domains.python_domain.objects.items()
        if item.objtype in ('class', 'function')
    }
    ours = [r for r in vars(registry).values() if isinstance(r, Registry)]
    for one in ours:
        one.import_from_location()
    classes = [cls for one in ours for cls in one.module_dict.values()]
    registered = {cls.__name__ for cls in classes if cls.__module__.startswith('mmvidssl.')}
    assert 'DoRA' in registered
    assert registered <= documented
