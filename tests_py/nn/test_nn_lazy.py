"""Lazy modules and uninitialized parameters."""

import copy
import pickle

import pytest

import norch
from norch import nn

CASES = [
    (lambda: nn.LazyLinear(4), (2, 3, 5), "Linear(in_features=5, out_features=4, bias=True)"),
    (lambda: nn.LazyConv1d(4, 3), (2, 3, 6), "Conv1d(3, 4, kernel_size=(3,), stride=(1,))"),
    (lambda: nn.LazyConv2d(4, 3, groups=2, bias=False), (2, 6, 6, 6),
     "Conv2d(6, 4, kernel_size=(3, 3), stride=(1, 1), groups=2, bias=False)"),
    (lambda: nn.LazyConv3d(4, 1), (3, 2, 2, 2), "Conv3d(3, 4, kernel_size=(1, 1, 1), stride=(1, 1, 1))"),
    (lambda: nn.LazyConvTranspose1d(4, 3), (2, 3, 6), "ConvTranspose1d(3, 4, kernel_size=(3,), stride=(1,))"),
    (lambda: nn.LazyConvTranspose2d(4, 3), (2, 3, 6, 6), "ConvTranspose2d(3, 4, kernel_size=(3, 3), stride=(1, 1))"),
    (lambda: nn.LazyConvTranspose3d(4, 1), (2, 3, 2, 2, 2),
     "ConvTranspose3d(3, 4, kernel_size=(1, 1, 1), stride=(1, 1, 1))"),
    (lambda: nn.LazyBatchNorm1d(), (4, 3),
     "BatchNorm1d(3, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)"),
    (lambda: nn.LazyBatchNorm2d(affine=False), (4, 3, 2, 2),
     "BatchNorm2d(3, eps=1e-05, momentum=0.1, affine=False, bias=False, track_running_stats=True)"),
    (lambda: nn.LazyBatchNorm3d(0.1, bias=False), (4, 3, 2, 2, 2),
     "BatchNorm3d(3, eps=0.1, momentum=0.1, affine=True, bias=False, track_running_stats=True)"),
    (lambda: nn.LazyInstanceNorm1d(), (4, 3, 5),
     "InstanceNorm1d(3, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)"),
    (lambda: nn.LazyInstanceNorm2d(), (4, 3, 2, 2),
     "InstanceNorm2d(3, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)"),
    (lambda: nn.LazyInstanceNorm3d(), (4, 3, 2, 2, 2),
     "InstanceNorm3d(3, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)"),
]  # fmt: skip


@pytest.mark.parametrize("make,shape,text", CASES, ids=[c[2].split("(")[0] for c in CASES])
def test_first_forward_gives_shapes(make, shape, text):
    m, x = make(), norch.randn(shape)
    assert m.has_uninitialized_params() and type(m).__name__.startswith("Lazy")
    twin = copy.deepcopy(m).double()
    m(x)
    assert repr(m) == text and type(m) is m.cls_to_become if hasattr(m, "cls_to_become") else repr(m) == text
    assert not m._forward_pre_hooks and not m._load_state_dict_pre_hooks
    twin(x.double())
    assert repr(twin) == text and all(v.dtype != norch.float32 for v in twin.state_dict().values())
    loaded = make()
    loaded.load_state_dict(m.state_dict())
    m.eval(), loaded.eval()
    assert norch.equal(loaded(x), m(x)) and repr(loaded) == text
    make().load_state_dict(make().state_dict())  # neither knows its shapes: nothing to do


def test_in_a_model():
    model = nn.Sequential(nn.LazyConv2d(4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2))
    optimizer = norch.optim.SGD(model.parameters(), 0.1)
    model(norch.randn(2, 3, 5, 5)).sum().backward()
    before = model[3].weight.detach().clone()
    optimizer.step()
    assert model[3].weight.shape == (2, 36) and not norch.equal(model[3].weight, before)


def test_uninitialized():
    p = nn.LazyLinear(3, dtype=norch.float64).weight
    assert isinstance(p, nn.Parameter) and p.requires_grad and p.dtype == norch.float64
    assert repr(p) == str(p) == "<UninitializedParameter>"
    assert isinstance(pickle.loads(pickle.dumps(p)), nn.UninitializedParameter)
    with pytest.raises(RuntimeError, match="Can't access the shape"):
        p.shape
    with pytest.raises(ValueError, match="Attempted to use an uninitialized parameter"):
        p.sum()
    with pytest.raises(ValueError, match="Attempted to use an uninitialized parameter"):
        p + 1
    p.materialize((2, 3))
    assert type(p) is nn.Parameter and p.shape == (2, 3) and p.requires_grad
    b = nn.UninitializedBuffer(persistent=False)
    assert isinstance(b, nn.Buffer) and not b.persistent
    b.materialize((2,), dtype=norch.int64)
    assert type(b) is norch.Tensor and b.dtype == norch.int64


@pytest.mark.parametrize(
    "error,text,call",
    [
        (RuntimeError, "Expected 3D .unbatched. or 4D", lambda: nn.LazyConv2d(3, 2)(norch.zeros(2, 2))),
        (ValueError, "divisible by groups", lambda: nn.LazyConv2d(4, 2, groups=2)(norch.zeros(2, 3, 4, 4))),
        (RuntimeError, "Can't access the shape",
         lambda: nn.Linear(2, 3).load_state_dict(nn.LazyLinear(3).state_dict())),
        (ValueError, "can't have uninitialized", lambda: nn.utils.spectral_norm(nn.LazyLinear(2))),
    ],
)  # fmt: skip
def test_errors(error, text, call):
    with pytest.raises(error, match=text):
        call()
