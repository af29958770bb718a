"""Averaged models and their schedule."""

import numpy as np
import pytest

import norch
from norch import nn, optim
from norch.optim import swa_utils as S


def averages(**options):
    model = nn.Linear(1, 1, bias=False)
    averaged = S.AveragedModel(model, **options)
    for value in (1.0, 2.0, 6.0):
        nn.init.constant_(model.weight, value)
        averaged.update_parameters(model)
    return averaged


@pytest.mark.parametrize("options", [{}, dict(avg_fn=S.get_swa_avg_fn()), dict(multi_avg_fn=S.get_swa_multi_avg_fn())])
def test_equal_weights(options):
    averaged = averages(**options)
    assert averaged.module.weight.item() == pytest.approx(3)
    assert list(averaged.state_dict()) == ["n_averaged", "module.weight"] and averaged.n_averaged == 3


@pytest.mark.parametrize("options", [dict(avg_fn=S.get_ema_avg_fn(0.5)), dict(multi_avg_fn=S.get_ema_multi_avg_fn(0.5))])
def test_exponential_weights(options):
    assert averages(**options).module.weight.item() == pytest.approx(3.75)


def test_buffers_are_copied_or_averaged():
    model = nn.BatchNorm1d(2)
    copied, averaged = S.AveragedModel(model), S.AveragedModel(model, use_buffers=True)
    for value in (1.0, 3.0):
        model.running_mean.fill_(value)
        copied.update_parameters(model)
        averaged.update_parameters(model)
    assert copied.module.running_mean.tolist() == [3, 3]
    assert averaged.module.running_mean.tolist() == [2, 2]


def test_update_bn():
    model = nn.Sequential(nn.BatchNorm1d(3))
    data = norch.tensor(np.random.default_rng(0).standard_normal((40, 3)), dtype=norch.float32)
    model.eval()
    S.update_bn([(data[:20], None), (data[20:], None)], model)
    np.testing.assert_allclose(model[0].running_mean.numpy(), data.mean(0).numpy(), rtol=1e-4, atol=1e-6)
    assert model[0].momentum == 0.1 and not model.training


def test_swalr_anneals():
    optimizer = optim.SGD([nn.Parameter(norch.ones(1))], lr=1.0)
    schedule = S.SWALR(optimizer, swa_lr=0.2, anneal_epochs=4, anneal_strategy="linear")
    rates = []
    for _ in range(6):
        optimizer.step()
        schedule.step()
        rates += schedule.get_last_lr()
    np.testing.assert_allclose(rates, [0.8, 0.6, 0.4, 0.2, 0.2, 0.2])


def test_errors():
    with pytest.raises(ValueError, match="Invalid decay value 2.0 provided"):
        S.get_ema_avg_fn(2.0)
    with pytest.raises(AssertionError, match="Only one of"):
        S.AveragedModel(nn.Linear(1, 1), avg_fn=S.get_swa_avg_fn(), multi_avg_fn=S.get_swa_multi_avg_fn())
