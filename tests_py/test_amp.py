"""autocast: which dtype operations get, nesting, threads, the cache of casts; GradScaler."""

import pickle
import threading

import numpy as np
import pytest

import norch
import norch.nn.functional as F
from norch import nn, optim

bf16, f16, f32, f64 = norch.bfloat16, norch.float16, norch.float32, norch.float64


def amp(device, **options):
    return norch.autocast(norch.device(device).type, dtype=bf16, **options)


def test_products_are_narrow(device):
    a, b = norch.ones(2, 3, device=device), norch.ones(3, 4, device=device)
    image, kernel = norch.ones(1, 2, 5, 5, device=device), norch.ones(3, 2, 3, 3, device=device)
    q = norch.ones(1, 2, 4, 8, device=device)
    results = lambda: [  # noqa: E731
        a @ b,
        norch.mm(a, b),
        norch.bmm(a[None], b[None]),
        norch.addmm(norch.ones(4, device=device), a, b),
        norch.einsum("ij,jk->ik", a, b),
        F.linear(a, b.T, norch.ones(4, device=device)),
        F.conv2d(image, kernel),
        F.conv_transpose2d(image, kernel.transpose(0, 1)),
        F.scaled_dot_product_attention(q, q, q),
        F.prelu(a, norch.ones(1, device=device)),
    ]
    with amp(device):
        assert [r.dtype for r in results()] == [bf16] * 10
        with amp(device, enabled=False):
            assert [r.dtype for r in results()] == [f32] * 10
    assert [r.dtype for r in results()] == [f32] * 10
    with amp(device):
        assert (a.double() @ b.double()).dtype == f64  # float64 is left alone
        assert norch.mm(a.long().float(), b).dtype == bf16


def test_recurrent_layers(device):
    x = norch.ones(4, 2, 3, device=device)
    for layer in (nn.LSTM, nn.GRU, nn.RNN):
        out, _ = layer(3, 5).to(device)(x)
        assert out.dtype == f32
        with amp(device):
            out, _ = layer(3, 5).to(device)(x.bfloat16())
            assert out.dtype == bf16
            out.float().sum().backward()


def test_losses_are_in_float32(device):
    x, y = norch.ones(2, 3, dtype=bf16, device=device), norch.zeros(2, 3, dtype=bf16, device=device)
    classes = norch.tensor([0, 2], device=device)
    with amp(device):
        for loss in (F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss, F.binary_cross_entropy_with_logits):
            assert loss(x, y).dtype == f32, loss
        assert F.nll_loss(x, classes).dtype == F.cross_entropy(x, classes).dtype == f32
        assert norch.prod(x).dtype == f32
        assert (x + y).dtype == F.relu(x).dtype == F.gelu(x).dtype == x.mean().dtype == bf16  # as they come
        assert norch.cat([x, x.float()]).dtype == f32


def test_float32_functions_of_the_gpu(device):
    x = norch.ones(2, 3, dtype=bf16, device=device)
    gpu = str(device) != "cpu"
    with amp(device):
        results = [norch.exp(x), x.log(), x.pow(2), x**2, x.rsqrt(), x.sum(), x.cumsum(0), x.softmax(1), x.norm()]
        results += [F.layer_norm(x, (3,)), F.log_softmax(x, 1), F.softplus(x), norch.logsumexp(x, 1)]
        assert [r.dtype for r in results] == [f32 if gpu else bf16] * len(results)
        assert norch.addcmul(x, x, x.float()).dtype == f32
        if gpu:
            with pytest.raises(RuntimeError, match="binary_cross_entropy_with_logits"):
                F.binary_cross_entropy(x.sigmoid(), x)
        else:
            assert F.binary_cross_entropy(x.sigmoid(), x).dtype == f32


def test_gradients_have_their_tensors_dtypes(device):
    model = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 3)).to(device)
    x = norch.randn(5, 4, device=device)
    target = norch.tensor([0, 1, 2, 0, 1], device=device)
    with amp(device):
        loss = F.cross_entropy(model(x), target)
    assert loss.dtype == f32
    loss.backward()
    narrow = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    F.cross_entropy(model(x), target).backward()
    for g, p in zip(narrow, model.parameters()):
        assert g.dtype == f32
        np.testing.assert_allclose(g.cpu().numpy(), p.grad.cpu().numpy(), atol=0.03)
    with amp(device):  # a backward pass inside casts nothing of its own
        F.cross_entropy(model(x), target).backward()


def test_double_backward_within_autocast():
    x = norch.ones(2, 3, requires_grad=True)
    w = norch.ones(3, 2, requires_grad=True)
    with norch.autocast("cpu"):
        y = (x @ w).float().pow(2).sum()
        (g,) = norch.autograd.grad(y, x, create_graph=True)
        g.float().sum().backward()
    assert w.grad.dtype == f32


def test_nesting_and_state():
    assert not norch.is_autocast_enabled("cpu") and norch.get_autocast_dtype("cpu") == bf16
    assert norch.get_autocast_dtype("cuda") == f16
    a = norch.ones(2, 2)
    with norch.autocast("cpu", dtype=f16):
        assert norch.is_autocast_enabled("cpu") and norch.is_autocast_cpu_enabled()
        assert (a @ a).dtype == f16
        with norch.autocast("cpu"):
            assert (a @ a).dtype == f16  # the dtype stays
            with norch.autocast("cpu", enabled=False):
                assert (a @ a).dtype == f32
        with pytest.raises(KeyError), norch.autocast("cpu", dtype=bf16):
            raise KeyError
        assert (a @ a).dtype == f16
    assert not norch.is_autocast_enabled("cpu") and norch.get_autocast_dtype("cpu") == bf16

    @norch.autocast("cpu")
    def product():
        return a @ a

    assert product().dtype == bf16 and product.__name__ == "product"
    assert (a @ a).dtype == f32


def test_each_thread_has_its_own_state():
    seen = []
    a = norch.ones(2, 2)
    with norch.autocast("cpu"):
        thread = threading.Thread(target=lambda: seen.append((a @ a).dtype))
        thread.start()
        thread.join()
        assert (a @ a).dtype == bf16
    assert seen == [f32]


def test_weights_are_cast_once():
    w = nn.Parameter(norch.ones(2, 2))
    x = norch.ones(2, 2)

    def cast_of(y):
        return y.grad_fn.next_functions[1][0]

    with norch.autocast("cpu"):
        first = cast_of(x @ w)
        assert cast_of(x @ w) == first
        with norch.no_grad():
            assert (x @ w).sum() == 8
            w.mul_(2)
        again = x @ w
        assert again.sum() == 16 and cast_of(again) != first  # it was written to
        with norch.autocast("cpu", cache_enabled=False):
            assert cast_of(x @ w) != cast_of(again)
    with norch.no_grad(), norch.autocast("cpu"):
        x @ w
        with norch.enable_grad():
            assert (x @ w).requires_grad


def layers(device):
    norch.manual_seed(0)
    return nn.Sequential(*(nn.Linear(3, 3) for _ in range(4))).to(device)


def test_weights_of_a_region_are_cast_together_in_the_next(device):
    model, x = layers(device), norch.randn(2, 3, device=device)
    model[1].weight = nn.Parameter(norch.randn(10, device=device)[1:].view(3, 3))  # not aligned to 16 bytes
    model[2].weight = nn.Parameter(norch.randn(3, 3, device=device).T)
    arrived = []
    for name, p in model.named_parameters():
        p.register_post_accumulate_grad_hook(lambda _, name=name: arrived.append(name))

    def step(region=amp):
        with region(device):
            y = model(x)
        arrived.clear()
        model.zero_grad()
        y.float().sum().backward()
        return [y.tolist()] + [p.grad.tolist() for p in model.parameters() if p.requires_grad], list(arrived)

    first = step()
    assert step() == first == step()  # the gradients arrive in the same order, too
    optimizer = optim.SGD(model.parameters(), lr=0.5)
    optimizer.step()
    assert step() == step(lambda device: amp(device, cache_enabled=False)) != first
    model[3] = nn.Linear(3, 3).to(device)  # the old one is gone
    model[0].bias.requires_grad_(False)
    assert step()[0][0] == step(lambda device: amp(device, cache_enabled=False))[0][0]


@pytest.mark.parametrize("write", ["in place", "data", "new data", "longer data"])
def test_weights_written_to_before_their_first_use_are_cast_anew(device, write):
    model, x = layers(device), norch.ones(2, 3, device=device)

    def change(module, inputs):
        w = module.weight
        if write == "in place":
            with norch.no_grad():
                w.mul_(2)
        elif write == "data":
            w.data.mul_(2)
        elif write == "new data":
            w.data = w.data * 2
        else:
            w.data = norch.cat([w.data, w.data])
            module.bias.data = norch.cat([module.bias.data] * 2)

    with amp(device):
        model(x)
    model[-1].register_forward_pre_hook(change)
    with amp(device):
        y = model(x)
    model[-1]._forward_pre_hooks.clear()
    with amp(device, cache_enabled=False):
        assert y.tolist() == model(x).tolist()


def test_errors_and_warnings():
    with pytest.raises(RuntimeError, match="unsupported autocast device_type 'tpu'"):
        norch.autocast("tpu")
    with pytest.raises(ValueError, match="Expected `device_type` of type `str`"):
        norch.autocast(norch.device("cpu"))
    with pytest.warns(UserWarning, match="Disabling autocast"), norch.autocast("cpu", dtype=f32):
        assert not norch.is_autocast_enabled("cpu")
    with pytest.raises(RuntimeError, match="not a floating-point dtype"):
        norch.set_autocast_dtype("cpu", norch.int64)
    with pytest.raises(TypeError, match="requires a callable"):
        norch.autocast("cpu")(3)
    with pytest.warns(FutureWarning, match="deprecated"), norch.cpu.amp.autocast():
        assert norch.is_autocast_enabled("cpu")
    if not norch.cuda.is_available():
        with pytest.warns(UserWarning, match="CUDA is not available"), norch.autocast("cuda"):
            assert not norch.is_autocast_enabled("cuda")


def test_custom_functions():
    seen = []

    class Product(norch.autograd.Function):
        @staticmethod
        @norch.amp.custom_fwd(device_type="cpu")
        def forward(ctx, a, b):
            ctx.save_for_backward(a, b)
            return a @ b

        @staticmethod
        @norch.amp.custom_bwd(device_type="cpu")
        def backward(ctx, g):
            a, b = ctx.saved_tensors
            seen.append((g @ b.T).dtype)
            return (g @ b.T).float(), (a.T @ g).float()

    class Wide(norch.autograd.Function):
        @staticmethod
        @norch.amp.custom_fwd(device_type="cpu", cast_inputs=f32)
        def forward(ctx, a):
            seen.append((a @ a).dtype)
            return a

        @staticmethod
        @norch.amp.custom_bwd(device_type="cpu")
        def backward(ctx, g):
            return g

    a, b = (norch.ones(2, 2, requires_grad=True) for _ in range(2))
    with norch.autocast("cpu"):
        y = Product.apply(a, b)
        assert y.dtype == bf16
        Wide.apply(y.detach())
    y.float().sum().backward()
    assert seen == [f32, bf16] and a.grad.dtype == f32


# ---- GradScaler


def scaled(device, **options):
    p = nn.Parameter(norch.tensor([2.0, 3.0], device=device))
    return p, norch.amp.GradScaler(norch.device(device).type, **options)


@pytest.mark.parametrize("options", [dict(), dict(fused=True)])
@pytest.mark.parametrize("make", [optim.SGD, optim.Adam, optim.AdamW])
def test_scaled_steps_are_those_without(device, make, options):
    p, scaler = scaled(device, init_scale=1024.0, growth_interval=2)
    q = nn.Parameter(p.detach().clone())
    a, b = make([p], lr=0.1, **options), make([q], lr=0.1)
    for i in range(6):
        a.zero_grad()
        loss = (p * p).sum() * (float("inf") if i == 3 else 1.0)
        scaler.scale(loss).backward()
        scaler.step(a)
        scaler.update()
        if i != 3:
            b.zero_grad()
            (q * q).sum().backward()
            b.step()
    np.testing.assert_allclose(p.tolist(), q.tolist(), rtol=1e-6)
    assert scaler.get_scale() == 1024 * 2 / 2 * 2  # up after 2, down at the 4th, up after 2 more
    if make is not optim.SGD:
        assert a.state[p]["step"].item() == 5


def test_unscaled_gradients_can_be_clipped(device):
    p, scaler = scaled(device)
    optimizer = optim.SGD([p], lr=1.0)
    scaler.scale((p * p).sum()).backward()
    scaler.unscale_(optimizer)
    assert p.grad.tolist() == [4, 6]
    with pytest.raises(RuntimeError, match="already been called"):
        scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_([p], 1.0)
    scaler.step(optimizer)
    assert abs((p.detach() - norch.tensor([2.0, 3.0], device=device)).norm().item() - 1) < 1e-4
    with pytest.raises(RuntimeError, match="step\\(\\) has already been called"):
        scaler.step(optimizer)
    scaler.update()
    scaler.update(8.0)
    assert scaler.get_scale() == 8.0


def test_every_inf_is_found(device):
    inverse = norch.tensor(0.5, device=device)
    for dtype in (f16, bf16, f32, f64):
        for n in (1, 7, 1000, 40000):
            for bad in (float("nan"), float("inf"), -float("inf"), None):
                grads = [norch.ones(3, dtype=dtype, device=device), norch.ones(n, dtype=dtype, device=device).unsqueeze(0).T]
                if bad is not None:
                    grads[1][n - 1] = bad
                found = norch.zeros((), device=device)
                norch._C._optim.unscale_(grads, inverse, found)
                assert found.item() == (bad is not None)
                assert grads[0].tolist() == [0.5] * 3


def test_scales_of_lists_and_checkpoints():
    p, scaler = scaled("cpu", init_scale=4.0)
    assert [t.item() for t in scaler.scale([norch.tensor(1.0), norch.tensor(2.0)])] == [4, 8]
    with pytest.raises(ValueError, match="outputs must be a Tensor"):
        scaler.scale(3)
    state = scaler.state_dict()
    assert state == {
        "scale": 4.0, "growth_factor": 2.0, "backoff_factor": 0.5, "growth_interval": 2000, "_growth_tracker": 0,
    }
    other = norch.amp.GradScaler("cpu")
    other.load_state_dict({**state, "_growth_tracker": 7})
    assert other.get_scale() == 4.0 and other._get_growth_tracker() == 7
    assert pickle.loads(pickle.dumps(scaler)).get_scale() == 4.0
    disabled = norch.amp.GradScaler("cpu", enabled=False)
    assert disabled.scale(p) is p and disabled.state_dict() == {} and disabled.get_scale() == 1.0
    with pytest.raises(RuntimeError, match="source state dict is empty"):
        scaler.load_state_dict({})
    with pytest.raises(AssertionError, match="_scale is None"):
        norch.amp.GradScaler("cpu").step(optim.SGD([p]))
    half = nn.Parameter(norch.ones(1, dtype=f16))
    half.grad = norch.ones(1, dtype=f16)
    with pytest.raises(ValueError, match="Attempting to unscale FP16 gradients"):
        scaler.unscale_(optim.SGD([half]))
