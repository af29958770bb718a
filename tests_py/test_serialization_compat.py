"""norch.load and norch.save with PyTorch's other formats and options: the format before 1.6, whole modules,
allowed names, NumPy, mapped files. The files named OLD and MODULE were written by torch.save."""

import argparse
import base64
import copy
import io
import pickle
import zlib

import numpy as np
import pytest

import norch
from norch import nn, serialization

OLD = zlib.decompress(base64.b64decode(
    "eNptkUtv1DAQxxM7uwuGlhZaoDz7hO1lRbMlu3tqhVAvFo+GSy4o2matJsiKdxJnJZAq5bJVy2fgwJGvxkdA4sA4KYVKa9kjezz+zX88JfnK5O9v"
    "B79WP/14v9IpyZufFO0JWO1gwbKscaa0ipQMJyLLE5WCjQHBHN7IRGspQpGOkmEK5Cxg6NSfxyLMky8iB3oCTjtooDOPVaahwUlA8ZSkGprcCRzD"
    "UOkxtLhTFH9z2ugdgh1plUVxJyx0InMWZuKoSOQo1CLNVRZOXAak3Q5aBo6Rw2MBtH7CDqQa6g+1k4ETzGPMYNfre33Xc7te76ULjUpHNC5QR/Ot"
    "htYhtzjh9BSuccrtU7h+HmHJUkQaK87Zu2wkMjF6nUSaAdv24YaGmz7MVWInMB+jlpjGM3PdiuscC4eIplNY5PYUbp/HBnNHw5IPyxXmCO7WmIsy"
    "XiklL6u494/c6w763cHOi124j2SC5JVK/RQeGPLDmvxIw2MfnlTkGJ5eJVc/tONd0lev0t1e1+3DGtJtpK8bOoI3jNms6Vsanvnw3PTso+nZjOf2"
    "LMVk1gdR0TEqzSj3yMXOtprW/6PcQ7OPE1eJ6/v+H/2+rm8="
))  # fmt: skip
MODULE = zlib.decompress(base64.b64decode(
    "eNqlVltz20QUXjuJY5Q2t15C05BSCtSBxvElsePeUkwwF4U0dQmIQhGyJHtFFMlHWiVTGM+UYdKmf4I3fgPDzyjD8MQMDzzxxCsvzLCrVWJJzgXa"
    "nZE12v3O5dP5zrHWxL5+hNJp1LNG0ThSHBUbW/qcphAl294wa9VhdC+yHiZVYlNU1rKym7bmmbqbVW2LKIalO8JdHTzdIoZiCoBmvoVEB5IZiQUj"
    "DkUYVgv6dqUh+iy3FUfZ1InuuNDfgQEfJDe8ZpPtpDowKJ1nO5ZtyW26ZbiEOt4DyK5OIK3K9NkwiWHJskB3BHjhPgg7MFSHE9Ip35+ibmwrjia3"
    "HV3Gtr3hwklVtU1TV4lhW65w29F0R9eWDZVaD8/UYUQaiRhyo1HMzsaks+zMcOWmZ5pRDIyvSsPstGk7IcNTvuFpabLnSN42CJaZg5YLZ3zYWWmq"
    "F6aY28oDV1YVmrQGEz7wRWk8DOySO+cfT0rTBx5HQp73oVPSGIO6RCG6rNG3EDh6yT+dls7ETruhLviIlzkz01a0g2EXfdgrvJg9MNvdC3jJx73K"
    "ZRAIC17rwOsZKUG3cnC5V3cm1ZziCCv8BhkquJkOvJHBfbuYaurNjJSiptu60cIErgT2skcM0xVkR2fa0bo6FGD2EAhVnms78lZBgGwmIw1Spy5F"
    "Ki0d5riJUKPUyF2+KUAuyDkv9dG72vagICYJFO+ISEyIyUcwLybFxCNYeOKzLhEo12Fx13+oPIardbgm0S5FDUNx4TqexTQsnsPcbR5u4IKYIHDT"
    "d7cDS+znFnf1FoFqHd7mrpYfwzt1qHmYttO7OI1pd7y3A+/X4QN80geImAt7BY+vYi7VDzHX4irmUruNuabWMBfMHcylUcdcAHcxr/BHmFdwHdOi"
    "fey3OG3Lpq4Qz6GV/ERMSifonu2R7qYkJrxGwOnT3vIqtEe3FNanQl1fWRfgHi3wZx34fK/A9xmxLzgxeQe+rIMSEGsExNQuMS0gpgfEmgGxVkAM"
    "B8SMgNhXAbGNgJjJiG36xTestqmoOlhPvIbnNbJr4mB69ZvVf04PIMSutUNn7AS6vD9js7Q/NxUib7HpZlu16qXYqD1w5VmwH//67Tv22th1eLBJ"
    "VO4GCwRLx4nRsjbpKK1Vi/8lXnyV5lkCS9vwZ5KGSB6ZwBha2k+g8YDoNhu2teq1Z4m7t0yDEFNnOezc+OMc6+/UkTkMo5uRf7W5XK169TkSQOjh"
    "EnV7i2Ww9cNSloVMH5PB9WgG+Vp1ET17fBZrMD31+/JFNiL6j4w9EqrAvs6e6/0XBRb96fet9ePrP40KXQH61F3dod8Gxtd+V8uGVqtm/2cyuYVS"
    "Pp9bXCgUS/lKqZxbKFTm8+VirlIoz+cri6ViJZ8r50olluVPI/mfMzSPjJ9lgiW7n2e4X0d7Mo9/B8Wtww04EbHUBtBhHR53Em6iyYiTp2EnPZ0b"
    "9xNuhLGIn3oK9TZg3Dys4uGI+a8pFOuduG1YhVFbNiijqo/bhjU0ErH9JWR7yLsLl3Y6yjmNjhHdmphKXdmTaN/svmU6dh9K8vvfwQa1Y9Mf9Q3x"
    "Zz59B1LcJu3jOfZfReDryA=="
))  # fmt: skip
DAMAGED = (RuntimeError, pickle.UnpicklingError)


def saved(obj, **options):
    file = io.BytesIO()
    norch.save(obj, file, **options)
    file.seek(0)
    return file


def old(obj):
    return saved(obj, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize("weights_only", [True, False])
def test_torchs_old_file(weights_only):
    back = norch.load(io.BytesIO(OLD), weights_only=weights_only)
    assert back["a"].tolist() == [[0, 1, 2], [3, 4, 5]] and back["b"].tolist() == [True, False]
    assert back["h"].dtype == norch.bfloat16 and back["h"].tolist() == [1]
    back["a"][1, 0] = 9
    assert back["v"].tolist() == [9, 4, 5]


def test_old_format_round_trip(tmp_path):
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    obj = {"net": net.state_dict(), "u": norch.ones(3, dtype=norch.uint16), "n": [1, "a", None]}
    norch.save(obj, tmp_path / "a.pt", _use_new_zipfile_serialization=False)
    back = norch.load(tmp_path / "a.pt", map_location="cpu")
    assert back["n"] == obj["n"] and back["u"].dtype == norch.uint16 and back["u"].tolist() == [1, 1, 1]
    assert all(norch.equal(back["net"][k], v) for k, v in net.state_dict().items())
    seen = norch.load(tmp_path / "a.pt", map_location=lambda t, where: t.clone())
    assert all(norch.equal(seen["net"][k], v) for k, v in net.state_dict().items())
    file = io.BytesIO(old(norch.ones(2)).getvalue() + old(norch.zeros(3)).getvalue())
    assert norch.load(file).tolist() == [1, 1] and norch.load(file).tolist() == [0, 0, 0]


def test_damaged_old_files(damaged_copies):
    for n in range(1, len(OLD), 3):
        with pytest.raises(DAMAGED):
            norch.load(io.BytesIO(OLD[:n]))
    for data in damaged_copies(OLD, 1000):
        try:
            norch.load(io.BytesIO(data))
        except DAMAGED:
            pass
    huge = OLD.replace(b"K\x06Nt", b"J\xff\xff\xff\x7fNt")
    with pytest.raises(RuntimeError, match="cut off or damaged"):
        norch.load(io.BytesIO(huge))


def test_torchs_whole_module():
    with pytest.raises(pickle.UnpicklingError, match=r"torch.nn.modules.container.Sequential.*weights_only=False"):
        norch.load(io.BytesIO(MODULE))
    net = norch.load(io.BytesIO(MODULE), weights_only=False)
    assert isinstance(net, nn.Sequential) and isinstance(net[0], nn.Linear) and isinstance(net[1], nn.ReLU)
    assert net(norch.tensor([[1.0, 1.0], [-1.0, -1.0]])).tolist() == [[3], [0]]
    net[0].weight.sum().backward()
    assert net[0].weight.grad.tolist() == [[1, 1]]


def test_hooks_of_a_restored_module_run():
    net = nn.Linear(1, 1)
    net.register_forward_hook(print)
    state = net.__getstate__()
    del state["_hooked"]  # PyTorch's modules have no such flag
    other = nn.Linear.__new__(nn.Linear)
    other.__setstate__(state)
    assert other._hooked


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.activation, self.method = norch.relu, norch.Tensor.exp
        self.register_buffer("seen", norch.zeros(1))

    def forward(self, x):
        return self.method(self.activation(self.layer(x)))


@pytest.mark.parametrize("through", ["save", "pickle", "deepcopy"])
def test_whole_modules(through):
    net = Net()
    other = {
        "save": lambda: norch.load(saved(net), weights_only=False),
        "pickle": lambda: pickle.loads(pickle.dumps(net)),
        "deepcopy": lambda: copy.deepcopy(net),
    }[through]()
    with serialization.safe_globals([Net, nn.Linear, norch.relu, getattr, norch.Tensor]):
        norch.load(saved(net))  # nothing else is in the file
    x = norch.randn(3, 2)
    assert norch.equal(other(x), net(x)) and list(other.state_dict()) == list(net.state_dict())
    with norch.no_grad():
        other.layer.weight.zero_()
    assert net.layer.weight.abs().sum() > 0 and other.activation is norch.relu


def test_functions_carry_torchs_names():
    layer = nn.TransformerEncoderLayer(4, 2, 8, activation="gelu")
    for obj, name in ((layer, b"torch.nn.functional\ngelu\n"), (norch.nn.functional.relu, b"torch.nn.functional\nrelu\n"),
                      (norch.exp, b"torch\nexp\n")):  # fmt: skip
        assert name in saved(obj).getvalue()
    restored = norch.load(saved(layer), weights_only=False)
    assert restored.activation is norch.nn.functional.gelu and restored.activation_relu_or_gelu == 2
    assert norch.load(saved([norch.nn.functional.relu, norch.exp]), weights_only=False) == [
        norch.nn.functional.relu, norch.exp,
    ]  # fmt: skip


def test_a_module_that_keeps_the_handle_of_a_hook():
    net = nn.Linear(1, 1)
    net.handle = net.register_forward_hook(print, always_call=True)
    hooks, number, extra = net.handle.__getstate__()
    assert hooks is net._forward_hooks and number == net.handle.id and extra[-1] is net._forward_hooks_always_called
    other = norch.load(saved(net), weights_only=False)
    other.handle.remove()
    assert not other._forward_hooks and len(net._forward_hooks) == 1
    net.handle.__setstate__((None, 7))  # PyTorch's older form, of a dict that is gone
    net.handle.remove()


def test_recurrent_layers_have_what_pytorchs_need():
    layer = nn.LSTM(2, 3, bidirectional=True)
    state = layer.__getstate__()
    assert [p is q for p, q in zip(state["_flat_weights"], layer.parameters(), strict=True)] == [True] * 8
    assert state["_flat_weights_names"][4] == "weight_ih_l0_reverse" and len(state["_all_weights"]) == 2
    for other in (norch.load(saved(layer), weights_only=False), copy.deepcopy(layer)):
        assert "_flat_weights" not in vars(other) and other._flat_weights[0] is other.weight_ih_l0
        assert norch.equal(other(norch.ones(4, 1, 2))[0], layer(norch.ones(4, 1, 2))[0])


class Config:
    def __init__(self, n):
        self.n = n


def make(n):
    return Config(n)


def test_allowed_names():
    file = saved({"config": Config(3), "args": argparse.Namespace(a=1)})
    assert serialization.get_unsafe_globals_in_checkpoint(file) == [f"{__name__}.Config", "argparse.Namespace"]
    file.seek(0)
    with pytest.raises(pickle.UnpicklingError, match=r"Config.*add_safe_globals"):
        norch.load(file)
    with serialization.safe_globals([Config, (argparse.Namespace, "argparse.Namespace")]):
        file.seek(0)
        back = norch.load(file)
        assert back["config"].n == 3 and back["args"] == argparse.Namespace(a=1)
    assert serialization.get_safe_globals() == []
    serialization.add_safe_globals([Config])
    try:
        assert serialization.get_safe_globals() == [Config]
        assert norch.load(saved(Config([norch.ones(1)]))).n[0].tolist() == [1]
    finally:
        serialization.clear_safe_globals()
    with pytest.raises(TypeError, match="expected classes"):
        serialization.add_safe_globals([3])
    file.seek(0)
    assert norch.load(file, weights_only=False)["config"].n == 3
    with serialization.safe_globals([nn.Sequential, nn.Linear, nn.ReLU]):  # also by torch's names
        assert norch.load(io.BytesIO(MODULE))[0].weight.tolist() == [[1, 2]]


@pytest.mark.parametrize("weights_only", [True, False])
def test_numpy(weights_only):
    obj = {
        "array": np.arange(6.0).reshape(2, 3),
        "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "texts": np.array(["ab", "c"]),
        "0-d": np.array(3.5),
        "dtype": np.dtype("float32"),
    }
    back = norch.load(saved(obj), weights_only=weights_only)
    assert repr(back) == repr(obj) and not back["fortran"].flags.c_contiguous
    big = norch.load(saved(np.array([1, 2], ">i4")), weights_only=weights_only)
    assert big.tolist() == [1, 2]
    with pytest.raises(pickle.UnpicklingError, match="NumPy dtype"):
        norch.load(saved(np.array([{}], object)))


def test_mapped_files(tmp_path):
    path = tmp_path / "a.pt"
    norch.save({"a": norch.arange(1000.0), "b": norch.tensor([True])}, path)
    back = norch.load(path, mmap=True)
    back["a"][0] = 5  # of this process alone
    assert back["a"].sum().item() == 499505 and back["b"].tolist() == [True] and norch.load(path)["a"][0] == 0
    with pytest.raises(ValueError, match="path"):
        norch.load(saved(1), mmap=True)
    path.write_bytes(OLD)
    with pytest.raises(RuntimeError, match="mmap can only be used"):
        norch.load(path, mmap=True)


def test_options():
    with pytest.raises(RuntimeError, match="explicit pickle_module"):
        norch.load(saved(1), weights_only=True, pickle_module=pickle)
    assert norch.load(saved([1]), pickle_module=pickle) == [1]

    class Reader:  # the least that a file object has to have
        def __init__(self, file):
            self.read, self.readline, self.seek, self.tell = file.read, file.readline, file.seek, file.tell

    assert norch.load(Reader(saved(norch.arange(300)))).sum() == 44850
    with pytest.raises(pickle.UnpicklingError, match="torch.no.such.Name, which norch does not have"):
        code = b"\x80\x02ctorch.no.such\nName\n."
        norch.load(io.BytesIO(old(None).getvalue().replace(b"\x80\x02N.", code, 1)), weights_only=False)
