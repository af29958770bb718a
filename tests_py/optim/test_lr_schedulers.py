"""Schedules against their closed forms."""

import gc
import math
import weakref

import pytest

import norch
from norch import nn, optim
from norch.optim import lr_scheduler as S


def make(lr=0.5, **options):
    params = [nn.Parameter(norch.ones(1)) for _ in range(2)]
    return optim.SGD([{"params": params[:1]}, {"params": params[1:], "lr": lr * 2}], lr=lr, **options)


def rates(optimizer, scheduler, steps):
    """The first group's rate before each step; the second group's is twice that."""
    found = []
    for _ in range(steps):
        a, b = (g["lr"] for g in optimizer.param_groups)
        assert b == pytest.approx(2 * a) and scheduler.get_last_lr() == [a, b]
        found.append(a)
        optimizer.step()
        scheduler.step()
    return found


def cosine(t, period, low, high):
    return low + (high - low) * (1 + math.cos(math.pi * t / period)) / 2


CLOSED = [
    (lambda o: S.StepLR(o, 3, gamma=0.5), lambda t: 0.5 * 0.5 ** (t // 3)),
    (lambda o: S.MultiStepLR(o, [2, 5, 5, 9]), lambda t: 0.5 * 0.1 ** sum(t >= m for m in (2, 5, 5, 9))),
    (lambda o: S.ExponentialLR(o, 0.9), lambda t: 0.5 * 0.9**t),
    (lambda o: S.ConstantLR(o, 0.25, 4), lambda t: 0.5 * (0.25 if t < 4 else 1)),
    (lambda o: S.LinearLR(o, 0.1, 1.0, 6), lambda t: 0.5 * (0.1 + 0.9 * min(t, 6) / 6)),
    (lambda o: S.PolynomialLR(o, 8, 2.0), lambda t: 0.5 * (1 - min(t, 8) / 8) ** 2),
    (lambda o: S.CosineAnnealingLR(o, 7), lambda t: cosine(t, 7, 0, 0.5)),
    (lambda o: S.LambdaLR(o, lambda t: 1 / (t + 1)), lambda t: 0.5 / (t + 1)),
    (lambda o: S.LambdaLR(o, [lambda t: 0.8**t] * 2), lambda t: 0.5 * 0.8**t),
    (lambda o: S.MultiplicativeLR(o, lambda t: 0.95), lambda t: 0.5 * 0.95**t),
    (lambda o: S.CosineAnnealingWarmRestarts(o, 4), lambda t: cosine(t % 4, 4, 0, 0.5)),
    (
        lambda o: S.CosineAnnealingWarmRestarts(o, 2, T_mult=2),
        lambda t: cosine(*next((t - a, b - a) for a, b in [(0, 2), (2, 6), (6, 14), (14, 30)] if t < b), 0, 0.5),
    ),
    (
        lambda o: S.ChainedScheduler([S.LinearLR(o, 0.1, 1.0, 6), S.ExponentialLR(o, 0.9)]),
        lambda t: 0.5 * (0.1 + 0.9 * min(t, 6) / 6) * 0.9**t,
    ),
    (
        lambda o: S.SequentialLR(o, [S.LinearLR(o, 0.1, 1.0, 5), S.ExponentialLR(o, 0.9)], [5]),
        lambda t: 0.5 * (0.1 + 0.9 * t / 5) if t < 5 else 0.5 * 0.9 ** (t - 5),
    ),
]
IDS = [f"{i}-{make_it(make(momentum=0.9)).__class__.__name__}" for i, (make_it, _) in enumerate(CLOSED)]


@pytest.mark.parametrize("make_it, closed", CLOSED, ids=IDS)
def test_rates_follow_the_formula(make_it, closed):
    optimizer = make()
    found = rates(optimizer, make_it(optimizer), 20)
    assert found == pytest.approx([closed(t) for t in range(20)], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("make_it, closed", CLOSED, ids=IDS)
def test_training_goes_on_from_a_state_dict(make_it, closed):
    optimizer = make()
    scheduler = make_it(optimizer)
    rates(optimizer, scheduler, 7)
    state, optimizer_state = scheduler.state_dict(), optimizer.state_dict()
    assert "optimizer" not in state
    expected = rates(optimizer, scheduler, 8)
    other = make()
    restored = make_it(other)
    other.load_state_dict(optimizer_state)
    restored.load_state_dict(state)
    assert rates(other, restored, 8) == pytest.approx(expected, rel=1e-12)


def test_cosine_annealing_rises_again_and_keeps_its_minimum():
    optimizer = make()
    a = [g[0] for g in [rates(optimizer, S.CosineAnnealingLR(optimizer, 4), 1)]]
    assert a == [0.5]
    single = optim.SGD([nn.Parameter(norch.ones(1))], lr=1.0)
    scheduler = S.CosineAnnealingLR(single, 4, eta_min=0.2)
    found = []
    for _ in range(13):
        found.append(single.param_groups[0]["lr"])
        single.step()
        scheduler.step()
    assert found == pytest.approx([cosine(t, 4, 0.2, 1.0) for t in range(13)])


@pytest.mark.parametrize("strategy", ["cos", "linear"])
def test_one_cycle(strategy):
    optimizer = optim.SGD([nn.Parameter(norch.ones(1))], lr=1.0, momentum=0.9)
    scheduler = S.OneCycleLR(optimizer, 0.4, total_steps=20, pct_start=0.25, anneal_strategy=strategy)

    def anneal(a, b, x):
        return b + (a - b) * (1 + math.cos(math.pi * x)) / 2 if strategy == "cos" else a + (b - a) * x

    for t in range(20):
        up = t <= 4
        x = t / 4 if up else (t - 4) / 15
        ends = (0.4 / 25, 0.4) if up else (0.4, 0.4 / 25 / 1e4)
        group = optimizer.param_groups[0]
        assert group["lr"] == pytest.approx(anneal(*ends, x))
        assert group["momentum"] == pytest.approx(anneal(*((0.95, 0.85) if up else (0.85, 0.95)), x))
        optimizer.step()
        if t < 19:
            scheduler.step()
    scheduler.step()
    with pytest.raises(ValueError, match="Tried to step 21 times. The specified number of total steps is 20"):
        scheduler.step()


def test_one_cycle_moves_beta1_and_takes_epochs():
    optimizer = optim.Adam([nn.Parameter(norch.ones(1))])
    scheduler = S.OneCycleLR(optimizer, 0.1, epochs=2, steps_per_epoch=10, three_phase=True)
    assert scheduler.total_steps == 20 and optimizer.param_groups[0]["betas"] == (0.95, 0.999)
    found = []
    for _ in range(19):
        optimizer.step()
        scheduler.step()
        found.append(optimizer.param_groups[0]["lr"])
    assert max(found) == pytest.approx(0.1) and found[9] == pytest.approx(0.1 / 25)
    assert found[-1] == pytest.approx(0.1 / 25 / 1e4)
    with pytest.raises(ValueError, match="You must define either total_steps OR"):
        S.OneCycleLR(optimizer, 0.1)
    with pytest.raises(ValueError, match="Expected positive integer total_steps, but got 0"):
        S.OneCycleLR(optimizer, 0.1, total_steps=0)
    with pytest.raises(ValueError, match="anneal_strategy must be one of"):
        S.OneCycleLR(optimizer, 0.1, total_steps=5, anneal_strategy="step")
    with pytest.raises(ValueError, match="must support momentum or beta1"):
        S.OneCycleLR(optim.Optimizer([nn.Parameter(norch.ones(1))], dict(lr=0.1)), 0.1, total_steps=5)


@pytest.mark.parametrize("mode", ["min", "max"])
def test_reduce_on_plateau(mode):
    optimizer = optim.SGD([nn.Parameter(norch.ones(1))], lr=1.0)
    scheduler = S.ReduceLROnPlateau(optimizer, mode, factor=0.5, patience=2, cooldown=1, min_lr=0.2)
    sign = 1 if mode == "min" else -1
    found = []
    for metric in [5, 4, 4, 4, 4, 4, 4, 4, 4, 3, 3, 3, 3, 3, 3, 3]:
        scheduler.step(norch.tensor(float(sign * metric + 10 * (mode == "max"))))
        found.append(optimizer.param_groups[0]["lr"])
    assert found == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25, 0.2, 0.2, 0.2, 0.2]
    other = S.ReduceLROnPlateau(optimizer, mode)
    other.load_state_dict(scheduler.state_dict())
    assert other.best == scheduler.best and other.patience == 2
    with pytest.raises(ValueError, match="Factor should be < 1.0"):
        S.ReduceLROnPlateau(optimizer, factor=1.0)
    with pytest.raises(ValueError, match="mode top is unknown"):
        S.ReduceLROnPlateau(optimizer, "top")


def test_callables_keep_their_attributes_and_functions_stay_out():
    class Decay:
        rate = 0.9

        def __call__(self, t):
            return self.rate**t

    optimizer = make()
    decay = Decay()
    decay.rate = 0.8
    scheduler = S.LambdaLR(optimizer, [decay, lambda t: 1.0])
    state = scheduler.state_dict()
    assert state["lr_lambdas"] == [{"rate": 0.8}, None]
    other = S.LambdaLR(make(), [Decay(), lambda t: 1.0])
    other.load_state_dict(state)
    assert other.lr_lambdas[0].rate == 0.8
    with pytest.raises(ValueError, match="Expected 2 lr_lambdas, but got 1"):
        S.LambdaLR(optimizer, [decay])


def test_wrong_arguments():
    with pytest.raises(TypeError, match="int is not an Optimizer"):
        S.StepLR(3, 1)
    with pytest.raises(KeyError, match="initial_lr"):
        S.StepLR(make(), 1, last_epoch=3)
    with pytest.raises(ValueError, match="at least one scheduler"):
        S.ChainedScheduler([])
    with pytest.raises(ValueError, match="same optimizer"):
        S.ChainedScheduler([S.StepLR(make(), 1), S.StepLR(make(), 1)])
    optimizer = make()
    with pytest.raises(ValueError, match="number of schedulers provided to be one more"):
        S.SequentialLR(optimizer, [S.StepLR(optimizer, 1)], [3])
    with pytest.raises(ValueError, match="between 0 and 1"):
        S.LinearLR(optimizer, end_factor=2)


def test_the_wrong_order_warns():
    optimizer = make()
    scheduler = S.StepLR(optimizer, 1)
    with pytest.warns(UserWarning, match="before `optimizer.step"):
        scheduler.step()
    optimizer.step()
    scheduler.step()


def test_rates_that_are_tensors_keep_their_identity():
    lr = norch.tensor(0.5)
    optimizer = optim.SGD([nn.Parameter(norch.ones(1))], lr=lr)
    scheduler = S.ExponentialLR(optimizer, 0.5)
    optimizer.step()
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] is lr and lr.item() == 0.25
    assert scheduler.base_lrs[0].item() == 0.5


def test_a_scheduled_optimizer_is_freed_at_once():
    gc.collect()
    gc.disable()
    try:
        optimizer = make()
        scheduler = S.StepLR(optimizer, 1)
        optimizer.register_step_post_hook(lambda *_: None)
        ref = weakref.ref(optimizer)
        optimizer.step()
        del optimizer, scheduler
        assert ref() is None
    finally:
        gc.enable()


def test_cyclic_rates_and_momentum():
    optimizer = optim.SGD([nn.Parameter(norch.ones(1))], lr=1.0, momentum=0.5)
    scheduler = S.CyclicLR(optimizer, 0.1, 0.5, step_size_up=2, step_size_down=4, mode="triangular2")
    seen = [(0.1, 0.9)]
    assert (optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"]) == seen[0]
    for _ in range(8):
        optimizer.step()
        scheduler.step()
        seen.append((optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"]))
    heights = [0, 0.5, 1, 0.75, 0.5, 0.25, 0, 0.25, 0.5]
    expected = [(0.1 + 0.4 * h, 0.9 - 0.1 * h) for h in heights]
    assert [x for pair in seen for x in pair] == pytest.approx([x for pair in expected for x in pair])
    state = scheduler.state_dict()
    other = S.CyclicLR(optimizer, 0.1, 0.5, step_size_up=2)
    other.load_state_dict(state)
    assert other.last_epoch == 8 and other.total_size == 6 and state["_scale_fn_custom"] is None
    with pytest.raises(ValueError, match="mode is invalid and scale_fn is None"):
        S.CyclicLR(optimizer, 0.1, 0.5, mode="square")


def test_get_lr_outside_a_step_warns():
    optimizer = optim.SGD([nn.Parameter(norch.ones(1))], lr=1.0)
    scheduler = S.StepLR(optimizer, 2)
    with pytest.warns(UserWarning, match="please use `get_last_lr"):
        scheduler.get_lr()
    optimizer.step()
    with pytest.warns(UserWarning, match="epoch parameter"):
        scheduler.step(3)


def test_a_schedule_may_take_the_rate_anywhere():
    optimizer = optim.SGD([p := nn.Parameter(norch.ones(1))], lr=1.0)
    S.LambdaLR(optimizer, lambda epoch: -1.0)
    p.grad = norch.ones(1)
    optimizer.step()
    assert p.item() == 2


def test_a_rate_that_is_an_integer_stays_one_until_it_changes():
    for make in (lambda o: S.StepLR(o, 2), lambda o: S.MultiStepLR(o, [2]), lambda o: S.ExponentialLR(o, 0.1)):
        optimizer = norch.optim.SGD([norch.ones(1, requires_grad=True)], lr=2)
        scheduler = make(optimizer)
        assert repr(scheduler.get_last_lr()) == "[2]"
        for _ in range(2):
            optimizer.step()
            scheduler.step()
        assert isinstance(optimizer.param_groups[0]["lr"], float)
