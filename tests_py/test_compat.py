"""norch.compat: PyTorch programs run on norch."""

import os
import subprocess
import sys

import pytest

import norch


def run(tmp_path, text, *args, options=(), name="program.py"):
    """Runs a program through `python -m norch.compat` and returns (exit status, output, errors)."""
    path = tmp_path / name
    path.write_text(text)
    root = os.path.dirname(os.path.dirname(norch.__file__))
    env = dict(os.environ, PYTHONPATH=os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]))
    command = [sys.executable, "-m", "norch.compat", *options, str(path), *args]
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=120)
    return done.returncode, done.stdout, done.stderr


def lines(tmp_path, text, *args):
    status, out, err = run(tmp_path, text, *args)
    assert status == 0, err
    return out.splitlines()


NAMES = """
import sys
import norch
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.modules.linear import Linear
from torch.autograd import Variable
from torch.utils.data import DataLoader, TensorDataset
print(torch is norch, nn is norch.nn, F is norch.nn.functional, sys.modules["torch.nn"] is sys.modules["norch.nn"])
print(Linear is nn.Linear, DataLoader.__module__, type(torch.ones(1)))
print(torch.float64, torch.Size([2, 3]), torch.channels_last, torch.ones(1).double())
print(__name__, sys.argv[1:])
"""


def test_names(tmp_path):
    assert lines(tmp_path, NAMES, "--lr", "1") == [
        "True True True True",
        "True torch.utils.data.dataloader <class 'torch.Tensor'>",
        "torch.float64 torch.Size([2, 3]) torch.channels_last tensor([1.], dtype=torch.float64)",
        "__main__ ['--lr', '1']",
    ]


VERSION = """
import torch
v = torch.__version__
print(v > "2.2", v >= "2.13", v < "3", v > (1, 10), v != "2.12.1", int(v.split(".")[0]), torch.version.__version__ == v)
"""


def test_version(tmp_path):
    assert lines(tmp_path, VERSION) == ["True True True True True 2 True"]


MISSING = """
import torch
def text(f):
    try:
        f()
    except (ImportError, AttributeError) as e:
        return f"{type(e).__name__}: {e}"
def from_module(): from torch.nn.functional import zorro
def from_package(): from torch.nn import Zorro
def module(): import torch.export
for f in (lambda: torch.zorro, lambda: torch.nn.Zorro, from_module, from_package, module):
    print(text(f).split(". If")[0])
print("issue" in text(lambda: torch.zorro), hasattr(torch, "zorro"))
"""


def test_missing_names_are_named(tmp_path):
    assert [line.partition(" (norch has")[0] for line in lines(tmp_path, MISSING)] == [
        "AttributeError: module 'torch' has no attribute 'zorro': norch lacks torch.zorro",
        "AttributeError: module 'torch.nn' has no attribute 'Zorro': norch lacks torch.nn.Zorro",
        "ImportError: cannot import name 'zorro' from 'torch.nn.functional': norch lacks torch.nn.functional.zorro",
        "ImportError: cannot import name 'Zorro' from 'torch.nn': norch lacks torch.nn.Zorro",
        "ModuleNotFoundError: No module named 'torch.export': norch lacks torch.export",
        "True False",
    ]


SCALARS = """
import torch
try:
    torch.tensor(1.0)[0]
except IndexError as e:
    print(e)
print(torch.tensor(1.0)[None].shape, torch.tensor(1.0)[...])
"""


def test_index_of_a_scalar(tmp_path):
    message, rest = lines(tmp_path, SCALARS)
    assert message.startswith("invalid index of a 0-dim tensor. Use `tensor.item()`")
    assert rest == "torch.Size([1]) tensor(1.)"
    assert norch.tensor(1.0)[0].item() == 1.0  # norch's own way


SPAWN = """
import multiprocessing
import torch
def work(queue):
    queue.put(torch.ones(2).tolist())
if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=work, args=(queue,))
    process.start()
    print(queue.get(timeout=60))
    process.join()
"""


def test_new_processes_have_torch_too(tmp_path):
    assert lines(tmp_path, SPAWN) == ["[1.0, 1.0]"]


def test_a_torchvision_of_the_program_itself(tmp_path):
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text("from torchvision import part")
    (tmp_path / "torchvision" / "part.py").write_text("import torch\nvalue = torch.ones(1).item()")
    assert lines(tmp_path, "import torchvision\nprint(torchvision.part.value)") == ["1.0"]


def test_exit_status_and_errors(tmp_path):
    assert run(tmp_path, "import sys; sys.exit(3)")[0] == 3
    status, _, err = run(tmp_path, "import torch\ntorch.ones(2).foo()")
    assert status == 1 and "no attribute 'foo'" in err and "program.py" in err
    assert run(tmp_path, "", options=["--nonsense"])[0] == 2


def test_install_after_torch_is_refused(tmp_path):
    text = "import sys, types\nsys.modules['torch'] = types.ModuleType('torch')\nimport norch.compat\nnorch.compat.install()"
    path = tmp_path / "late.py"
    path.write_text(text)
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True)
    assert "torch is imported already" in done.stderr


@pytest.mark.parametrize("name", ["FloatTensor", "DoubleTensor", "LongTensor", "ByteTensor", "BoolTensor", "HalfTensor"])
def test_types(name):
    kind = getattr(norch, name)
    t = kind([0, 1])
    assert isinstance(t, kind) and t.tolist() == [0, 1] and t.type() == f"norch.{name}"
    assert kind().shape == (0,) and kind(2, 3).shape == (2, 3) and kind(norch.Size([4])).shape == (4,)
    for target in (kind, name.join(["torch.", ""]), "norch." + name, t.dtype):
        assert norch.ones(2, dtype=norch.int32).type(target).dtype == t.dtype
    assert norch.ones(1, dtype=norch.int16).type_as(t).dtype == t.dtype
    assert t.new(3).dtype == t.dtype and t.new([1]).tolist() == [1]


def test_types_say_what_is_wrong():
    with pytest.raises(TypeError, match=r"expected norch.FloatTensor \(got norch.LongTensor\)"):
        norch.FloatTensor(norch.arange(3))
    with pytest.raises(TypeError, match="data must be a sequence"):
        norch.FloatTensor(1.5)
    with pytest.raises(ValueError, match="invalid type: 'torch.ZorroTensor'"):
        norch.ones(1).type("torch.ZorroTensor")
    assert not isinstance(norch.ones(1), norch.LongTensor) and not isinstance(1.0, norch.FloatTensor)
    if not norch.cuda.is_available():
        with pytest.raises(TypeError, match="cuda.FloatTensor not available"):
            norch.cuda.FloatTensor(2)


def test_default_type():
    try:
        norch.set_default_tensor_type("torch.DoubleTensor")
        assert norch.ones(1).dtype == norch.float64
    finally:
        norch.set_default_tensor_type(norch.FloatTensor)
    assert norch.ones(1).dtype == norch.float32
    with pytest.raises(TypeError, match="floating-point"):
        norch.set_default_tensor_type(norch.LongTensor)


def test_default_device():
    cpu = norch.device("cpu")
    with cpu as entered:
        assert entered is cpu and norch.get_default_device() == cpu and norch.zeros(1).device == cpu
    norch.set_default_device("cpu")
    norch.set_default_device(None)
    if norch.cuda.is_available():
        with norch.device("cuda"):
            made = norch.zeros(1), norch.rand(2), norch.tensor([1]), norch.Tensor(2), norch.randperm(3), norch.fft.fftfreq(4)
            assert all(t.is_cuda for t in made) and norch.zeros(1, device="cpu").is_cpu
            assert norch.tensor(norch.zeros(1, device="cpu")).is_cpu
        assert norch.zeros(1).is_cpu


def test_variable():
    v = norch.autograd.Variable(norch.ones(2), requires_grad=True)
    assert isinstance(v, norch.autograd.Variable) and v.requires_grad
    y = v * 2
    assert not norch.autograd.Variable(y).requires_grad
    with pytest.raises(TypeError, match="has to be a tensor"):
        norch.autograd.Variable([1.0])


def test_detach_in_place():
    x = norch.ones(2, requires_grad=True)
    y = x * 2
    assert y.detach_() is y and not y.requires_grad and y.is_leaf and y.grad_fn is None
    with pytest.raises(RuntimeError, match="Can't detach views in-place"):
        (x * 2)[0].detach_()


CHECKED = """
import torch, torch.nn as nn
import torch.nn.functional as F
from torch import optim
from torch.export import export
from helper import x
try:
    from torch.nowhere import q
except ImportError:
    q = None
y = torch.ones(2) + 1
y.relu().zorro_()
F.frobnicate(y)
optim.Adam([y]).anything()
if hasattr(torch, "maybe"):
    torch.maybe()
def f(y):
    y.not_known_to_be_a_tensor()
class M(nn.Module):
    def forward(self, x):
        h = torch.relu(x)
        h = h.view(2)
        return h.blah()
"""


def test_check_lists_what_is_missing(tmp_path):
    (tmp_path / "helper.py").write_text("import torch\nx = torch.linalg.nothing")
    status, out, err = run(tmp_path, CHECKED, options=["--check"])
    assert status == 1, err
    names = [line.split()[0] for line in out.splitlines()]
    assert names[:-1] == [
        "torch.Tensor.blah",
        "torch.Tensor.zorro_",
        "torch.export",
        "torch.linalg.nothing",
        "torch.nn.functional.frobnicate",
    ]
    assert "helper.py:2" in out and "no graph of a program" in out and "5 name(s)" in out
    assert run(tmp_path, "import torch\ntorch.ones(2)", options=["--check"])[0] == 0
    status, _, err = run(tmp_path, "import (", options=["--check"])
    assert status == 2 and "program.py" in err


TIES = """
import torch
print(torch.topk(torch.zeros(27), 3).indices.tolist(), torch.topk(torch.zeros(300), 2).indices.tolist())
print(torch.topk(torch.tensor([1.0, 3.0, 2.0]), 2).values.tolist())
"""


def test_equal_elements_are_chosen_as_pytorch_does(tmp_path):
    assert lines(tmp_path, TIES) == ["[18, 17, 16] [0, 1]", "[3.0, 2.0]"]
    assert norch.topk(norch.zeros(27), 3).indices.tolist() == [0, 1, 2]  # norch's own way


MODULES = """
import io, pickle
import torch, torch.nn as nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 3)
        self.register_buffer("b", torch.ones(1))
net = Net()
names = {name for op, name, _ in __import__("pickletools").genops(pickle.dumps(net, 2)) if op.name == "GLOBAL"}
print(sorted(n for n in names if "norch" in n))
file = io.BytesIO()
torch.save(net, file)
file.seek(0)
back = torch.load(file, weights_only=False)
print(type(back) is Net, all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), back.state_dict().values())))
print("layer" in net.__getstate__(), back.layer is back._modules["layer"])
file.seek(0)
with torch.serialization.safe_globals([Net, nn.Linear]):
    print(type(torch.load(file)) is Net)
"""


def test_whole_modules(tmp_path):
    out = lines(tmp_path, MODULES)
    assert out[1:] == ["True True", "False True", "True"], out


PLACES = """
import torch, torch.nn as nn
from torch.nn.modules.pixelshuffle import PixelShuffle
from torch.nn.modules.utils import _pair, _reverse_repeat_tuple
from torch.nn.attention import SDPBackend
print(PixelShuffle is nn.PixelShuffle, PixelShuffle.__module__, nn.MultiheadAttention.__module__, nn.Parameter.__module__)
print(torch.nn.modules.activation.MultiheadAttention is nn.MultiheadAttention, _pair(3), _reverse_repeat_tuple((1, 2), 2))
"""


def test_classes_are_where_pytorch_has_them(tmp_path):
    assert lines(tmp_path, PLACES) == [
        "True torch.nn.modules.pixelshuffle torch.nn.modules.activation torch.nn.parameter",
        "True (3, 3) (2, 2, 1, 1)",
    ]


TEXTS = """
import torch
print(torch.finfo(torch.float16).max, torch.finfo(torch.float32), torch.iinfo(torch.int8).max)
print(torch.strided, torch.hann_window(3, layout=torch.strided, periodic=False).tolist(), torch.ones(1).layout)
print(torch.promote_types(torch.int8, torch.float16), torch.tensor([True]).dtype, torch.ones(1).type())
"""


def test_texts_of_types(tmp_path):
    assert lines(tmp_path, TEXTS) == [
        "65504.0 finfo(resolution=1e-06, min=-3.40282e+38, max=3.40282e+38, eps=1.19209e-07, smallest_normal=1.17549e-38, "
        "tiny=1.17549e-38, dtype=float32) 127",
        "torch.strided [0.0, 1.0, 0.0] torch.strided",
        "torch.float16 torch.bool torch.FloatTensor",
    ]


WHOLE = """
import io, re
import torch
from torch import nn
import torch.nn.utils.prune as prune
modules = [nn.Transformer(4, 2, 1, 1, 8), nn.TransformerEncoderLayer(4, 2, 8, activation="gelu"), nn.LSTM(2, 3), nn.GRUCell(2, 3),
           nn.utils.spectral_norm(nn.Linear(2, 2)), nn.utils.weight_norm(nn.Linear(2, 2)), nn.Conv2d(2, 2, 3, padding_mode="reflect"),
           prune.l1_unstructured(nn.Linear(2, 2), "weight", 1), nn.LazyLinear(3), nn.ReLU6(), nn.CircularPad2d(1),
           nn.LinearCrossEntropyLoss(3, 4), nn.ParameterDict({"a": torch.ones(1)}), nn.MultiheadAttention(4, 2), nn.BatchNorm2d(3)]
file = io.BytesIO()
torch.save(modules, file)
print(sorted(set(re.findall(rb"norch[\\w.]*", file.getvalue()))))
file.seek(0)
print([type(m) for m in torch.load(file, weights_only=False)] == [type(m) for m in modules], modules[12])
"""


def test_whole_modules_carry_pytorchs_names(tmp_path):
    assert lines(tmp_path, WHOLE) == [
        "[]", "True ParameterDict(  (a): Parameter containing: [torch.FloatTensor of size 1])",
    ]  # fmt: skip


ASSIGNED = """
import torch
net = torch.nn.Linear(2, 1)
try:
    net.weight = torch.ones(1, 2)
except TypeError as e:
    print(e)
net.weight = torch.nn.Parameter(torch.ones(1, 2))
print(torch.func.functional_call(net, {"bias": torch.zeros(1)}, torch.ones(1, 2)).item())
"""


def test_a_parameter_takes_no_plain_tensor(tmp_path):
    message, value = lines(tmp_path, ASSIGNED)
    assert message.startswith("cannot assign 'torch.Tensor' as parameter 'weight' (") and value == "2.0"
