from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmvidssl.registry import MODELS
from projects.example_project.models import HardTargetGenerator, WholeViewDoRA
from tests.utils_model import dora_cfg, noise, views
from tests.utils_video import write_video

CONFIG = next((Path(__file__).parents[1] / 'configs').glob('*.py'))


def test_two_iterations(tmp_path):
    video = write_video(tmp_path / 'video.mp4', num_frames=60)
    cfg = Config.fromfile(CONFIG)
    cfg.work_dir = str(tmp_path)
    cfg.merge_from_dict(
        {
            'train_dataloader.dataset.videos': [str(video)],
            'train_dataloader.dataset.ann_file': '',
            'train_dataloader.dataset.data_root': '',
            'train_dataloader.num_workers': 0,
            'train_dataloader.persistent_workers': False,
            'train_cfg.max_iters': 2,
            'default_hooks.checkpoint.interval': 2,
        }
    )
    runner = Runner.from_cfg(cfg)
    assert isinstance(runner.model, WholeViewDoRA)
    runner.train()
    state = torch.load(tmp_path / 'iter_2.pth', weights_only=True)
    losses = state['message_hub']['log_scalars']['train/loss']['history_buffer']['values']
    assert len(losses) == 2 and losses.isfinite().all()


def test_targets_are_the_most_likely_prototypes():
    generator = HardTargetGenerator(num_prototypes=6)
    logits = noise(3, 4, 6).requires_grad_()
    target = generator(logits)
    assert target.dtype == torch.float32 and not target.requires_grad
    assert target.unique().tolist() == [0, 1] and torch.equal(target.sum(-1), torch.ones(3, 4))
    assert torch.equal(target.argmax(-1), logits.argmax(-1))  # the center starts at zero


def test_the_whole_view_is_the_first_object():
    seen = {}
    torch.manual_seed(0)
    model = MODELS.build(dora_cfg(type='mmvidssl.WholeViewDoRA'))
    encode_student = model.encode_student

    def spy(clips):
        seen.setdefault('objects', clips)
        return encode_student(clips)

    model.encode_student = spy
    inputs = views()
    losses = model.loss(inputs)
    assert set(losses) == {'loss_object', 'loss_local'}
    assert len(seen['objects']) == 1 + 2
    assert torch.equal(seen['objects'][0], inputs['global_clip'])
    assert not torch.equal(seen['objects'][1], inputs['global_clip'])
