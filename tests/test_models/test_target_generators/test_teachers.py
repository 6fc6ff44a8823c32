"""Targets that another model computes: features, codes, labels."""

import numpy as np
import pytest
import torch
from mmengine.runner import load_checkpoint
from PIL import Image

from mmvidssl.models.target_generators import teacher_generator
from mmvidssl.registry import MODELS
from tests.utils_model import backbone_cfg, maskfeat_cfg, noise
from tests.utils_teacher import CLASSIFIER, CNN, DALLE, VIT, VIT_CLASSIFIER, VQKD

IMAGENET = dict(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))
DALLE_NORM = dict(mean=(-31.875,) * 3, std=(318.75,) * 3)


def build(kind: str, **options):
    torch.manual_seed(0)
    return MODELS.build({'type': f'mmvidssl.{kind}Generator', 'patch_size': 8, **options})


def deep(teacher=VIT, **options):
    return build('DeepFeature', teacher=teacher, **options)


def codes(tokenizer=DALLE, **options):
    return build('DiscreteToken', **{'tokenizer': tokenizer, 'num_codes': 32, **options})


def labels(classifier=CLASSIFIER, **options):
    return build('PseudoLabel', classifier=classifier, **options)


ALL = {
    'deep ViT': deep,
    'deep CNN': lambda: deep(CNN),
    'ema': lambda: deep(maskfeat_cfg()['backbone'], ema=True, takes_clips=True),
    'DALL-E': codes,
    'VQ-KD': lambda: codes(VQKD, code_stride=8),
    'labels': labels,
    'labels of a ViT': lambda: labels(VIT_CLASSIFIER),
}


@pytest.fixture
def clip():
    return noise(2, 3, 4, 32, 32)


# --- all ------------------------------------------------------------------------------------------


@pytest.mark.parametrize('make', ALL.values(), ids=ALL)
def test_the_contract(make, clip):
    """No gradient, one target a token, a teacher at rest; images are clips of one frame."""
    generator = make().train()
    before = {name: value.clone() for name, value in generator.teacher.named_parameters()}
    target = generator(clip.requires_grad_())
    assert target.shape[:2] == (2, 2 * 4 * 4)
    assert not target.requires_grad
    assert torch.equal(generator(clip), target)
    assert not any(module.training for module in generator.teacher.modules())
    assert not any(p.requires_grad for p in generator.parameters())
    assert all(torch.equal(p, before[name]) for name, p in generator.teacher.named_parameters())
    image = generator(clip[:, :, 2])
    assert torch.equal(image, generator(clip[:, :, 2:3]))


@pytest.mark.parametrize('make', [deep, codes, labels], ids=['deep', 'codes', 'labels'])
def test_the_target_frame_is_the_centre(make, clip):
    target = make()(clip).unflatten(1, (2, 16))
    for t in range(2):
        torch.testing.assert_close(make()(clip[:, :, 2 * t]), target[:, t])


def test_other_normalization(clip):
    """The teacher sees the pixels that the clip was made of, normalised its own way."""
    pixels = 255 * noise(2, 3, 4, 32, 32).sigmoid()

    def normalize(norm):
        mean, std = (torch.tensor(norm[key]).view(1, 3, 1, 1, 1) for key in ('mean', 'std'))
        return (pixels - mean) / std

    generator = codes(input_norm=IMAGENET, teacher_norm=DALLE_NORM)
    seen = []
    generator.teacher.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    target = generator(normalize(IMAGENET))
    assert seen[0].min() >= 0.1 and seen[0].max() <= 0.9
    torch.testing.assert_close(
        seen[0], normalize(DALLE_NORM)[:, :, ::2].transpose(1, 2).flatten(0, 1)
    )
    assert torch.equal(target, codes()(normalize(DALLE_NORM)))


def test_state_has_the_teacher_and_nothing_else():
    generator = codes(input_norm=IMAGENET, teacher_norm=DALLE_NORM)
    assert generator.state_dict().keys() == {
        f'teacher.{name}' for name in generator.teacher.state_dict()
    }


@pytest.mark.parametrize(
    ('teacher', 'options', 'is_warned'),
    [
        (VIT, {}, True),
        (VIT, dict(ema=True), False),
        (dict(CNN, init_cfg=dict(type='Pretrained', checkpoint='{}')), {}, False),
    ],
    ids=['random', 'ema', 'pretrained'],
)
def test_warns_of_random_weights(teacher, options, is_warned, monkeypatch, tmp_path):
    if 'init_cfg' in teacher:
        path = tmp_path / 'weights.pth'
        torch.save(MODELS.build(dict(CNN)).state_dict(), path)
        teacher = {**teacher, 'init_cfg': dict(type='Pretrained', checkpoint=str(path))}
    messages = []
    monkeypatch.setattr(
        teacher_generator, 'print_log', lambda message, **kwargs: messages.append(message)
    )
    generator = deep(teacher, **options)
    generator.init_weights()
    assert len(messages) == is_warned
    if 'init_cfg' in teacher:
        saved = torch.load(path, weights_only=True)
        for name, value in generator.teacher.state_dict().items():
            assert torch.equal(value, saved[name])


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda: deep(input_norm=IMAGENET), 'teacher_norm=None'),
        (lambda: deep(patch_size=0), 'patch_size'),
        (lambda: codes(code_stride=0), 'code_stride'),
        (lambda: labels(temperature=0), 'temperature'),
        (lambda: deep(backbone_cfg())(noise(1, 3, 32, 32)), "DINOViT .* out_type='featmap'"),
        (lambda: deep(VIT, takes_clips=True)(noise(1, 3, 4, 32, 32)), 'takes_clips=False'),
        (lambda: codes(code_stride=16)(noise(1, 3, 32, 32)), '64 codes for .* 4x4'),
    ],
    ids=range(7),
)
def test_refuses(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_refuses_other_kinds():
    with pytest.raises(TypeError, match='got DINOViT'):
        labels(VIT)
    with pytest.raises(TypeError, match='set ema=True'):
        deep().update_teacher(MODELS.build(VIT), 0.5)
    with pytest.raises(TypeError, match="'clip_norm'.* input_norm"):
        deep(clip_norm=IMAGENET)


# --- deep features --------------------------------------------------------------------------------


def test_features_of_each_patch(clip):
    generator = deep()
    target = generator(clip).unflatten(1, (2, 4, 4))
    for b in range(2):
        for t in range(2):
            (features,) = generator.teacher(clip[b, :, 2 * t].unsqueeze(0))
            for h in range(4):
                for w in range(4):
                    feature = features[0, :, h, w]
                    expected = feature / feature.square().sum().sqrt()
                    torch.testing.assert_close(target[b, t, h, w], expected, rtol=1e-4, atol=1e-5)


def test_features_are_resized_before_they_are_normalized(clip):
    generator = deep(patch_size=16)
    target = generator(clip)
    assert target.shape == (2, 2 * 2 * 2, 24)
    torch.testing.assert_close(target.norm(dim=-1), torch.ones(2, 8))
    # From 4 x 4 to 2 x 2: the middle two of each four weigh most (a triangle, 4 cells wide).
    (features,) = generator.teacher(clip[:1, :, 0])
    weights = torch.tensor([[3, 3, 1, 0], [0, 1, 3, 3]]) / 7
    expected = torch.einsum('ih,jw,dhw->dij', weights, weights, features[0]).flatten(1).T
    torch.testing.assert_close(
        target[0, :4], expected / expected.norm(dim=-1, keepdim=True), rtol=1e-4, atol=1e-5
    )


def test_a_classifier_gives_the_features_of_its_backbone(clip):
    torch.testing.assert_close(deep(CLASSIFIER)(clip), deep(CNN)(clip))


def test_a_teacher_of_clips(clip):
    backbone = maskfeat_cfg()['backbone']
    generator = deep(backbone, takes_clips=True)
    features = generator.teacher.forward_tokens(clip).tokens
    expected = torch.nn.functional.normalize(features, dim=-1)
    torch.testing.assert_close(generator(clip), expected)
    assert deep(backbone, takes_clips=True, patch_size=16)(clip).shape == (2, 2 * 2 * 2, 16)
    whole = dict(type='mmvidssl.MViT', **{k: v for k, v in backbone.items() if k != 'type'})
    assert deep(whole, takes_clips=True)(clip).shape == (2, 2 * 4 * 4, 16)


def ema_model():
    backbone = maskfeat_cfg()['backbone']
    cfg = maskfeat_cfg(
        target_generator=dict(
            type='mmvidssl.DeepFeatureGenerator',
            teacher=backbone,
            ema=True,
            takes_clips=True,
            patch_size=8,
        ),
        head=dict(
            type='mmvidssl.MaskFeatHead', loss=dict(type='mmvidssl.NormalizedRegressionLoss')
        ),
    )
    cfg['neck']['out_channels'] = 16
    torch.manual_seed(0)
    return MODELS.build(cfg)


def test_the_average_starts_as_the_student_and_follows():
    model = ema_model()
    student, teacher = model.backbone.state_dict(), model.target_generator.teacher.state_dict()
    assert all(torch.equal(teacher[name], student[name]) for name in student)
    model.init_weights()
    assert all(torch.equal(teacher[name], student[name]) for name in student)
    start = {name: value.clone() for name, value in student.items()}
    for step in range(3):
        with torch.no_grad():
            for p in model.backbone.parameters():
                p.add_(1)
        model.update_teacher(momentum=0.25)
        if step == 1:  # stopped and resumed
            saved = model.state_dict()
            model = ema_model()
            model.load_state_dict(saved)
    # Students 1, 2 and 3 above the start, with weights that a closed form gives.
    rise = sum(0.25 * 0.75 ** (3 - k) * k for k in (1, 2, 3))
    for name, p in model.target_generator.teacher.named_parameters():
        torch.testing.assert_close(p, start[name] + rise, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('has_average', [False, True])
def test_the_average_of_a_file_without_one_is_the_backbone(has_average, tmp_path):
    model = ema_model()
    weights = {f'backbone.{k}': v + 1 for k, v in model.backbone.state_dict().items()}
    if has_average:
        weights |= {
            f'target_generator.teacher.{k}': v + 2 for k, v in model.backbone.state_dict().items()
        }
    torch.save(weights, tmp_path / 'backbone.pth')
    start = {k: v.clone() for k, v in model.backbone.state_dict().items()}
    load_checkpoint(model, str(tmp_path / 'backbone.pth'), map_location='cpu')
    for name, value in model.target_generator.teacher.state_dict().items():
        assert torch.equal(value, start[name] + (2 if has_average else 1)), name


def test_a_frozen_teacher_is_not_filled_from_the_backbone():
    cfg = maskfeat_cfg(target_generator=dict(type='mmvidssl.DeepFeatureGenerator', teacher=VIT))
    cfg['neck']['out_channels'] = 24
    model = MODELS.build(cfg)
    weights = {f'backbone.{k}': v for k, v in model.backbone.state_dict().items()}
    result = model.load_state_dict(weights, strict=False)
    assert result.unexpected_keys == []
    assert any(key.startswith('target_generator.teacher.') for key in result.missing_keys)
    assert not model.has_moving_teacher


@pytest.mark.parametrize(('name', 'stated'), [('mean', IMAGENET['mean']), ('std', (1.0, 2.0, 3.0))])
def test_the_normalization_must_be_that_of_the_data_preprocessor(name, stated):
    done = dict(mean=(114.75,) * 3, std=(57.375,) * 3)

    def model(input_norm):
        target = dict(
            type='mmvidssl.DeepFeatureGenerator',
            teacher=VIT,
            input_norm=input_norm,
            teacher_norm=IMAGENET,
        )
        return MODELS.build(
            maskfeat_cfg(
                target_generator=target,
                data_preprocessor=dict(type='mmvidssl.ClipDataPreprocessor', **done),
            )
        )

    model(done)
    with pytest.raises(ValueError, match=rf'{name}=.*{stated[2]:.1f}.*{name}=.*{done[name][2]}'):
        model({**done, name: stated})


# --- codes ----------------------------------------------------------------------------------------


def test_codes_of_dalle(clip):
    generator = codes(patch_size=8)
    target = generator(clip)
    assert target.shape == (2, 2 * 4 * 4, 1) and target.dtype == torch.int64
    logits = generator.teacher(clip[1, :, 2].unsqueeze(0))
    assert target[1, 16:, 0].tolist() == logits[0].flatten(1).argmax(0).tolist()
    assert len(target.unique()) > 2
    assert generator.pred_channels == 32


def test_frames_are_resized_to_one_code_a_patch(clip):
    """224 pixels in patches of 16 are 112 for DALL-E; resized as Pillow does."""
    generator = codes(patch_size=16)
    seen = []
    generator.teacher.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    assert generator(clip).shape == (2, 2 * 2 * 2, 1)
    plane = Image.fromarray(clip[0, 0, 0].numpy()).resize((16, 16), Image.Resampling.BILINEAR)
    np.testing.assert_allclose(seen[0][0, 0].numpy(), np.asarray(plane), atol=1e-5)


def test_codes_of_vqkd(clip):
    generator = codes(VQKD, code_stride=8)
    frame = clip[1, :, 2].unsqueeze(0)
    expected = generator.teacher.get_tokens(frame)['token']
    assert generator(clip)[1, 16:, 0].tolist() == expected[0].tolist()


class Tokenizer(torch.nn.Module):
    """Gives the same output at every call, by ``get_tokens`` or as logits."""

    def __init__(self, output, has_codes):
        super().__init__()
        self.output = output
        if has_codes:
            self.get_tokens = self.forward

    def forward(self, frames):
        return self.output


FRAMES = noise(2, 3, 32, 32)


@pytest.mark.parametrize(
    ('output', 'has_codes', 'message'),
    [
        (noise(2, 33, 4, 4), False, '33 codes.* num_codes=32'),
        (noise(2, 31, 4, 4), False, '31 codes.* num_codes=32'),
        (noise(2, 32, 16), False, r'\(2, 32, 16\)'),
        (noise(1, 32, 4, 4), False, r'\(1, 32, 4, 4\)'),
        ((noise(2, 32, 4, 4),), False, 'got tuple'),
        (torch.full((2, 16), 40), True, 'code 40.* num_codes=32'),
        (torch.zeros(32, dtype=torch.long), True, r'\(32,\)'),
        (noise(2, 16), True, 'torch.float32'),
        (dict(ids=torch.zeros(2, 16)), True, "'token'.* got NoneType"),
    ],
    ids=range(9),
)
def test_refuses_what_is_not_such_codes(output, has_codes, message):
    generator = codes()
    generator.teacher = Tokenizer(output, has_codes)
    with pytest.raises(ValueError, match=message):
        generator(FRAMES)


def test_the_largest_code_is_looked_at_once():
    """Since that waits for the device."""
    generator = codes()
    generator.teacher = Tokenizer(torch.full((2, 16), 31), has_codes=True)
    assert generator(FRAMES).eq(31).all()
    generator.teacher.output = torch.full((2, 16), 40)
    assert generator(FRAMES).eq(40).all()


def test_codes_are_chosen_in_float32(clip):
    generator = codes()
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(generator(clip), codes()(clip))


# --- labels ---------------------------------------------------------------------------------------


@pytest.mark.parametrize('temperature', [1.0, 0.5])
def test_labels_of_each_place(temperature, clip):
    generator = labels(temperature=temperature)
    generator.teacher.head.fc.weight.data.copy_(noise(7, 16, seed=1))
    target = generator(clip).unflatten(1, (2, 4, 4))
    (features,) = generator.teacher.backbone(clip[1, :, 2].unsqueeze(0))
    assert features.shape == (1, 16, 4, 4)
    fc = generator.teacher.head.fc
    for h in range(4):
        for w in range(4):
            logits = fc.weight @ features[0, :, h, w] + fc.bias
            expected = (logits / temperature).softmax(0)
            torch.testing.assert_close(target[1, 1, h, w], expected, rtol=1e-4, atol=1e-6)
    assert generator.pred_channels == 7


def test_resized_labels_are_probabilities(clip):
    for patch_size in (4, 16):
        target = labels(patch_size=patch_size)(clip)
        assert target.shape == (2, 2 * (32 // patch_size) ** 2, 7)
        assert target.min() >= 0
        torch.testing.assert_close(target.sum(-1), torch.ones(target.shape[:2]))
