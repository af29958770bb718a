"""The seed's two programs, verbatim, and its table of sample output.

A simulation of the program in NumPy, from the parameters that the table came from, gives the table's ten
numbers in float32 and in float64 alike (the two differ by less than 1e-6 in each loss): so norch must
give them too, on every device."""

import contextlib
import io
import math
import random
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import norch

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

PROGRAM = '''
import norch
import norch.nn as nn
import norch.optim as optim
import random
import math

random.seed(1)

class MyModel(nn.Module):
    def __init__(self):
        super(MyModel, self).__init__()
        self.fc1 = nn.Linear(1, 10)
        self.sigmoid = nn.Sigmoid()
        self.fc2 = nn.Linear(10, 1)

    def forward(self, x):
        out = self.fc1(x)
        out = self.sigmoid(out)
        out = self.fc2(out)
        return out

device = "cuda"
epochs = 10

model = MyModel().to(device)
criterion = nn.MSELoss()
optimizer = optim.SGD(model.parameters(), lr=0.001)

x_values = [i * 0.4 for i in range(51)]
y_true = [math.pow(math.sin(x), 2) for x in x_values]

for epoch in range(epochs):
    for x, target in zip(x_values, y_true):
        x = norch.Tensor([[x]]).T.to(device)
        target = norch.Tensor([[target]]).T.to(device)

        outputs = model(x)
        loss = criterion(outputs, target)

        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    print(f"Epoch [{epoch + 1}/{epochs}], Loss: {loss[0]:.4f}")
'''

LISTING = '''
class SGD(Optimizer):
    def __init__(self, parameters, lr=1e-1, momentum=0):
        super().__init__(parameters)
        self.lr = lr
        self.momentum = momentum
        self._cache = {'velocity': [p.zeros_like() for (_, _, p) in self.parameters]}

    def step(self):
        for i, (module, name, _) in enumerate(self.parameters):
            parameter = getattr(module, name)
            velocity = self._cache['velocity'][i]
            velocity = self.momentum * velocity - self.lr * parameter.grad
            updated_parameter = parameter + velocity
            setattr(module, name, updated_parameter)
            self._cache['velocity'][i] = velocity
            parameter.detach()
            velocity.detach()
'''

TABLE = [1.7035, 0.7193, 0.3068, 0.1742, 0.1342, 0.1232, 0.1220, 0.1241, 0.1270, 0.1297]


def run(program, device):
    norch.manual_seed(1)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(program.replace('device = "cuda"', f'device = "{device}"'), {"__name__": "program"})
    return losses(out.getvalue())


def losses(text):
    lines = text.splitlines()
    found = [re.fullmatch(rf"Epoch \[{i + 1}/10\], Loss: (\d\.\d{{4}})", line) for i, line in enumerate(lines)]
    assert len(found) == 10 and all(found), text
    return [float(match[1]) for match in found]


def run_example(name, *options):
    out = io.StringIO()
    arguments = sys.argv
    sys.argv = [name, *options]
    try:
        with contextlib.redirect_stdout(out):
            runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    finally:
        sys.argv = arguments
    return losses(out.getvalue())


def test_the_program_prints_ten_falling_losses(device):
    printed = run(PROGRAM, device)
    assert printed[-1] < printed[0] and printed[-1] < 0.2
    assert run(PROGRAM, device) == printed


def test_random_seed_alone_makes_the_program_repeatable(device):
    program = PROGRAM.replace('device = "cuda"', f'device = "{device}"')
    outputs = {subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout for _ in range(2)}
    assert len(outputs) == 1


def test_the_listing_gives_the_same_losses(device):
    assert "optim.SGD(" in PROGRAM
    own = "from norch.optim import Optimizer\n" + LISTING + PROGRAM.replace("optim.SGD(", "SGD(")
    assert run(own, device) == run(PROGRAM, device)


@pytest.mark.parametrize("name", ["seed.py", "seed_sgd.py"])
def test_the_table_of_sample_output(device, name):
    assert run_example(name, "--seed-init", *(["--cpu"] if device == "cpu" else [])) == TABLE


def test_the_examples_are_the_seeds_programs():
    def lines(text):
        return [line for line in text.splitlines() if line.strip()]

    for name, source in [("seed.py", PROGRAM), ("seed_sgd.py", LISTING)]:
        example = lines((EXAMPLES / name).read_text())
        missing = [line for line in lines(source) if line not in example]
        assert missing in ([], ['device = "cuda"'])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_table_follows_from_the_program(dtype):
    random.seed(1)
    w1 = np.array([[random.uniform(-1, 1)] for _ in range(10)], dtype)
    b1 = np.array([random.uniform(-1, 1) for _ in range(10)], dtype)
    w2 = np.array([[random.uniform(-1, 1) for _ in range(10)]], dtype)
    b2 = np.array([random.uniform(-1, 1)], dtype)
    lr, table = dtype(0.001), []
    for _ in range(10):
        for i in range(51):
            x = np.array([[i * 0.4]], dtype)
            y = np.array([[math.pow(math.sin(i * 0.4), 2)]], dtype)
            s = 1 / (1 + np.exp(-(x @ w1.T + b1)))
            d = s @ w2.T + b2 - y
            dh = 2 * d @ w2 * s * (1 - s)
            w2, b2 = w2 - lr * 2 * d.T @ s, b2 - lr * 2 * d[0]
            w1, b1 = w1 - lr * dh.T @ x, b1 - lr * dh[0]
        table.append(round(float((d * d).mean()), 4))
    assert table == TABLE


def test_the_listing_keeps_leaves_and_no_graph(device):
    scope = {"Optimizer": norch.optim.Optimizer}
    exec(LISTING, scope)
    model = norch.nn.Linear(2, 1).to(device)
    optimizer = scope["SGD"](model.parameters(), lr=0.1, momentum=0.9)
    reference = norch.nn.Linear(2, 1).to(device)
    reference.load_state_dict(model.state_dict())
    theirs = norch.optim.SGD(reference.parameters(), lr=0.1, momentum=0.9)
    weight = model.weight
    x = norch.randn(8, 2, device=device)
    for _ in range(20):
        for m, o in [(model, optimizer), (reference, theirs)]:
            o.zero_grad()
            m(x).pow(2).mean().backward()
            o.step()
    assert model.weight is weight and weight.is_leaf and weight.requires_grad
    assert all(not v.requires_grad for v in optimizer._cache["velocity"])
    assert norch.allclose(model.weight, reference.weight, atol=1e-6)
