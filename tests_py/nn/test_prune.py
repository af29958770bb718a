"""Pruning: norch.nn.utils.prune."""

import pytest

import norch
from norch import nn
from norch.nn.utils import prune


def names(module):
    return sorted(n for n, _ in module.named_parameters())


def test_a_pruned_parameter_and_back():
    m = nn.Linear(4, 3)
    before = m.weight.detach().clone()
    assert prune.l1_unstructured(m, "weight", amount=5) is m
    assert names(m) == ["bias", "weight_orig"] and sorted(m.state_dict()) == ["bias", "weight_mask", "weight_orig"]
    assert prune.is_pruned(m) and prune.is_pruned(nn.Sequential(m)) and not prune.is_pruned(nn.Linear(2, 2))
    assert int((m.weight_mask == 0).sum()) == 5 and norch.equal(m.weight, before * m.weight_mask)
    assert before.abs()[m.weight_mask == 0].max() <= before.abs()[m.weight_mask == 1].min()
    m(norch.ones(2, 4)).sum().backward()
    assert norch.equal(m.weight_orig.grad, 2 * m.weight_mask)
    with norch.no_grad():
        m.weight_orig.fill_(1)
    m(norch.ones(2, 4))  # computes weight anew
    assert norch.equal(m.weight, m.weight_mask)
    expected = m.weight.detach().clone()
    prune.remove(m, "weight")
    assert names(m) == ["bias", "weight"] and isinstance(m.weight, nn.Parameter) and norch.equal(m.weight, expected)
    with pytest.raises(ValueError, match="has to be pruned before"):
        prune.remove(m, "weight")


@pytest.mark.parametrize(
    "how, zeros",
    [
        (lambda m: prune.identity(m, "weight"), 0),
        (lambda m: prune.random_unstructured(m, "weight", 0.25), 6),
        (lambda m: prune.l1_unstructured(m, "weight", 0.5, importance_scores=norch.arange(24.0).view(4, 6)), 12),
        (lambda m: prune.random_structured(m, "weight", 2, dim=1), 8),
        (lambda m: prune.ln_structured(m, "weight", 0.5, n=2, dim=-1), 12),
        (lambda m: prune.ln_structured(m, "weight", 1, n=float("inf"), dim=0), 6),
        (lambda m: prune.random_structured(m, "weight", 0, dim=0), 0),
        (lambda m: prune.custom_from_mask(m, "weight", norch.arange(24).view(4, 6) % 3 > 0), 8),
    ],
)
def test_how_much_goes(how, zeros):
    m = how(nn.Linear(6, 4))
    assert int((m.weight_mask == 0).sum()) == zeros


def test_one_on_top_of_another():
    m = nn.Linear(6, 4)
    prune.ln_structured(m, "weight", 1, n=2, dim=0)
    prune.l1_unstructured(m, "weight", 4)
    prune.random_unstructured(m, "weight", 0.5)
    assert int((m.weight_mask == 0).sum()) == 6 + 4 + 7
    assert sorted(int(n) for n in (m.weight_mask == 0).sum(1))[-1] == 6  # the channel is still gone
    (hook,) = m._forward_pre_hooks.values()
    assert isinstance(hook, prune.PruningContainer) and len(hook) == 3 and isinstance(hook[1], prune.L1Unstructured)
    assert [type(h).__name__ for h in hook] == ["LnStructured", "L1Unstructured", "RandomUnstructured"]
    with pytest.raises(TypeError, match="not a BasePruningMethod"):
        hook.add_pruning_method(3)


def test_several_parameters_together():
    a, b = nn.Linear(4, 4), nn.Linear(4, 4)
    with norch.no_grad():
        b.weight.mul_(100)
    prune.global_unstructured([(a, "weight"), (b, "weight")], prune.L1Unstructured, amount=16)
    assert int((a.weight_mask == 0).sum()) > int((b.weight_mask == 0).sum())
    assert int((a.weight_mask == 0).sum() + (b.weight_mask == 0).sum()) == 16
    with pytest.raises(TypeError, match="Only \"unstructured\""):
        prune.global_unstructured([(a, "weight")], prune.RandomStructured, amount=1)
    with pytest.raises(TypeError, match="not an Iterable"):
        prune.global_unstructured(3, prune.L1Unstructured, amount=1)


def test_values_pruned():
    t = norch.tensor([[3.0, -1.0], [0.5, 2.0]])
    assert prune.L1Unstructured(2).prune(t).tolist() == [[3, 0], [0, 2]]
    assert prune.LnStructured(1, 2, 0).prune(t, importance_scores=-t.flip(0)).tolist() == [[0, 0], [0.5, 2]]


@pytest.mark.parametrize(
    "how, error, text",
    [
        (lambda m: prune.l1_unstructured(m, "weight", 1.5), ValueError, "range"),
        (lambda m: prune.l1_unstructured(m, "weight", -1), ValueError, "non-negative"),
        (lambda m: prune.l1_unstructured(m, "weight", 1000), ValueError, "smaller than the number of parameters"),
        (lambda m: prune.l1_unstructured(m, "weight", "a"), TypeError, "Invalid type for amount"),
        (lambda m: prune.ln_structured(m, "bias", 1, 2, 0), ValueError, "multidimensional"),
        (lambda m: prune.ln_structured(m, "weight", 1, 2, 5), IndexError, "Invalid index 5"),
        (lambda m: prune.custom_from_mask(m, "weight", norch.ones(2)), AssertionError, "mask shape"),
        (lambda m: prune.l1_unstructured(m, "weight", 1, norch.ones(2)), AssertionError, "importance_scores"),
    ],
)
def test_errors_leave_the_module_as_it_was(how, error, text):
    m = nn.Linear(6, 4)
    with pytest.raises(error, match=text):
        how(m)
    assert names(m) == ["bias", "weight"] and not prune.is_pruned(m)
