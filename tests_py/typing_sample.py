"""Not run: test_typing.py has a type checker read it, in strict mode."""

from typing import assert_type

import norch
import norch.nn as nn
import norch.optim as optim


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 1)

    def forward(self, x: norch.Tensor) -> norch.Tensor:
        return x + 1.0


def attributes(x: norch.Tensor) -> None:
    assert_type(x.shape, norch.Size)
    assert_type(x.dtype, norch.dtype)
    assert_type(x.device, norch.device)
    assert_type(x.grad, norch.Tensor | None)
    assert_type(x.requires_grad, bool)
    assert_type(x.ndim, int)
    x.requires_grad = True
    x.grad = None


def operators(x: norch.Tensor) -> None:
    assert_type(x + 1, norch.Tensor)
    assert_type(2.0 * x, norch.Tensor)
    assert_type(x == x, norch.Tensor)
    assert_type(len(x), int)
    assert_type(float(x), float)
    x += 1


def functions(x: norch.Tensor) -> None:
    assert_type(norch.tensor([1.0], dtype=norch.float64, device="cpu"), norch.Tensor)
    assert_type(norch.is_floating_point(x), bool)
    assert_type(x.float(), norch.Tensor)
    assert_type(x.numel(), int)
    with norch.no_grad():
        x.clone()


def training() -> None:
    model = Model()
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for parameter in model.parameters():
        assert_type(parameter, nn.Parameter)
    optimizer.zero_grad()
    optimizer.step()
    norch.save(model.state_dict(), "model.pt")
