"""Real runs into which a NaN or an infinity is put."""

import errno

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS

from mmvidssl.apis import replay_iteration
from mmvidssl.engine.checkpoint import AtomicBackend
from mmvidssl.registry import HOOKS
from tests.utils_run import tiny_cfg, train

BAD_ITER = 2  # from 0; the log and the file count from 1


class Before(Hook):
    """Does something before the bad iteration, and keeps the state of the model before each."""

    def __init__(self, action):
        self.action = action

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        state = runner.model.state_dict()
        self.state = {name: value.clone() for name, value in state.items()}
        if runner.iter == BAD_ITER:
            self.action(runner, data_batch)


def break_input(runner, data_batch):
    """One local crop of one clip."""
    clip = data_batch['inputs']['local_clips'][0][0].float()
    clip[0, 0, 0, 0] = torch.nan
    data_batch['inputs']['local_clips'][0] = [
        clip,
        *(other.float() for other in data_batch['inputs']['local_clips'][0][1:]),
    ]


def break_gradient(runner, data_batch):
    bias = runner.model.backbone.layers[0].attn.qkv.bias
    handle = bias.register_hook(lambda grad: grad * torch.inf)
    bias.register_post_accumulate_grad_hook(lambda parameter: handle.remove())


def config(video, work_dir, **options):
    cfg = tiny_cfg(video, work_dir, **options)
    cfg.custom_hooks = [*cfg.custom_hooks[:1], dict(type='NaNGuardHook')]
    cfg.default_hooks.checkpoint = None
    return cfg


def run(video, work_dir, action, **options):
    """The state before the bad iteration, the model after it, the file, and the message."""
    before, models = Before(action), []

    class Keep(Hook):
        def before_train(self, runner):
            models.append(runner.model)

    with pytest.raises(FloatingPointError) as raised:
        train(config(video, work_dir, **options), before, Keep())
    path = work_dir / f'nan_iter_{BAD_ITER + 1}.pth'
    return before.state, models[0], path, str(raised.value)


def test_a_bad_loss_ends_the_run_and_is_seen_again(video, tmp_path):
    options = dict(model__backbone__drop_path_rate=0.5)
    before, model, path, message = run(video, tmp_path, break_input, **options)
    assert message.startswith(f'iteration {BAD_ITER + 1}: the losses are loss=nan, loss_object=')
    assert f'Saved as {path}.' in message and 'replay_iteration' in message

    saved = torch.load(path, weights_only=True)
    assert saved['iteration'] == BAD_ITER + 1
    assert saved['batch']['inputs']['local_clips'][0][0].isnan().sum() == 1
    assert len(saved['batch']['data_samples'][0]['frame_inds']) == 2
    assert saved['random_state']['seed'] == 0
    assert saved['bad_gradients'] == []
    for name, value in model.named_parameters():
        assert torch.equal(value, before[name]), name
    # The pass had been counted by then.
    assert model.target_generator.num_passes == before['target_generator.num_passes'] + 1
    assert saved['state_dict'].keys() == before.keys()
    for name, value in before.items():
        assert torch.equal(saved['state_dict'][name], value), name

    state = torch.get_rng_state()
    losses = replay_iteration(path)
    assert torch.equal(torch.get_rng_state(), state)
    assert losses['loss_local'] != losses['loss_local']
    assert losses['loss_object'] == saved['losses']['loss_object']
    assert list(tmp_path.glob('*.tmp*')) == []


@pytest.mark.parametrize('clip_grad', [dict(max_norm=3.0), None], ids=['clipped', 'not'])
def test_a_bad_gradient_does_not_reach_the_parameters(video, tmp_path, clip_grad):
    options = dict(optim_wrapper__type='OptimWrapper', optim_wrapper__clip_grad=clip_grad)
    before, model, path, message = run(video, tmp_path, break_gradient, **options)
    assert f'iteration {BAD_ITER + 1}: the norm of the gradients is ' in message
    saved = torch.load(path, weights_only=True)
    assert 'backbone.layers.0.attn.qkv.bias' in saved['bad_gradients']
    if clip_grad is None:  # else all become NaN
        assert saved['bad_gradients'] == ['backbone.layers.0.attn.qkv.bias']
        assert 'in backbone.layers.0.attn.qkv.bias. ' in message
    for name, value in model.named_parameters():
        assert torch.equal(value, before[name]), name
        assert torch.equal(saved['state_dict'][name], value), name
    losses = replay_iteration(path)
    assert losses == {name: saved['losses'][name] for name in losses}


@OPTIM_WRAPPERS.register_module()
class ScaledOptimWrapper(OptimWrapper):
    """What AmpOptimWrapper does with gradients, on a CPU."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.scaler = torch.amp.GradScaler('cpu', init_scale=2.0**10)

    def backward(self, loss, **kwargs):
        self.scaler.scale(loss).backward(**kwargs)
        self._inner_count += 1

    def step(self, **kwargs):
        self.scaler.step(self.optimizer, **kwargs)
        self.scaler.update()


@pytest.mark.parametrize('fused', [False, True])
def test_a_step_that_the_scaler_skips_is_normal(video, tmp_path, fused):
    cfg = config(
        video,
        tmp_path,
        optim_wrapper__type='ScaledOptimWrapper',
        optim_wrapper__clip_grad=None,
        optim_wrapper__optimizer__fused=fused,
    )
    runner = train(cfg, Before(break_gradient))
    assert runner.iter == 8
    assert runner.optim_wrapper.scaler.get_scale() == 2.0**9  # it did skip one
    assert all(p.isfinite().all() for p in runner.model.parameters())
    assert not list(tmp_path.glob('nan_iter_*'))


class BreakGradients(Hook):
    """Gradients of one bias are NaN, whatever the scale, in some iterations."""

    def __init__(self, iterations):
        self.iterations = iterations

    def before_train(self, runner):
        bias = runner.model.backbone.layers[0].attn.qkv.bias
        bias.register_hook(
            lambda grad: grad * torch.nan if runner.iter in self.iterations else grad
        )


def skipping_config(video, work_dir, max_skipped_steps, **options):
    options = dict(optim_wrapper__clip_grad=None) | options
    cfg = config(video, work_dir, optim_wrapper__type='ScaledOptimWrapper', **options)
    cfg.custom_hooks[-1]['max_skipped_steps'] = max_skipped_steps
    return cfg


@pytest.mark.parametrize('fused', [False, True])
@pytest.mark.parametrize('counts', [1, 2])
def test_skipping_for_ever_is_not_normal(video, tmp_path, fused, counts):
    """Only steps that are due count."""
    options = dict(optim_wrapper__accumulative_counts=counts, optim_wrapper__optimizer__fused=fused)
    last = 4 * counts  # the first step is a good one
    hook = BreakGradients(range(counts, 8))
    before = Before(lambda runner, data_batch: None)
    with pytest.raises(FloatingPointError, match='skipped 3 optimizer steps') as error:
        train(skipping_config(video, tmp_path, 3, **options), hook, before)
    path = tmp_path / f'nan_iter_{last}.pth'
    message = str(error.value)
    assert message.startswith(f'iteration {last}: ') and f'Saved as {path}.' in message
    saved = torch.load(path, weights_only=True)
    assert saved['bad_gradients'] == []
    for name, value in before.state.items():
        assert torch.equal(saved['state_dict'][name], value), name
    losses = replay_iteration(path)
    assert losses == {name: saved['losses'][name] for name in losses}


def test_a_step_in_between_forgives(video, tmp_path):
    cfg = skipping_config(video, tmp_path, 2)
    runner = train(cfg, BreakGradients([1, 3, 5, 7]))
    assert runner.iter == 8
    assert runner.optim_wrapper.scaler.get_scale() == 2.0**6


def test_refuses_no_patience():
    with pytest.raises(ValueError, match='max_skipped_steps.*got 0'):
        HOOKS.build(dict(type='mmvidssl.NaNGuardHook', max_skipped_steps=0))


def test_a_healthy_run_is_as_without(video, tmp_path):
    states = []
    for hooks in ([], [dict(type='NaNGuardHook'), dict(type='HealthHook', interval=2)]):
        cfg = tiny_cfg(video, tmp_path)
        cfg.custom_hooks = [*cfg.custom_hooks[:1], *hooks]
        cfg.default_hooks.checkpoint = None
        runner = train(cfg)
        states.append(runner.model.state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    assert 'parse_losses' not in vars(runner.model)


def test_a_full_disk_does_not_hide_the_nan(video, tmp_path, monkeypatch):
    def fail(self, obj, filepath):
        raise OSError(errno.ENOSPC, f'could not write {filepath} (No space left on device)')

    monkeypatch.setattr(AtomicBackend, 'put', fail)
    _, _, path, message = run(video, tmp_path, break_input)
    assert 'the losses are loss=nan' in message
    assert 'It could not be saved: ' in message and 'No space left on device' in message
    assert not path.exists()


def test_replay_refuses(tmp_path):
    with pytest.raises(FileNotFoundError, match='does not exist'):
        replay_iteration(tmp_path / 'none.pth')
    torch.save(dict(state_dict={}, meta={}), tmp_path / 'epoch_1.pth')
    with pytest.raises(ValueError, match=r"\['meta', 'state_dict'\]"):
        replay_iteration(tmp_path / 'epoch_1.pth')
