"""safetensors files: against the safetensors package, and damaged in many ways."""

import json
import os
import random
import struct

import numpy as np
import pytest

import norch
from norch.utils import safetensors

DTYPES = {
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "int16": "I16",
    "int32": "I32",
    "int64": "I64",
    "float16": "F16",
    "bfloat16": "BF16",
    "float32": "F32",
    "float64": "F64",
}


def write(path, header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@pytest.mark.parametrize("dtype", DTYPES)
def test_round_trip(tmp_path, device, dtype):
    tensors = {
        "a": norch.tensor(np.random.randint(0, 2, (2, 3)), device=device).to(getattr(norch, dtype)),
        "scalar": norch.tensor(1, device=device).to(getattr(norch, dtype)),
        "empty": norch.zeros(0, 4, dtype=getattr(norch, dtype), device=device),
    }
    path = tmp_path / "w.safetensors"
    safetensors.save_file(tensors, path, {"format": "pt"})
    back = safetensors.load_file(path, device=device)
    assert set(back) == set(tensors)
    for name, t in tensors.items():
        assert back[name].dtype == t.dtype and back[name].shape == t.shape and back[name].tolist() == t.tolist()
        assert back[name].device.type == device
    with open(path, "rb") as file:
        (n,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(n))
    assert header["__metadata__"] == {"format": "pt"} and header["a"]["dtype"] == DTYPES[dtype]
    assert header["a"]["shape"] == [2, 3]
    assert os.listdir(tmp_path) == ["w.safetensors"]


def test_strided_and_shared_tensors(tmp_path):
    a = norch.arange(6.0).view(2, 3)
    path = tmp_path / "w"
    safetensors.save_file({"t": a.t(), "row": a[1], "p": norch.nn.Parameter(a)}, str(path))
    back = safetensors.load_file(str(path))
    assert back["t"].tolist() == a.t().tolist() and back["row"].tolist() == [3, 4, 5]
    assert not back["p"].requires_grad
    assert safetensors.load(safetensors.save({"x": a}))["x"].tolist() == a.tolist()


def test_the_safetensors_package_agrees(tmp_path):
    package = pytest.importorskip("safetensors.numpy")
    arrays = {"a": np.random.randn(3, 4).astype(np.float32), "b": np.arange(5), "c": np.array([True, False])}
    path = tmp_path / "theirs"
    package.save_file(arrays, path, metadata={"k": "v"})
    back = safetensors.load_file(path)
    assert all(np.array_equal(back[k].numpy(), v) for k, v in arrays.items()) and len(back) == 3
    path = tmp_path / "ours"
    safetensors.save_file({k: norch.from_numpy(v) for k, v in arrays.items()}, path)
    back = package.load_file(path)
    assert all(np.array_equal(back[k], v) for k, v in arrays.items()) and len(back) == 3


def test_wrong_arguments(tmp_path):
    with pytest.raises(ValueError, match="expected a dict from names to tensors, but got int under 'a'"):
        safetensors.save_file({"a": 3}, tmp_path / "w")
    assert os.listdir(tmp_path) == []
    with pytest.raises((RuntimeError, OSError)):
        safetensors.load_file(tmp_path / "missing")


@pytest.mark.parametrize(
    "header, data",
    [
        (b"", b""),
        (b"[]", b""),
        (b"{", b""),
        (b'{"a":', b""),
        (b"\xff\xfe", b""),
        (b'{"a": 3}', b""),
        (b"[" * 100_000, b""),
        (b'{"a":' * 50_000, b""),
        ({"a": entry(offsets=(0, 4))}, bytes(8)),
        ({"a": entry(offsets=(0, 16))}, bytes(8)),
        ({"a": entry(offsets=(8, 0))}, bytes(8)),
        ({"a": entry(offsets=(-8, 0))}, bytes(8)),
        ({"a": entry(offsets=(2**63, 2**63 + 8))}, bytes(8)),
        ({"a": entry(offsets=(0, 8)), "b": entry(offsets=(4, 12))}, bytes(12)),
        ({"a": entry(shape=(2**62, 2**62))}, bytes(8)),
        ({"a": entry(shape=(-2,))}, bytes(8)),
        ({"a": entry(shape=(2.5,))}, bytes(8)),
        ({"a": entry(dtype="F31")}, bytes(8)),
        ({"a": {"dtype": "F32", "shape": [2]}}, bytes(8)),
        ({"a": {**entry(), "dtype": 3}}, bytes(8)),
        ({"__metadata__": {"a": 3}, "a": entry()}, bytes(8)),
        (b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', bytes(8)),
    ],
)
def test_damaged_files(tmp_path, header, data):
    with pytest.raises((RuntimeError, ValueError)):
        safetensors.load_file(write(tmp_path / "w", header, data))


@pytest.mark.parametrize("length", [0, 1, 1000, 2**31, 2**63 - 1, 2**64 - 1])
def test_absurd_header_lengths(tmp_path, length):
    with pytest.raises((RuntimeError, ValueError)):
        safetensors.load_file(write(tmp_path / "w", {"a": entry()}, bytes(8), length))


def test_changed_bytes_never_do_harm(tmp_path):
    data = safetensors.save({"a": norch.arange(6.0), "b": norch.ones(2, 2, dtype=norch.int64)})
    for n in range(len(data)):
        with pytest.raises((RuntimeError, ValueError)):
            safetensors.load(data[:n])
    rng = random.Random(0)
    header = struct.unpack("<Q", data[:8])[0] + 8
    for _ in range(2000):
        changed = bytearray(data)
        for _ in range(rng.randint(1, 3)):
            changed[rng.randrange(header)] = rng.randrange(256)
        try:
            safetensors.load(bytes(changed))
        except (RuntimeError, ValueError):
            pass


class Tied(norch.nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = norch.nn.Linear(2, 2), norch.nn.Linear(2, 2)
        self.b.weight = self.a.weight


def test_models(tmp_path):
    path, net, other = tmp_path / "m.safetensors", Tied(), Tied()
    safetensors.save_model(net, path)
    assert set(safetensors.load_file(path)) == {"a.weight", "a.bias", "b.bias"}
    assert safetensors.load_model(other, path) == (set(), [])
    assert norch.equal(other.b.weight, net.a.weight) and norch.equal(other.b.bias, net.b.bias)
    with pytest.raises(RuntimeError, match="Missing key.*'weight'(.|\\n)*Unexpected key.*'a.bias'"):
        safetensors.load_model(norch.nn.Linear(2, 2), path)
    missing, unexpected = safetensors.load_model(norch.nn.Linear(2, 2), path, strict=False)
    assert missing == {"weight", "bias"} and unexpected == ["a.bias", "a.weight", "b.bias"]


def test_safe_open(tmp_path, device):
    path = tmp_path / "x.safetensors"
    tensors = {
        "b": norch.arange(12.0).reshape(3, 4), "a": norch.ones(2, dtype=norch.bfloat16), "empty": norch.zeros(0, 3),
        "n": norch.tensor(5), "z": norch.tensor([1 + 2j]),
    }  # fmt: skip
    safetensors.save_file(tensors, path, {"k": "v"})
    with safetensors.safe_open(path, framework="pt", device=device) as file:
        assert file.keys() == sorted(tensors) and sorted(file.offset_keys()) == sorted(tensors)
        assert file.metadata() == {"k": "v"}
        for name, t in file.get_tensors().items():
            assert t.dtype == tensors[name].dtype and t.device.type == device and norch.equal(t.cpu(), tensors[name])
        part = file.get_slice("b")
        assert part.get_shape() == [3, 4] and part.get_dtype() == "F32"
        for key in (slice(1, None), slice(0, 0), slice(None, None, 2), (slice(1, 3), 0), (slice(None), slice(1, 3)), 2, ...):
            assert norch.equal(part[key].cpu(), tensors["b"][key])
        with pytest.raises(ValueError, match="File does not contain tensor other"):
            file.get_tensor("other")
    with pytest.raises(ValueError, match="not open"):
        file.get_tensor("b")
    with safetensors.safe_open(str(path), "np") as file:
        assert file.get_tensor("b").sum() == 66
    with pytest.raises(FileNotFoundError):
        safetensors.safe_open(tmp_path / "none", "pt")
    with pytest.raises(ValueError, match="framework tf is invalid"):
        safetensors.safe_open(path, "tf")


def test_safe_open_of_damaged_files(tmp_path):
    path = tmp_path / "x.safetensors"
    safetensors.save_file({"a": norch.arange(6.0).reshape(2, 3), "b": norch.ones(4, dtype=norch.int8)}, path, {"k": "v"})
    data, read = path.read_bytes(), 0
    for i in range(400):
        damaged = bytearray(data)
        for _ in range(random.randint(1, 3)):
            damaged[random.randrange(len(damaged))] = random.randrange(256)
        path.write_bytes(damaged[: random.randrange(len(damaged))] if i % 4 == 0 else damaged)
        try:
            with safetensors.safe_open(path, "pt") as file:
                file.get_tensors()
            read += 1
        except safetensors.SafetensorError:
            pass
    assert read < 400
