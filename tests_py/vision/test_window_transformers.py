"""Transformers with attention inside windows: Swin and MaxViT."""

import numpy as np
import pytest

import norch
from norch import nn
from norch.vision.models import maxvit, swin_transformer


def small_swin(**options):
    return swin_transformer.SwinTransformer(
        patch_size=[2, 2], embed_dim=8, depths=[2, 1], num_heads=[2, 4], window_size=[4, 4], num_classes=5, **options
    )


V2 = {
    "block": swin_transformer.SwinTransformerBlockV2,
    "downsample_layer": swin_transformer.PatchMergingV2,
}


@pytest.mark.parametrize("options", [{}, V2], ids=["v1", "v2"])
def test_small_swin(options):
    model = small_swin(stochastic_depth_prob=0.2, **options)
    keys = set(model.state_dict())
    assert {"features.0.0.weight", "features.1.1.attn.relative_position_index", "features.2.reduction.weight"} <= keys
    assert ("features.3.0.attn.cpb_mlp.2.weight" in keys) == bool(options)
    model(norch.randn(2, 3, 26, 30)).square().sum().backward()  # not a multiple of windows
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def plain_windows(x, attention, shift):
    """Attention of every pixel, one by one: among those of its window that were its neighbours before the roll."""
    _, height, width, channels = x.shape
    heads, (rows, columns) = attention.num_heads, attention.window_size
    qkv = (x @ attention.qkv.weight.T + attention.qkv.bias).numpy()[0]
    table = attention.relative_position_bias_table.detach().numpy()
    out = np.zeros((height, width, channels))
    rolled = {(i, j): ((i - shift[0]) % height, (j - shift[1]) % width) for i in range(height) for j in range(width)}
    for (i, j), (ri, rj) in rolled.items():
        window = [
            (a, b)
            for (a, b), (ra, rb) in rolled.items()
            if ra // rows == ri // rows
            and rb // columns == rj // columns
            and (a - i, b - j) == (ra - ri, rb - rj)
        ]
        for h in range(heads):
            part = slice(h * channels // heads, (h + 1) * channels // heads)
            q = qkv[i, j, :channels][part] * (channels // heads) ** -0.5
            scores = np.array(
                [
                    q @ qkv[a, b, channels : 2 * channels][part]
                    + table[(i - a + rows - 1) * (2 * columns - 1) + j - b + columns - 1, h]
                    for a, b in window
                ]
            )
            weights = np.exp(scores - scores.max())
            values = np.array([qkv[a, b, 2 * channels :][part] for a, b in window])
            out[i, j, part] = weights / weights.sum() @ values
    return norch.from_numpy(out[None]) @ attention.proj.weight.T + attention.proj.bias


@pytest.mark.parametrize("shift", [[0, 0], [1, 2]])
def test_shifted_windows(shift):
    norch.manual_seed(1)
    attention = swin_transformer.ShiftedWindowAttention(6, [3, 4], shift, 2).double()
    x = norch.randn(1, 6, 8, 6, dtype=norch.float64)
    with norch.no_grad():
        norch.testing.assert_close(attention(x), plain_windows(x, attention, shift), atol=1e-9, rtol=1e-9)
    with pytest.raises(ValueError, match="must be of length 2"):
        swin_transformer.ShiftedWindowAttention(6, [3], [0], 2)


def test_merged_patches():
    merge = swin_transformer.PatchMerging(2, norm_layer=lambda n: nn.Identity())
    x = norch.arange(18.0).reshape(1, 3, 3, 2)
    with norch.no_grad():
        out = merge(x)
        square = norch.cat([x[0, 0, 0], x[0, 1, 0], x[0, 0, 1], x[0, 1, 1]])
        assert out.shape == (1, 2, 2, 4) and norch.allclose(out[0, 0, 0], merge.reduction(square))


def test_small_maxvit():
    model = maxvit.MaxVit((32, 32), 8, 4, [8, 16], [2, 1], 4, 0.2, num_classes=5)
    keys = set(model.state_dict())
    names = "stem.1.0.bias blocks.0.layers.0.layers.MBconv.proj.1.weight classifier.5.weight"
    assert set(names.split()) <= keys
    assert "blocks.1.layers.0.layers.grid_attention.attn_layer.1.relative_position_bias_table" in keys
    model(norch.randn(2, 3, 32, 32)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    with pytest.raises(ValueError, match="not divisible by partition size 4"):
        maxvit.MaxVit((40, 32), 8, 4, [8, 16], [2, 1], 4, 0.2)
    with pytest.raises(ValueError, match="either 'grid' or 'window'"):
        maxvit.PartitionAttentionLayer(8, 4, 4, "other", (8, 8), 4, nn.GELU, nn.LayerNorm, 0.0, 0.0, 0.0)


def test_grids_and_windows():
    x = norch.arange(16.0).reshape(1, 1, 4, 4)
    windows = maxvit.WindowPartition()(x, 2)
    assert windows[0, 1, :, 0].tolist() == [2, 3, 6, 7]
    assert maxvit.SwapAxes(-2, -3)(windows)[0, 0, :, 0].tolist() == [0, 2, 8, 10]
    assert maxvit.WindowDepartition()(windows, 2, 2, 2).equal(x)
