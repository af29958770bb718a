"""norch._foreach_*: one operation over lists of tensors."""

import pytest

import norch


def values(tensors):
    return [t.tolist() for t in tensors]


@pytest.fixture
def ts():
    return [norch.tensor([1.0, 4.0]), norch.tensor([[9.0]])]


def test_operands_are_lists_of_tensors_or_numbers_or_one_for_all(ts):
    assert values(norch._foreach_add(ts, 1)) == [[2.0, 5.0], [[10.0]]]
    assert values(norch._foreach_add(ts, [1, 2])) == [[2.0, 5.0], [[11.0]]]
    assert values(norch._foreach_add(ts, ts, alpha=2)) == [[3.0, 12.0], [[27.0]]]
    assert values(norch._foreach_mul(ts, norch.tensor(2.0))) == [[2.0, 8.0], [[18.0]]]
    assert values(norch._foreach_sub(ts, 1)) == [[0.0, 3.0], [[8.0]]] and values(norch._foreach_div(ts, [1.0, 3.0])) == [[1.0, 4.0], [[3.0]]]
    assert values(norch._foreach_pow(ts, 2)) == [[1.0, 16.0], [[81.0]]] and values(norch._foreach_pow(2, ts)) == [[2.0, 16.0], [[512.0]]]
    assert values(norch._foreach_maximum(ts, 2.0)) == values(norch._foreach_clamp_min(ts, 2.0)) == [[2.0, 4.0], [[9.0]]]
    assert values(norch._foreach_minimum(ts, ts)) == values(ts)


def test_pointwise_lerp_norm_and_unary(ts):
    assert values(norch._foreach_addcmul(ts, ts, ts, value=2)) == [[3.0, 36.0], [[171.0]]]
    assert values(norch._foreach_addcdiv(ts, ts, ts, scalars=[1.0, 2.0])) == [[2.0, 5.0], [[11.0]]]
    assert values(norch._foreach_addcmul(ts, ts, ts, norch.tensor([1.0, 0.0]))) == [[2.0, 20.0], [[9.0]]]
    assert values(norch._foreach_lerp(ts, norch._foreach_neg(ts), 0.5)) == [[0.0, 0.0], [[0.0]]]
    assert values(norch._foreach_norm(ts)) == [pytest.approx(17**0.5), 9.0]
    assert values(norch._foreach_sqrt(ts)) == [[1.0, 2.0], [[3.0]]] and values(norch._foreach_max(ts)) == [4.0, 9.0]


def test_in_place_returns_nothing(ts):
    a = ts[0]
    assert norch._foreach_mul_(ts, 2) is None and a.tolist() == [2.0, 8.0]
    norch._foreach_add_(ts, ts, alpha=-0.5)
    norch._foreach_clamp_max_(ts, 3.0)
    norch._foreach_lerp_(ts, [norch.zeros(2), norch.zeros(1, 1)], 1.0)
    norch._foreach_copy_(ts, [norch.ones(2), norch.ones(1, 1)])
    norch._foreach_addcdiv_(ts, ts, ts, 1)
    norch._foreach_sqrt_(ts)
    assert values(ts) == [pytest.approx([2**0.5] * 2), [[pytest.approx(2**0.5)]]]
    norch._foreach_zero_(ts)
    assert a.tolist() == [0.0, 0.0]


def test_gradients(ts):
    for t in ts:
        t.requires_grad_()
    sum(t.sum() for t in norch._foreach_mul(ts, ts)).backward()
    assert ts[0].grad.tolist() == [2.0, 8.0]


def test_errors(ts):
    with pytest.raises(RuntimeError, match="same number of tensors, got 2 and 1"):
        norch._foreach_add(ts, ts[:1])
    with pytest.raises(RuntimeError, match="at least one tensor"):
        norch._foreach_neg([])
    with pytest.raises(AttributeError):
        norch._foreach_nothing
