"""A DoRA step as one writes it first: a frame at a time, an object at a time, full attention maps.

Takes the weights of a :class:`mmvidssl.models.DoRA` (preset ``paper``, given heads, no drop path).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmvidssl.models.utils import resize_pos_embed


def vit(backbone: nn.Module, frame: Tensor) -> tuple[Tensor, list[tuple[Tensor, ...]]]:
    """Tokens ``(B, 1 + N, D)`` of one frame ``(B, 3, H, W)``, and query, key and attention maps
    ``(B, heads, 1 + N, 1 + N)`` of every block."""
    tokens, grid = backbone.patch_embed(frame)
    tokens = torch.cat([backbone.cls_token.expand(len(frame), -1, -1), tokens], dim=1)
    tokens = tokens + resize_pos_embed(backbone.pos_embed, backbone.patch_resolution, grid)
    blocks = []
    for layer in backbone.layers:
        attn = layer.attn
        qkv = attn.qkv(layer.ln1(tokens)).reshape(*tokens.shape[:2], 3, attn.num_heads, -1)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        weights = (query @ key.transpose(-2, -1) * attn.head_dims**-0.5).softmax(dim=-1)
        tokens = tokens + attn.proj((weights @ value).transpose(1, 2).flatten(2))
        tokens = layer.ffn(layer.ln2(tokens), identity=tokens)
        blocks.append((query, key, weights))
    return backbone.ln1(tokens), blocks


def object_masks(tokens: Tensor, blocks: list, keys: list[Tensor], model: nn.Module) -> Tensor:
    """Bool ``(O, B, T, N)``, one object and one frame at a time."""
    query, _, weights = blocks[-1]
    query = query[:, :, 1:].transpose(1, 2).flatten(2)
    features = F.normalize(tokens[:, 1:], dim=-1)
    prototypes = torch.stack(
        [(weights[:, h, 0, 1:, None] * query).sum(1) for h in model.tracker.heads], dim=1
    )
    plan = (features @ prototypes.transpose(1, 2) / model.tracker.epsilon).double().exp()
    for _ in range(model.tracker.num_iters):
        plan = plan / plan.sum(1, keepdim=True) / plan.shape[2]
        plan = plan / plan.sum(2, keepdim=True) / plan.shape[1]
    refined = (plan.float() * plan.shape[1]).transpose(1, 2) @ features
    masks = []
    for o in range(refined.shape[1]):
        frames = []
        for key in keys:
            key = key[:, :, 1:].transpose(1, 2).flatten(2)
            scores = (refined[:, o : o + 1] @ key.transpose(1, 2))[:, 0]
            tracked = (scores * key.shape[-1] ** -0.5).softmax(dim=-1)
            frames.append(tracked > tracked.mean(dim=-1, keepdim=True))
        masks.append(torch.stack(frames, dim=1))
    return torch.stack(masks)


def loss(model: nn.Module, global_clip: Tensor, local_clips: list[Tensor]) -> Tensor:
    """The sum of ``model.loss``'s losses; the center moves as there."""
    clip_len = global_clip.shape[2]
    generator = model.target_generator
    teacher = [vit(model.teacher.backbone, global_clip[:, :, t]) for t in range(clip_len)]
    logits = [model.teacher.neck(tokens[:, 0]) for tokens, _ in teacher]
    target = [((x - generator.center) / generator.teacher_temp).softmax(dim=-1) for x in logits]
    masks = object_masks(*teacher[0], [blocks[-1][1] for _, blocks in teacher], model)
    height, width = global_clip.shape[-2:]
    masks = masks.unflatten(-1, (height // model.backbone.patch_size[0], -1)).float()

    object_terms, local_terms = [], []
    for o in range(len(masks)):
        for t in range(clip_len):
            mask = F.interpolate(masks[o, :, t, None], size=(height, width), mode='nearest')
            tokens, _ = vit(model.backbone, global_clip[:, :, t] * mask)
            object_terms.append(cross_entropy(model, model.neck(tokens[:, 0]), target[t]))
    for t in range(clip_len):
        for view in local_clips:
            tokens, _ = vit(model.backbone, view[:, :, t])
            local_terms.append(cross_entropy(model, model.neck(tokens[:, 0]), target[t]))
    mean = torch.cat(logits).mean(dim=0, keepdim=True)
    generator.center.lerp_(mean.detach(), generator.center_momentum)
    return 0.5 * sum(object_terms) / len(object_terms) + 0.5 * sum(local_terms) / len(local_terms)


def cross_entropy(model: nn.Module, logits: Tensor, target: Tensor) -> Tensor:
    log_probs = (logits / model.head.loss_module.student_temp).log_softmax(dim=-1)
    return -(target * log_probs).sum(dim=-1).mean()
