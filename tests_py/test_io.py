"""safetensors files: against the format's own library, and damaged in every way."""

import json
import os
import random
import struct

import numpy as np
import pytest

import norch
from norch import _C
from norch.utils.safetensors import load_file, save_file

io = _C._io
DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64")


def numbers(t):
    return (t.float() if t.dtype == norch.bfloat16 else t).numpy()


def make(dtype, shape=(3, 4)):
    return norch.from_numpy(np.random.randint(0, 2 if dtype == "bool" else 100, shape)).to(getattr(norch, dtype))


def test_round_trip(tmp_path, device):
    tensors = {f"layer.{d}": make(d).to(device) for d in DTYPES}
    tensors |= {"é \"'\\\n": norch.tensor(3.5), "empty": norch.zeros(0, 5), "t": make("float32", (4, 6)).to(device).t()}
    save_file(tensors, tmp_path / "a.safetensors", {"format": "pt", "ü": "✓"})
    back = load_file(tmp_path / "a.safetensors")
    assert set(back) == set(tensors)
    for name, t in tensors.items():
        assert back[name].dtype == t.dtype and back[name].shape == t.shape
        np.testing.assert_array_equal(numbers(back[name]), numbers(t.cpu()))
    assert io.safetensors_metadata(tmp_path / "a.safetensors") == {"format": "pt", "ü": "✓"}
    assert os.listdir(tmp_path) == ["a.safetensors"]


def test_the_formats_own_library_agrees(tmp_path):
    numpy = pytest.importorskip("safetensors.numpy")
    arrays = {d: numbers(make(d)).astype(d) for d in DTYPES if d != "bfloat16"}
    save_file({k: norch.from_numpy(v) for k, v in arrays.items()}, tmp_path / "ours")
    numpy.save_file(arrays, tmp_path / "theirs", {"k": "v"})
    read = numpy.load_file(tmp_path / "ours")
    ours = load_file(tmp_path / "theirs")
    for k, v in arrays.items():
        np.testing.assert_array_equal(read[k], v)
        np.testing.assert_array_equal(ours[k].numpy(), v)
        assert read[k].dtype == v.dtype
    assert (tmp_path / "ours").read_bytes()[8:16] == b'{"' + b'float64'[:6]


def file_of(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@pytest.mark.parametrize(
    "content,text",
    [
        (b"", "too few"),
        (b"1234567", "too few"),
        (b"\xff" * 8, "claims"),
        (struct.pack("<Q", 100) + b"{}", "only 2 follow"),
        (file_of(b""), "start with"),
        (file_of(b"[]"), "start with"),
        (file_of(b"{"), "byte 1"),
        (file_of(b'{"a":{"b":1,}}'), "name in quotes"),
        (file_of(b"{} {}"), "after the end"),
        (file_of(b'{"\xff": 1}'), "UTF-8"),
        (file_of(b'{"a":' + b"[" * 100000), "deeply"),
        (file_of(b'{"a":[' + b"0," * 1000 + b"0]}"), "too many items"),
        (file_of({"a": entry()}, b"1234567"), "outside the file"),
        (file_of({"a": entry()}, b"123456789"), "follow the header"),
        (file_of({"a": entry(shape=(3,))}, bytes(8)), "takes 12 bytes"),
        (file_of({"a": entry(dtype="F31")}, bytes(8)), "does not have"),
        (file_of({"a": entry(dtype="F8_E4M3", shape=(8,))}, bytes(8)), "does not have"),
        (file_of({"a": entry(shape=(-1,))}, bytes(8)), "non-negative"),
        (file_of({"a": entry(shape=(2.0,))}, bytes(8)), "non-negative"),
        (file_of({"a": entry(shape=(1 << 62, 4))}, bytes(8)), "too large"),
        (file_of({"a": entry(shape=(1 << 64,))}, bytes(8)), "non-negative"),
        (file_of({"a": entry(shape=(1 << 40, 1 << 40, 0), offsets=(0, 0))}), "too large"),
        (file_of({"a": entry(offsets=(8, 0))}, bytes(8)), "outside"),
        (file_of({"a": entry(offsets=(0, 1 << 63))}, bytes(8)), "non-negative"),
        (file_of({"a": entry(), "b": entry(offsets=(4, 12))}, bytes(12)), "overlaps"),
        (file_of({"a": entry(), "b": entry(offsets=(12, 20))}, bytes(20)), "belong to no tensor"),
        (file_of({"a": entry(offsets=(4, 12))}, bytes(12)), "belong to no tensor"),
        (file_of(b'{"a":1,"a":1}'), "not an object"),
        (file_of({"a": 5}), "not an object"),
        (file_of({"a": {"dtype": "F32"}}), "no shape"),
        (file_of({"__metadata__": {"k": 1}}), "not a string"),
        (file_of({"__metadata__": []}), "not an object"),
    ],
)
def test_what_is_wrong_is_refused(tmp_path, content, text):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    for load in (lambda: io.load_safetensors(path), lambda: io.parse_safetensors(content)):
        with pytest.raises(ValueError, match=text):
            load()


def test_names_twice():
    one = json.dumps(entry(dtype="U8", shape=(1,), offsets=(0, 1)))
    two = json.dumps(entry(dtype="U8", shape=(1,), offsets=(1, 2)))
    with pytest.raises(ValueError, match='"a" appears twice'):
        io.parse_safetensors(file_of(f'{{"a":{one},"\\u0061":{two}}}'.encode(), b"12"))


def test_damaged_files_load_or_raise():
    good = file_of(
        {"__metadata__": {"k": "v"}, "a": entry(), "b": entry("BOOL", (3,), (8, 11)), "c": entry("I64", (), (11, 19))},
        bytes(range(19)),
    )
    assert set(io.parse_safetensors(good)) == {"a", "b", "c"}
    rng = random.Random(99)
    for _ in range(5000):
        bad = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(bad)) if bad else 0
            action = rng.randrange(5)
            if action == 0 and bad:
                bad[at] = rng.randrange(256)
            elif action == 1:
                del bad[at : at + rng.randint(1, 9)]
            elif action == 2:
                bad[at:at] = rng.choice([b"0", b"9" * 20, b"[", b"]", b"{", b"}", b'"', b",", b":", b"-", b"\\u", b"\xc3"])
            elif action == 3:
                del bad[at:]
            else:
                bad[at:at] = bad[rng.randrange(len(bad) + 1) :][:50]
        if rng.random() < 0.5 and len(bad) > 27:
            bad[:8] = struct.pack("<Q", len(bad) - 27)
        try:
            tensors = io.parse_safetensors(bytes(bad))
        except ValueError:
            continue
        for t in tensors.values():
            t.tolist()


def test_failed_saves_leave_the_old_file(tmp_path):
    path = tmp_path / "f"
    save_file({"a": norch.ones(2)}, path)
    for tensors in ({"__metadata__": norch.ones(1)}, {"a\ud800": norch.ones(1)}):
        with pytest.raises(ValueError):
            io.save_safetensors(tensors, path)
    with pytest.raises(TypeError):
        io.save_safetensors({"a": 1}, path)
    with pytest.raises(TypeError):
        io.save_safetensors({1: norch.ones(1)}, path)
    with pytest.raises(TypeError):
        io.save_safetensors({"a": norch.ones(1)}, path, {"k": 1})
    with pytest.raises(RuntimeError, match="cannot write"):
        io.save_safetensors({"a": norch.ones(1)}, tmp_path / "no" / "such")
    assert load_file(path)["a"].tolist() == [1, 1] and os.listdir(tmp_path) == ["f"]
    with pytest.raises(FileNotFoundError):
        load_file(tmp_path / "missing")
    with pytest.raises(RuntimeError, match="[Dd]irectory"):
        load_file(tmp_path)
