"""The command line of features: what it writes, and what it refuses."""

from pathlib import Path

import cv2
import numpy as np
from mmengine.config import Config

from mmvidssl.apis import feature_files
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
    arguments = ('extract_features', *run_of(maskfeat_cfg()), video, *sizes, '--frame-interval', 2)
    code, _, error = tool(*arguments, '--out', out)
    assert code == 2 and str(out) in error and len(np.load(out)['features']) == 6
    code, _, _ = tool(*arguments, '--out', tmp_path / 'other.npz')
    assert code == 0 and np.load(tmp_path / 'other.npz')['features'].shape == (3, 16)


def test_role_of_a_downstream_model(tool, run_of, video, tmp_path):
    """Its one backbone is filled with that role's."""
    _, checkpoint = run_of(dora_cfg(), student_offset=0.1)
    config = tmp_path / 'downstream.py'
    Config(classifier_cfg()).dump(str(config))
    found = {}
    for name, cfg in dict(dora=tmp_path / 'config.py', downstream=config).items():
        for role in ((), ('--role', 'teacher'), ('--role', 'student')):
            out = tmp_path / f'{name}{len(found)}.npz'
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


def test_bad_files_are_left_out_and_a_stop_loses_nothing(tool, run_of, tmp_path, monkeypatch):
    monkeypatch.setattr(feature_files, 'IMAGES_AT_ONCE', 2)
    images, out, whole = (tmp_path / name for name in ('images', 'bad.npz', 'whole.npz'))
    images.mkdir()
    for index in range(6):
        cv2.imwrite(str(images / f'{index}.png'), np.full((40, 48, 3), 40 * index, np.uint8))
    run, sizes = run_of(dora_cfg()), ('--short-side', 32, '--crop-size', 32)
    assert tool('extract_features', *run, images, '--out', whole, *sizes)[0] == 0
    (images / '1.png').write_bytes(b'not an image')
    (images / '4.png').write_bytes(b'')
    arguments = ('extract_features', *run, images, '--out', out, *sizes)
    asked, extract = [], feature_files.extract_features

    def stopped_at(name):
        def until(model, files, **options):
            asked.append([file.name for file in files])
            if files[0].name == name:
                raise KeyboardInterrupt
            return extract(model, files, **options)

        return until

    monkeypatch.setattr(feature_files, 'extract_features', stopped_at('2.png'))
    code, _, error = tool(*arguments)
    assert code == 130 and 'goes on' in error
    assert asked[0] == ['0.png', '1.png'] and not out.exists()
    monkeypatch.setattr(feature_files, 'extract_features', stopped_at(None))
    code, _, error = tool(*arguments, '--layers', 0)  # others than the parts are of
    assert code == 2 and 'bad.npz.parts' in error
    config, checkpoint = run
    text = Path(config).read_text()
    Path(config).write_text(f'{text}\nother = 1\n')
    code, _, error = tool(*arguments)  # the same path, another config
    assert code == 2 and 'bad.npz.parts' in error
    Path(config).write_text(text)
    asked.clear()
    code, printed, error = tool(*arguments, '--workers', 1)
    assert asked[0] == ['2.png', '3.png']
    assert code == 1 and '(4, 24)' in printed
    assert 'left out: 1.png: ' in error and 'left out: 4.png: ' in error
    saved, expected = np.load(out), np.load(whole)
    assert saved['names'].tolist() == ['0.png', '2.png', '3.png', '5.png']
    assert saved['failed'].tolist() == ['1.png', '4.png']
    np.testing.assert_allclose(saved['features'], expected['features'][[0, 2, 3, 5]], rtol=1e-5)
    assert not Path(f'{out}.parts').exists()
    bad = [images / name for name in ('1.png', '4.png')]
    code, _, error = tool('extract_features', *run, *bad, '--out', tmp_path / 'no.npz', *sizes)
    assert code == 2 and '1.png' in error and not (tmp_path / 'no.npz.parts').exists()
