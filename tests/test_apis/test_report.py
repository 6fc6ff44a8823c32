"""The report: verdicts on known curves, real runs whole and damaged, and the page in a browser."""

import json
import logging
import math
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmvidssl.apis import init_model
from mmvidssl.apis.report import Run, judge, read_checkpoint, read_runs, write_report
from mmvidssl.apis.report.pictures import PCA, draw_run
from mmvidssl.engine.hooks import CollapseHook
from mmvidssl.engine.hooks.collapse_hook import Symptom
from mmvidssl.visualization import read_run
from mmvidssl.visualization.curves import KL
from tests.utils_model import dora_cfg, maskfeat_cfg
from tests.utils_run import tiny_cfg, train
from tests.utils_tool import run_tool
from tests.utils_video import write_video

CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')
LOG_K = math.log(16)
NOISE = np.random.default_rng(1).normal(2, 0.1, 60)
WAITS = np.where(np.arange(60) % 10 == 5, 9.0, 0.0)  # one line in ten has an evaluation
SLOW = dict(data_time=0.001 + WAITS, time=0.2 + WAITS)


def healthy(**changes) -> dict:
    """Curves of 60 log lines of a run that learns; ``changes`` are constants or arrays."""
    x = list(range(1100, 1700, 10))
    noise = np.random.default_rng(0).normal(0, 0.01, 60)
    values = dict(
        loss=np.linspace(3, 2, 60) + noise,
        teacher_entropy=1.5,
        teacher_batch_entropy=2.5,
        teacher_kl=LOG_K - 1.5,
        rank_teacher=np.linspace(4, 8, 60),
        mask_overlap=0.3,
        time=0.2,
        data_time=0.001,
    )
    return {name: (x, np.full(60, v).tolist()) for name, v in {**values, **changes}.items()}


@pytest.mark.parametrize(
    ('changes', 'levels', 'words'),
    [
        ({}, 'good good good', ''),
        (dict(teacher_entropy=LOG_K, teacher_kl=0.0), 'bad good look', 'uniform targets'),
        (dict(teacher_batch_entropy=0.0), 'bad good look', 'one prototype'),
        (dict(rank_teacher=np.r_[np.full(40, 8), np.ones(20)]), 'bad good look', 'rank_teacher'),
        (dict(mask_overlap=np.r_[np.ones(30), np.zeros(30)]), 'look good good', 'iteration 1390'),
        (dict(data_time=0.15), 'good bad good', '75%'),
        (dict(data_time=0.04), 'good look good', '20%'),
        (dict(loss=np.r_[np.full(50, 2), np.full(10, np.nan)]), 'good good bad', '1600'),
        (dict(loss=np.r_[2, np.nan, np.linspace(3, 2, 58)]), 'good good good', '1110'),
        (dict(loss=NOISE, explained=NOISE), 'good good look', 'not learn'),
        (dict(loss=NOISE), 'good good unknown', 'no longer'),
        ({KL: np.r_[np.zeros(12), NOISE[12:]]}, 'good good unknown', KL),
        (SLOW, 'good good good', '0%'),
        (dict(mask_overlap=np.r_[np.ones(57), np.nan, 1, 1]), 'bad good look', 'one object'),
        (dict(loss=np.r_[np.full(12, 3), np.full(48, 2)]), 'good good good', 'no longer'),
        (dict(loss=np.linspace(2, 3, 60)), 'good good look', 'rises'),
        (dict(explained=np.linspace(0.3, 0.2, 60)), 'good good look', 'worse'),
    ],
)
def test_verdict(changes, levels, words):
    findings = judge(Run('run', healthy(**changes)))
    assert [f.level for f in findings] == levels.split()
    assert words in ' '.join(f.answer for f in findings)


def test_verdict_takes_the_thresholds_of_the_config():
    curves = healthy(mask_overlap=0.5)
    hook = dict(type='CollapseHook', max_overlap=0.4, grace=0, _scope_='mmvidssl')
    for options, level in (
        ({}, 'bad'),
        (dict(grace=5000), 'unknown'),
        (dict(patience=61), 'unknown'),
    ):
        cfg = Config(dict(custom_hooks=[dict(hook, **options)]))
        assert judge(Run('run', curves, cfg))[0].level == level
    old = Config(dict(custom_hooks=[dict(hook, min_variance=1)]))
    assert 'min_variance' in judge(Run('run', curves, old))[0].answer
    assert [f.level for f in judge(Run('run'))] == ['unknown'] * 3
    assert [f.level for f in judge(Run('run', healthy(), nan='nan_iter_7.pth'))][2] == 'bad'


@pytest.fixture(scope='module')
def run_dir(tmp_path_factory) -> Path:
    """A real run of two epochs, a checkpoint each; the video is beside it."""
    folder = tmp_path_factory.mktemp('report')
    video = write_video(folder / 'video.mp4', num_frames=60)
    cfg = tiny_cfg(video, folder / 'run')
    collapse = dict(type='CollapseHook', grace=0, patience=1, min_rank=100)  # it has 24 channels
    cfg.custom_hooks = [*cfg.custom_hooks, dict(type='HealthHook', interval=1), collapse]
    train(cfg)
    return folder / 'run'


@pytest.fixture(scope='module')
def report(run_dir) -> Path:
    """Of two runs: one whose checkpoints differ much, one without any."""
    folder = run_dir.parent / 'both'
    shutil.copytree(run_dir, folder / 'dora')
    shutil.copytree(run_dir, folder / 'other', ignore=shutil.ignore_patterns('*.pth'))
    first = torch.load(run_dir / 'epoch_1.pth', weights_only=True)
    for name, value in first['state_dict'].items():
        if name.endswith('weight'):
            value.normal_(std=0.3, generator=torch.Generator().manual_seed(len(name)))
    torch.save(first, folder / 'dora' / 'epoch_1.pth')
    (folder / 'other' / 'summary.json').write_text('{"knn": {"after": 0.53251}, "none": null}')
    return write_report(folder / 'a.html', read_runs(folder), [run_dir.parent / 'video.mp4'])


def test_runs_are_read_whole_and_the_file_is_small(run_dir, report):
    (run,) = read_runs(run_dir)
    assert run.missing == []
    assert [path.name for path in run.checkpoints] == ['epoch_1.pth', 'epoch_2.pth']
    assert run.settings['prototypes'] == '16' and run.versions['MMEngine']
    assert run.curves['ln K'][1] == [LOG_K, LOG_K]
    page = report.read_text()
    assert len(page.encode()) < 8e6
    for words in ('epoch_2', 'DINOViT', 'of 16 samples', 'rank_student', 'not measured'):
        assert words in page
    assert 'no checkpoint' in page and 'knn: after' in page and '0.5325<' in page


def test_what_the_hooks_told_counts(run_dir, tmp_path):
    shutil.copytree(run_dir, tmp_path / 'run')
    (log,) = (tmp_path / 'run').glob('*/*.log')
    hook, runner = CollapseHook(patience=1), SimpleNamespace(iter=8, logger=logging.getLogger('x'))
    runner.logger.setLevel('INFO')
    runner.logger.addHandler(handler := logging.FileHandler(log))
    for is_seen in (True, False):
        hook._follow(runner, Symptom('one object', is_seen, 'finding', 'advice'))
    handler.close()
    for nan, counts in (('nan_iter_3.pth', False), ('nan_iter_8.pth', True)):  # it has 8
        (tmp_path / 'run' / nan).touch()
        (run,) = read_runs(tmp_path / 'run')
        assert run.nan == nan * counts
    run.curves.clear()
    finding = judge(run)[0]
    assert finding.level == 'bad' and 'rank_teacher' in finding.answer
    assert 'one object' in log.read_text() and 'one object' not in finding.answer


def remove(pattern: str):
    def change(run_dir: Path) -> None:
        for path in list(run_dir.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return change


def crash(run_dir: Path) -> None:
    """In the middle of a line and of a checkpoint."""
    (scalars,) = run_dir.glob('*/vis_data/scalars.json')
    scalars.write_text(scalars.read_text()[:-9])
    (run_dir / 'epoch_2.pth').write_bytes((run_dir / 'epoch_2.pth').read_bytes()[:5000])


def multiply(run_dir: Path) -> None:
    for number in range(3, 303):
        (run_dir / f'epoch_{number}.pth').symlink_to(run_dir / 'epoch_1.pth')


def empty(run_dir: Path) -> None:
    for path in run_dir.glob('*/vis_data/scalars.json'):
        path.write_text('')


@pytest.mark.parametrize(
    ('damage', 'frames', 'words'),
    [
        (remove('*.pth'), 0, ['no checkpoint']),
        (crash, 40, ['Not drawn', 'epoch_2.pth']),
        (empty, 0, ['log is empty', 'nothing was logged']),
        (remove('2*'), 5, ['log is empty']),
        (multiply, 5, ['Of 302 checkpoints, 8 ', 'epoch_302']),
        (remove('broken*'), 0, ['broken_videos.json']),
    ],
    ids=['no checkpoints', 'crashed', 'empty log', 'no log', 'hundreds', 'no broken videos'],
)
def test_what_is_missing_is_said(run_dir, tmp_path, damage, frames, words):
    damaged = shutil.copytree(run_dir, tmp_path / 'run')
    damage(damaged)
    out, options = tmp_path / 'report.html', ()
    if frames:
        options = ('--video', write_video(tmp_path / 'short.mp4', num_frames=frames))
    assert run_tool('visualization/report', damaged, *options, '--out', out) == 0
    page = out.read_text()
    assert all(w in page for w in words)
    assert not frames or f'max="{min(frames, 12) - 1}" value="0"' in page
    assert ('short.mp4 is short' in page) == bool(frames)
    assert ('data:image/jpeg' in page) == bool(frames)


def test_a_checkpoint_without_a_run(run_dir, tmp_path):
    (config,) = run_dir.glob('*/vis_data/config.py')
    out = tmp_path / 'report.html'
    arguments = (config, run_dir / 'epoch_2.pth', '--out', out)
    assert run_tool('visualization/report', *arguments) == 0
    assert 'checkpoint alone' in out.read_text()
    (tmp_path / 'report.html').unlink()
    shutil.copytree(run_dir, tmp_path / 'other' / 'run')
    assert run_tool('visualization/report', run_dir, tmp_path / 'other', '--out', out) == 0
    title = out.read_text().partition('<title>')[2].partition('</title>')[0]
    assert title == f'{run_dir}: run, {tmp_path}/other: run: report'


@pytest.mark.parametrize('name', ['NoModel', 'no_option'])
def test_a_model_that_cannot_be_built_is_not_drawn(run_dir, tmp_path, name):
    model = dict(type=name) if name == 'NoModel' else dora_cfg(no_option=1)
    run = Run('run', cfg=Config(dict(model=model)), checkpoints=[run_dir / 'epoch_2.pth'])
    shows, (note,) = draw_run(run, [run_dir.parent / 'video.mp4'], 8, 12, 'cpu')
    assert shows == [] and name in note


def test_hog_of_a_video_and_of_one_shorter_than_a_clip(tmp_path):
    mask = dict(type='CubeMask', mask_window=(2, 4, 4), min_num_patches=1, max_num_patches=8)
    data = dict(clip_len=4, pipeline=[mask])
    cfg = Config(dict(model=maskfeat_cfg(), train_dataloader=dict(dataset=data)))
    cfg.dump(str(tmp_path / 'config.py'))
    weights = init_model(cfg).state_dict()
    for num_frames, names, words in (
        (50, '', 'predicted HOG'),
        (3, '', '3.mp4 has 3 frames'),
        (50, 'backbone.', 'has no projection'),
    ):
        chosen = {name: value for name, value in weights.items() if name.startswith(names)}
        torch.save(dict(state_dict=chosen, meta={}), tmp_path / 'epoch_1.pth')
        run = read_checkpoint(tmp_path / 'config.py', tmp_path / 'epoch_1.pth')
        video = write_video(tmp_path / f'{num_frames}.mp4', num_frames=num_frames)
        assert words in write_report(tmp_path / 'a.html', [run], [video]).read_text()
    torch.save(dict(state_dict=weights, meta={}), tmp_path / 'epoch_2.pth')
    run.checkpoints.append(tmp_path / 'epoch_2.pth')
    (show,), notes = draw_run(run, [video], 8, 12, 'cpu')
    assert show.checkpoints == ['epoch_1', 'epoch_2'] and list(show.views) == ['frame', PCA]
    assert [[len(x) for x in view] for view in show.views.values()] == [[6, 6]] * 2
    assert [note for note in notes if 'predicted HOG' in note]


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('none', '--out', 'a.html'), 'none'),
        (('none.py', 'none.pth', '--out', 'a.html'), 'none.py'),
        (('run/epoch_1.pth', '--out', 'a.html'), 'run/epoch_1.pth'),
        (('run', 'typo', 'run', '--out', 'a.html'), 'such folder: typo'),
        (('run', *4 * ['run'], '--out', 'a.html'), 'at most 4 runs'),
        (('nothing', '--out', 'a.html'), 'nothing holds no run'),
        (('many', '--out', 'a.html'), 'many holds 0, 1, 2, 3, 4'),
        (('broken', '--out', 'a.html'), 'config.py'),
        (('broken/1/vis_data/config.py', 'run/epoch_1.pth', '--out', 'a.html'), 'config.py'),
        (('odd', '--out', 'a.html'), 'broken_videos.json'),
        (('run', '--out', 'a.pdf'), 'a.pdf'),
        (('run', '--out', 'a.html', '--video', 'none.mp4'), 'none.mp4'),
        (('run', '--out', 'a.html', '--video', *'abcde'), 'at most 4'),
    ],
)
def test_mistakes_get_one_sentence(run_dir, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    Path('run').symlink_to(run_dir)
    for name in ('nothing', *(f'many/{i}/1/vis_data' for i in range(5)), 'broken/1/vis_data'):
        Path(name).mkdir(parents=True)
    Path('broken/1/vis_data/config.py').write_text('model = dict(')
    Path('odd/1/vis_data').mkdir(parents=True)
    Path('odd/broken_videos.json').write_text('{"videos": ["a.mp4"]}')
    assert run_tool('visualization/report', *arguments) == 2
    assert message in capsys.readouterr().err
    assert not Path('a.html').exists() and not Path('a.pdf').exists()


def test_runs_are_drawn_together(run_dir, tmp_path, capsys):
    other = shutil.copytree(run_dir, tmp_path / 'other')
    out = tmp_path / 'runs.svg'
    assert run_tool('analysis/plot_run', run_dir, other, '--out', out) == 0
    drawn = out.read_text()
    for words in ('run: loss', 'run: ln K', 'run: data_time', 'other: teacher_m'):
        assert f'<!-- {words} -->' in drawn
    empty(other)
    assert run_tool('analysis/plot_run', run_dir, other, '--out', tmp_path / 'b.png') == 2
    assert 'other' in capsys.readouterr().err and not (tmp_path / 'b.png').exists()


def test_a_resumed_run_is_one_curve(tmp_path):
    for start, steps in (('1', [1, 2, 3, 4]), ('2', [3, 4, 5])):
        file = tmp_path / start / 'vis_data' / 'scalars.json'
        file.parent.mkdir(parents=True)
        lines = (json.dumps(dict(loss=int(start), iter=step, step=step)) for step in steps)
        file.write_text(''.join(f'{line}\n' for line in lines))
    assert read_run(tmp_path)['loss'] == ([1, 2, 3, 4, 5], [1, 1, 2, 2, 2])


@pytest.mark.skipif(CHROMIUM is None, reason='needs chromium: apt-get install chromium')
def test_in_a_browser(report):
    playwright = pytest.importorskip('playwright.sync_api')
    with playwright.sync_playwright() as started:
        try:
            browser = started.chromium.launch(executable_path=CHROMIUM, args=['--no-sandbox'])
        except playwright.Error as error:  # Ubuntu's stand-in for a snap
            pytest.skip(f'{CHROMIUM} does not start: {error}')
        for scheme, width in (('light', 1200), ('dark', 400)):
            size = dict(width=width, height=800)
            page = browser.new_page(color_scheme=scheme, viewport=size)
            problems: list[str] = []
            page.on('console', lambda m, to=problems: m.type == 'error' and to.append(m.text))
            page.on('pageerror', lambda error, to=problems: to.append(str(error)))
            page.on('request', lambda r, to=problems: to.append(r.url))
            page.goto(report.as_uri())
            look(page, width)
            others = [problem for problem in problems if problem != report.as_uri()]
            assert not [problem for problem in others if not problem.startswith('data:')]
            page.screenshot(path=report.with_name(f'{scheme}{width}.png'), full_page=True)
        browser.close()


def look(page, width: int) -> None:
    """What a reader does: look at curves and pictures, and move the sliders."""
    plots = page.locator('.plot')
    assert plots.count() >= 12  # of two runs
    for i in range(plots.count()):
        assert plots.nth(i).locator('svg .js-line').first.get_attribute('d')
    sources = '[...document.images].map(image => image.src)'
    widths = (
        'Promise.all([...document.images].map(async image => '
        '(await image.decode(), image.naturalWidth)))'
    )
    seen = [page.evaluate(sources)]
    assert len(seen[0]) == 9  # frame, 2 objects, masks, 2 views of the student, PCA, 2 sheets
    for name, key in (('frame', 'End'), ('checkpoint', 'Home')):
        assert all(page.evaluate(widths))
        page.locator(f'input.{name}').press(key)
        seen.append(page.evaluate(sources))
    (start, end, before) = seen
    moved = [a != b for a, b in zip(start, end, strict=True)]
    assert moved == [True] * 7 + [False] * 2  # the sheets are of the first frame
    changed = [a != b for a, b in zip(end, before, strict=True)]
    assert changed == [False] + [True] * 8  # the frame is the same
    assert page.locator('output').all_inner_texts()[1] == 'epoch_1'
    assert all(page.evaluate(widths))
    assert page.evaluate('document.documentElement.scrollWidth') <= width
