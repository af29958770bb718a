"""norch.save and norch.load: round trips, sharing, interrupted saves."""

import io
import os
import pickle
import struct
import zipfile
from collections import Counter, OrderedDict

import numpy as np
import pytest

import norch
from norch import nn, optim, serialization

DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64"]


def round_trip(obj, **options):
    file = io.BytesIO()
    norch.save(obj, file)
    file.seek(0)
    return norch.load(file, **options)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (2, 0, 3)])
def test_tensors(device, dtype, shape):
    t = norch.tensor(np.random.randint(0, 2, shape), device=device).to(getattr(norch, dtype))
    back = round_trip(t)
    assert back.dtype == t.dtype and back.shape == t.shape and back.device == t.device
    assert back.tolist() == t.tolist()


def test_strides_requires_grad_and_parameters():
    t = norch.arange(12.0).view(3, 4).t()[1:, ::2]
    back = round_trip(t)
    assert back.stride() == t.stride() and back.tolist() == t.tolist()
    assert round_trip(norch.ones(2, requires_grad=True)).requires_grad
    p = round_trip(nn.Parameter(norch.ones(2), requires_grad=False))
    assert isinstance(p, nn.Parameter) and not p.requires_grad
    assert isinstance(round_trip([nn.Parameter(norch.ones(2))])[0], nn.Parameter)
    back = round_trip(norch.ones(2, requires_grad=True) * 2)  # as PyTorch, which makes it a leaf
    assert back.tolist() == [2, 2] and back.requires_grad and back.is_leaf


class Tagged(norch.Tensor):
    pass


def test_attributes_and_subclasses():
    t, p = norch.ones(2), nn.Parameter(norch.ones(2))
    t.note, p.note = [1, p], "a"
    back, q = round_trip([t, p])
    assert back.note[1] is q and q.note == "a" and isinstance(q, nn.Parameter)
    tagged = norch._C._as_subclass(norch.ones(2), Tagged)
    with pytest.raises(pickle.UnpicklingError, match="Tagged"):
        round_trip(tagged)
    with serialization.safe_globals([Tagged]):
        assert type(round_trip(tagged)) is Tagged
    assert type(round_trip(tagged, weights_only=False)) is Tagged


def test_what_shares_memory_shares_it_again():
    a = norch.arange(6.0)
    back = round_trip({"a": a, "view": a.view(2, 3)[1], "same": a, "ints": a.view(norch.int32)})
    assert back["same"] is back["a"]
    back["a"][3] = 100
    assert back["view"].tolist() == [100, 4, 5]
    file = io.BytesIO()
    norch.save([a, a[1:], a[2:]], file)
    assert sum("data/" in n for n in zipfile.ZipFile(file).namelist()) == 1


def test_plain_objects():
    obj = {
        "list": [1, -5, 2**70, 2.5, float("inf"), "x\ny", "\u20ac", None, True, b"ab\xff", (), (1,), 1 + 2j],
        3: {1, 2},
        (1, "a"): OrderedDict(b=1, a=2),
        None: Counter("aab"),
        "norch": [norch.float32, norch.bfloat16, norch.Size([1, 2]), norch.device("cpu")],
        "buffer": bytearray(b"z"),
        "long": list(range(1000)),
    }
    obj["again"] = obj["list"]
    back = round_trip(obj)
    assert back == obj
    assert back["again"] is back["list"] and list(back[(1, "a")]) == ["b", "a"]
    assert type(back[(1, "a")]) is OrderedDict and type(back[None]) is Counter
    numbers = round_trip([np.float64(2.5), np.int64(3), np.bool_(True)])
    assert numbers == [2.5, 3, True] and [type(n) for n in numbers] == [float, int, bool]
    loop = []
    loop.append(loop)
    back = round_trip(loop)
    assert back[0] is back


def test_models_and_optimizers(device):
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).to(device)
    optimizer = optim.Adam(net.parameters())
    net(norch.randn(4, 2, device=device)).sum().backward()
    optimizer.step()
    back = round_trip({"net": net.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3})
    assert back["net"]._metadata["1"] == {"version": 2}
    other = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).to(device)
    other.load_state_dict(back["net"])
    restored = optim.Adam(other.parameters())
    restored.load_state_dict(back["optimizer"])
    for n, o in [(net, optimizer), (other, restored)]:
        o.zero_grad()
        n(norch.ones(4, 2, device=device)).pow(2).sum().backward()
        o.step()
    assert all(norch.equal(a, b) for a, b in zip(net.parameters(), other.parameters()))


def test_map_location(device):
    t = norch.arange(3.0, device=device)
    assert round_trip(t, map_location="cpu").device.type == "cpu"
    assert round_trip(t, map_location=norch.device(device)).device == t.device
    assert round_trip(t, map_location={str(t.device): "cpu", "cuda:0": "cpu"}).device.type == "cpu"
    assert round_trip(t, map_location=lambda s, where: s).device.type == "cpu"
    assert round_trip(t, map_location=lambda s, where: None).device == t.device


def test_paths(tmp_path):
    path = tmp_path / "model.pt"
    norch.save(norch.ones(2), path)
    norch.save(norch.zeros(3), str(path))
    assert norch.load(path).tolist() == [0, 0, 0] and norch.load(str(path), weights_only=False).tolist() == [0, 0, 0]
    assert os.listdir(tmp_path) == ["model.pt"]
    with pytest.raises(RuntimeError, match="Parent directory .* does not exist"):
        norch.save(1, tmp_path / "no" / "model.pt")
    with pytest.raises(FileNotFoundError):
        norch.load(tmp_path / "other.pt")
    with pytest.raises(AttributeError, match="file-like object with a 'write' attribute"):
        norch.save(1, 3)
    with pytest.raises(AttributeError, match="seekable"):
        norch.load(3)


def test_the_format(tmp_path):
    path = tmp_path / "model.pt"
    norch.save({"w": norch.arange(100.0), "b": norch.ones(3)}, path)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == [
            "model/data.pkl", "model/.format_version", "model/.storage_alignment", "model/byteorder", "model/data/0",
            "model/data/1", "model/version",
        ]  # fmt: skip
        assert archive.read("model/version") == b"3\n" and archive.read("model/byteorder") == b"little"
        assert archive.read("model/data/0") == np.arange(100, dtype="<f4").tobytes()
        for info in archive.infolist():
            assert info.compress_type == zipfile.ZIP_STORED
            with open(path, "rb") as file:
                file.seek(info.header_offset + 26)
                start = info.header_offset + 30 + sum(struct.unpack("<HH", file.read(4)))
            assert start % 64 == 0


def test_files_of_the_other_byte_order(tmp_path):
    path = tmp_path / "big.pt"
    file = io.BytesIO()
    norch.save({"f": norch.arange(4.0), "b": norch.ones(2, dtype=norch.bfloat16), "u": norch.ones(2, dtype=norch.uint8)}, file)
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith("byteorder"):
                data = b"big"
            elif name.endswith("data/0"):
                data = np.frombuffer(data, "<f4").astype(">f4").tobytes()
            elif name.endswith("data/1"):
                data = np.frombuffer(data, "<u2").astype(">u2").tobytes()
            new.writestr(name, data)
    back = norch.load(path)
    assert back["f"].tolist() == [0, 1, 2, 3] and back["b"].tolist() == [1, 1] and back["u"].tolist() == [1, 1]


def test_what_cannot_be_saved(tmp_path):
    path = tmp_path / "model.pt"
    norch.save(1, path)
    for obj in (lambda: 1, io.BytesIO().getbuffer(), (i for i in [1])):
        with pytest.raises((pickle.PicklingError, TypeError, AttributeError), match="pickle"):
            norch.save({"x": obj}, path)
    assert norch.load(path) == 1 and os.listdir(tmp_path) == ["model.pt"]


def test_links_stay_links(tmp_path):
    norch.save(1, tmp_path / "a.pt")
    os.symlink("a.pt", tmp_path / "b.pt")
    norch.save(2, tmp_path / "b.pt")
    assert norch.load(tmp_path / "a.pt") == 2 and os.path.islink(tmp_path / "b.pt")


def test_an_interrupted_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "model.pt"
    norch.save(norch.ones(2), path)
    real = zipfile.ZipFile.open
    for error in (OSError("disk full"), KeyboardInterrupt()):

        def interrupted(self, name, *args, error=error, **options):
            if "data/0" in getattr(name, "filename", name):
                raise error
            return real(self, name, *args, **options)

        monkeypatch.setattr(zipfile.ZipFile, "open", interrupted)
        with pytest.raises(type(error)):
            norch.save(norch.zeros(1000), path)
        monkeypatch.undo()
        assert norch.load(path).tolist() == [1, 1] and os.listdir(tmp_path) == ["model.pt"]
