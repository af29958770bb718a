"""F.pad against np.pad."""

import numpy as np
import pytest

import norch
import norch.nn.functional as F


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("amounts", [(1, 2), (2, 0, 1, 1), (0, 0), (1, 0, 0, 2, 1, 1)])
def test_values_and_gradients(device, mode, amounts):
    x = np.random.randn(2, 3, 4, 5)
    how = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}[mode]
    pairs = [(0, 0)] * (4 - len(amounts) // 2) + [tuple(amounts[i : i + 2]) for i in range(len(amounts) - 2, -1, -2)]
    expected = np.pad(x, pairs, mode=how)
    t = norch.tensor(x, device=device, requires_grad=True)
    out = F.pad(t, amounts, mode=mode)
    np.testing.assert_array_equal(out.detach().cpu().numpy(), expected)
    # Every entry of the result comes from one of the input (or none): the gradient counts the uses.
    out.sum().backward()
    where = np.pad(np.arange(x.size, dtype=float).reshape(x.shape), pairs, mode=how, **({"constant_values": -1} if mode == "constant" else {}))
    uses = np.bincount(where[where >= 0].astype(int).ravel(), minlength=x.size).reshape(x.shape)
    np.testing.assert_array_equal(t.grad.cpu().numpy(), uses)


def test_constants_and_cropping(device):
    x = norch.arange(6.0, device=device).view(2, 3)
    assert F.pad(x, (1, 1), value=9).tolist() == [[9, 0, 1, 2, 9], [9, 3, 4, 5, 9]]
    assert F.pad(x, (-1, 1)).tolist() == [[1, 2, 0], [4, 5, 0]]
    assert F.pad(x, (-1, -1, -1, 0)).tolist() == [[4]]
    assert F.pad(norch.tensor([True]), (1, 0)).tolist() == [False, True]


@pytest.mark.parametrize(
    "amounts, mode, error, text",
    [
        ((1,), "constant", RuntimeError, "must be divisible by 2"),
        ((1,) * 6, "constant", RuntimeError, "two times the input dimension"),
        ((-2, -2), "constant", RuntimeError, "resulted in a negative output size"),
        ((3, 0), "reflect", RuntimeError, "Padding size should be less than the corresponding input dimension"),
        ((4, 0), "circular", RuntimeError, "wrapping around more than once"),
        ((1, 1), "mirror", NotImplementedError, "Unrecognised padding mode mirror"),
    ],
)
def test_wrong_arguments(amounts, mode, error, text):
    with pytest.raises(error, match=text):
        F.pad(norch.zeros(2, 3), amounts, mode=mode)
