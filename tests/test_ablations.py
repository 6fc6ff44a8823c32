"""The page of ablations: each row is a run."""

import copy
import re

import pytest
from mmengine.config import DictAction

from mmvidssl import registry
from mmvidssl.utils import register_all_modules
from mmvidssl.utils.checks import check_overrides
from tests.test_configs import CONFIGS, ROOT, build_without_memory, load


@pytest.fixture(autouse=True)
def registered():
    register_all_modules()


def rows_of(page):
    """Rows of the tables of ablations: a config, and what is put after ``--cfg-options``."""
    for line in page.read_text().splitlines():
        cells = [cell.strip() for cell in line.split('|')]
        link = re.search(r'\]\((.+\.py)\)', line)
        if link and len(cells) == 7:
            yield (page.parent / link[1]).resolve(), cells[4].strip('`').split()


@pytest.mark.parametrize('path, options', [*rows_of(ROOT / 'docs/en/reference/ablations.md')])
def test_a_row_of_the_ablations_is_a_run(path, options):
    """What ``tools/train.py`` does with the options, and the parts that they are for."""
    cfg = load(path)
    pairs = (option.split('=') for option in options)
    values = {key: DictAction._parse_iterable(value) for key, value in pairs}
    check_overrides(cfg, values)
    before = copy.deepcopy(cfg)
    cfg.merge_from_dict(values)
    assert bool(options) is (cfg.to_dict() != before.to_dict())
    has_numbers = 'classifier' in cfg.model.target_generator
    (registry.MODELS.build if has_numbers else build_without_memory)(cfg.model)
    for transform in cfg.train_dataloader.dataset.pipeline:
        registry.TRANSFORMS.build(transform)


def test_every_ablation_is_a_row():
    rows = {path for path, _ in rows_of(ROOT / 'docs/en/reference/ablations.md')}
    ours = {'random-mask', 'ema-features'}  # which the papers do not have
    assert {p for p in CONFIGS if 'ablation' in p.parts} - rows == {
        p for p in CONFIGS if any(f'maskfeat-{name}_' in p.name for name in ours)
    }
