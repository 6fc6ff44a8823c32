"""Everything that changes over time, in a real run and against its closed form.

8 iterations in 2 epochs, the optimizer stepping at each, or at every other one.
"""

import math

import pytest
import torch

from tests.utils_run import ITERS_PER_EPOCH, NUM_EPOCHS, Recorder, tiny_cfg, train

NUM_ITERS = ITERS_PER_EPOCH * NUM_EPOCHS
BASE_LR = 0.128 * 2 / 256  # batch size over auto_scale_lr.base_batch_size
START, END = 0.3, 0.1


@pytest.fixture(scope='module', params=[1, 2], ids=['every step', 'accumulation'])
def counts(request):
    """Iterations for a step of the optimizer."""
    return request.param


@pytest.fixture(scope='module')
def record(video, tmp_path_factory, counts):
    recorder = Recorder()
    cfg = tiny_cfg(
        video,
        tmp_path_factory.mktemp('schedules'),
        optim_wrapper__accumulative_counts=counts,
        custom_hooks=[
            dict(type='TeacherMomentumHook', momentum=START, end_momentum=END),
            dict(
                type='TeacherTempHook',
                warmup_teacher_temp=0.02,
                teacher_temp=0.06,
                warmup_epochs=2,
                max_share=1.0,
            ),
        ],
    )
    train(cfg, recorder)
    assert len(recorder.rows) == NUM_ITERS
    return recorder


def cosine(step, num_steps, start, end):
    return end + (start - end) * (1 + math.cos(math.pi * step / num_steps)) / 2


def test_the_teacher_moves_with_real_steps_only(record, counts):
    teacher, student = record.start['teacher'], record.start['student']
    assert torch.equal(teacher, student)
    for iteration, row in enumerate(record.rows):
        if (iteration + 1) % counts == 0:
            assert not torch.equal(row['student'], student)
            momentum = cosine(iteration + 1 - counts, NUM_ITERS, START, END)
            teacher = (1 - momentum) * teacher + momentum * row['student']
            torch.testing.assert_close(row['teacher'], teacher, atol=1e-6, rtol=1e-5)
        else:
            assert torch.equal(row['student'], student)
            assert torch.equal(row['teacher'], teacher)
        student, teacher = row['student'], row['teacher']


def test_teacher_temp_by_epoch(record):
    assert record.column('teacher_temp') == pytest.approx([0.02] * 4 + [0.06] * 4)


def test_teacher_temp_by_iteration(video, tmp_path):
    recorder = Recorder()
    temp = dict(
        type='TeacherTempHook',
        warmup_teacher_temp=0.02,
        teacher_temp=0.06,
        warmup_epochs=3,
        by_epoch=False,
        max_share=1.0,
    )
    cfg = tiny_cfg(video, tmp_path, custom_hooks=[temp], train_cfg__max_epochs=1)
    train(cfg, recorder)
    assert recorder.column('teacher_temp') == pytest.approx([0.02, 0.04, 0.06, 0.06])
    # and nobody moves a teacher whose hook is left out
    assert torch.equal(recorder.rows[-1]['teacher'], recorder.start['teacher'])


# A row shows the rate of the *next* iteration: schedulers step at the end of each.


def of_first_passes(values, counts):
    """A step takes, in all its passes, the rate of the first, as one large batch would."""
    return [values[i - i % counts] for i in range(len(values))]


def test_learning_rate_is_scaled_warmed_up_and_annealed(record, counts):
    peak = BASE_LR * counts
    expected = [peak * (0.1 + 0.9 * i / (ITERS_PER_EPOCH - 1)) for i in range(ITERS_PER_EPOCH)]
    expected += [cosine(i, ITERS_PER_EPOCH, peak, 1e-5) for i in range(ITERS_PER_EPOCH)]
    rates = record.column('lr')
    expected = of_first_passes(expected, counts)
    assert [first for first, _ in rates[:-1]] == pytest.approx(expected[1:])
    assert all(first == second for first, second in rates)


def test_weight_decay_grows_where_there_is_any(record, counts):
    expected = [cosine(i, NUM_ITERS, 0.04, 0.4) for i in range(NUM_ITERS)]
    expected = of_first_passes(expected, counts)
    decays = record.column('weight_decay')
    assert [decay for decay, _ in decays[:-1]] == pytest.approx(expected[1:])
    assert all(none == 0 for _, none in decays)


def test_the_warm_up_of_the_temperature_fits_a_short_run(video, tmp_path):
    """Of 8 epochs, 30 of DINO's 100 are 2."""
    temp = dict(warmup_teacher_temp=0.02, teacher_temp=0.06, warmup_epochs=30)
    cfg = tiny_cfg(video, tmp_path, custom_hooks=[dict(type='TeacherTempHook', **temp)])
    cfg.train_dataloader.sampler.num_samples_per_epoch = 2
    cfg.train_cfg.max_epochs = 8
    recorder = Recorder()
    train(cfg, recorder)
    assert recorder.column('teacher_temp') == pytest.approx([0.02] + [0.06] * 7)
