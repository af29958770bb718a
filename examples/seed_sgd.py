"""The seed's training program with an optimizer of the user's own, as the seed lists it.

    python examples/seed_sgd.py [--cpu] [--seed-init]

`self.parameters` lists (module, name, parameter), and assigning a tensor to a parameter's name gives the
parameter its values. The losses are those of norch.optim.SGD, and of seed.py. --seed-init starts from the
parameters that the seed's table of sample output came from: random.uniform(-1, 1) after random.seed(1), for
fc1.weight, fc1.bias, fc2.weight and fc2.bias in this order, row by row. It prints that table exactly.
"""

import norch
import norch.nn as nn
from norch.optim import Optimizer
import random
import math
import sys

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

device = "cuda" if norch.cuda.is_available() and "--cpu" not in sys.argv else "cpu"
epochs = 10

model = MyModel().to(device)
if "--seed-init" in sys.argv:
    for p in model.parameters():
        p.data = norch.tensor([random.uniform(-1, 1) for _ in range(p.numel())]).view(p.shape).to(device)
criterion = nn.MSELoss()
optimizer = SGD(model.parameters(), lr=0.001)

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
