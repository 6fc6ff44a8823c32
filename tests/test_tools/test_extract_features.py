"""The command line of features: what it writes, and what it refuses."""

from pathlib import Path

import numpy as np
from mmengine.config import Config

from tests.utils_export import classifier_cfg
from tests.utils_model import dora_cfg, maskfeat_cfg


def test_features_of_a_video(tool, run_of, video, tmp_path):
    out = tmp_path / 'features.npz'
    sizes = ('--short-side', 32, '--crop-size', 32)
    code, printed, drawn = tool(
        *('extract_features', *run_of(dora_cfg()), video, '--out', out, *sizes),
        *('--every', 0.5, '--layers', -2, -1, '--pool', 'mean'),
    )
    assert code == 0 and '(6, 48)' in printed and 'extracting features: 100%' in drawn
    saved = np.load(out)
    np.testing.assert_allclose(saved['times'], np.arange(6) / 2, atol=1e-3)
    assert set(saved['names'].tolist()) == {str(video)}
    code, _, _ = tool(
        *('extract_features', *run_of(maskfeat_cfg()), video, '--out', out, *sizes),
        *('--frame-interval', 2),
    )
    assert code == 0 and np.load(out)['features'].shape == (3, 16)


def test_role_of_a_downstream_model(tool, run_of, video, tmp_path):
    """Its one backbone is filled with that role's."""
    _, checkpoint = run_of(dora_cfg(), student_offset=0.1)
    config = tmp_path / 'downstream.py'
    Config(classifier_cfg()).dump(str(config))
    found = {}
    for name, cfg in dict(dora=tmp_path / 'config.py', downstream=config).items():
        for role in ((), ('--role', 'teacher'), ('--role', 'student')):
            out = tmp_path / 'features.npz'
            sizes = ('--short-side', 32, '--crop-size', 32, *role)
            code, _, error = tool('extract_features', cfg, checkpoint, video, '--out', out, *sizes)
            assert code == 0, error
            found[name, role[-1:]] = np.load(out)['features']
    for role in ((), ('teacher',), ('student',)):
        np.testing.assert_allclose(found['downstream', role], found['dora', role], rtol=1e-5)
    np.testing.assert_array_equal(found['dora', ()], found['dora', ('teacher',)])
    assert not np.allclose(found['dora', ('teacher',)], found['dora', ('student',)])


def test_features_are_refused_in_a_sentence(tool, run_of, video, tmp_path):
    config, checkpoint = run_of(dora_cfg())
    for arguments, message in [
        ((config, checkpoint, 'none.mp4', '--out', 'a.npz'), 'none.mp4'),
        ((config, checkpoint, video, '--out', 'a.parquet'), 'a.parquet'),
        ((config, 'none.pth', video, '--out', 'a.npz'), 'none.pth'),
        (('none.py', checkpoint, video, '--out', 'a.npz'), 'none.py'),
        ((config, checkpoint, video, '--out', 'a.npz', '--layers', 7), 'has 2 blocks'),
    ]:
        code, _, error = tool('extract_features', *arguments)
        assert code == 2 and message in error and error.count('\n') == 1, error
    assert not Path('a.npz').exists()
