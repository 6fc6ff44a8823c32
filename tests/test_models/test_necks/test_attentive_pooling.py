import torch

from mmvidssl.models.necks import AttentivePooling


def build():
    torch.manual_seed(0)
    neck = AttentivePooling(in_channels=8, num_heads=2, mlp_ratio=2.0)
    neck.init_weights()
    return neck


def test_it_is_a_transformer_block_of_one_query():
    """PyTorch's own decoder layer, whose self-attention gives nothing."""
    neck = build()
    for parameter in neck.parameters():  # biases and norms as well
        torch.nn.init.normal_(parameter, std=0.5)
    layer = torch.nn.TransformerDecoderLayer(
        8, 2, dim_feedforward=16, dropout=0, activation='gelu', batch_first=True, norm_first=True
    )
    for part in (layer.self_attn.out_proj.weight, layer.self_attn.out_proj.bias):
        torch.nn.init.zeros_(part)
    layer.norm2 = torch.nn.Identity()  # the query goes in as it is
    layer.norm3 = neck.norm2
    layer.multihead_attn = neck.attn
    layer.linear1, layer.linear2 = neck.mlp[0], neck.mlp[2]
    features = torch.randn(3, 8, 2, 4, 5)
    tokens = neck.norm1(features.flatten(2).transpose(1, 2))
    expected = layer(neck.query.expand(3, -1, -1), tokens)
    pooled, losses = neck([torch.zeros(()), features])
    assert losses == {} and pooled.shape == (3, 8, 1, 1, 1)
    torch.testing.assert_close(pooled.flatten(1), expected[:, 0])


def test_the_order_of_tokens_does_not_matter_and_each_clip_stands_alone():
    neck = build()
    features = torch.randn(2, 8, 2, 3, 3)
    pooled = neck([features])[0]
    shuffled = features.flatten(2)[..., torch.randperm(18)].view_as(features)
    torch.testing.assert_close(neck([shuffled])[0], pooled)
    torch.testing.assert_close(neck([features[1:]])[0], pooled[1:])
    assert not torch.allclose(pooled[0], pooled[1])
