"""Numbers that headers and metafiles of configs quote."""

import re
from pathlib import Path

import pytest
import yaml

from tests.test_configs import ROOT, parse


def paper_result(config: Path) -> str:
    """What the header of a config says that the paper has."""
    lines = config.read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith('# Paper:'))
    text = [lines[start].removeprefix('# Paper:')]
    for line in lines[start + 1 :]:
        if not line.startswith('#  '):
            break
        text.append(line.removeprefix('#'))
    return ' '.join(' '.join(text).split())


# Of exactly that recipe; each header names its source. PooDLe: Wang et al., ICLR 2025, ADE20K.
NUMBERS = {
    'mvit-small_scratch_16xb16-amp-16x4x1-200e_k400': '81.0',
    'dora_vit-small-p16_8xb16-amp-coslr-100e_wt-venice': '35.2',
    'dora_vit-small-p16_8xb16-amp-coslr-100e_wt-all': '38.3',
    'maskfeat_mvit-small_8xb32-amp-coslr-300e_k400': '82.2',
    'maskfeat_mvit-large_8xb32-amp-coslr-800e_k400': '84.3',
    'maskfeat_vit-base-p16_8xb256-amp-coslr-300e_in1k': '83.6',
    'maskfeat_vit-base-p16_8xb256-amp-coslr-1600e_in1k': '84.0',
    'maskfeat_vit-large-p16_8xb256-amp-coslr-1600e_in1k': '85.7',
    'maskfeat-tube-mask_mvit-small_8xb32-amp-coslr-300e_k400': '81.9',
    'maskfeat-frame-mask_mvit-small_8xb32-amp-coslr-300e_k400': '81.0',
    'upernet_vit-small-p16_dora-wt-pre_4xb4-amp-160k_ade20k-512x512': '35.2 38.3',
    'vit-base-p16_maskfeat-in1k-pre_8xb256-amp-coslr-100e_in1k': '84.0',
    'vit-large-p16_maskfeat-in1k-pre_8xb128-amp-coslr-50e_in1k': '85.7',
    'mvit-small_maskfeat-k400-pre_16xb16-amp-16x4x1-100e_k400': '82.2',
    'mvit-large_maskfeat-k400-pre_32xb8-amp-16x4x1-75e_k400': '84.3',
}


def test_headers_quote_the_numbers_of_their_recipe_alone():
    for path in (ROOT / 'configs').rglob('*.py'):
        if '_base_' not in path.parts:
            quoted = re.findall(r'\d\d\.\d', paper_result(path))
            assert ' '.join(quoted) == NUMBERS.get(path.stem, ''), path


@pytest.mark.parametrize('metafile', sorted((ROOT / 'configs').rglob('metafile.yml')), ids=str)
def test_metafiles_name_the_papers_numbers_and_not_ours(metafile):
    for entry in yaml.safe_load(metafile.read_text())['Models']:
        metadata = entry['Metadata']
        if 'Iterations' in metadata and 'downstream' not in metafile.parts:
            cfg = parse(ROOT / entry['Config'])
            assert metadata['Iterations'] == cfg.train_cfg.max_iters, entry['Name']
        assert metadata['Paper Result'] == paper_result(ROOT / entry['Config'])
        assert (metadata['Our Result'] == 'not measured') is ('Weights' not in entry)
        if 'downstream' in metafile.parts:
            assert re.match(r'\d|none', metadata['Paper Result'])
