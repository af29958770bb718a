"""norch.save and norch.load: round trips, sharing, hostile and damaged files, interrupted saves."""

import io
import os
import pickle
import random
import struct
import zipfile
from collections import Counter, OrderedDict

import numpy as np
import pytest

import norch
from norch import nn, optim, serialization
from norch._unpickler import SafeUnpickler

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


# -- hostile and damaged files


def archive(pickled, storages=()):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as z:
        z.writestr("a/data.pkl", pickled)
        for i, data in enumerate(storages):
            z.writestr(f"a/data/{i}", data)
    file.seek(0)
    return file


def storage(key="0", kind="FloatStorage", numel=4, location="cpu"):
    """Pickle code that pushes a storage."""
    return (
        b"(X\7\0\0\0storagectorch\n" + kind.encode() + b"\nX" + struct.pack("<I", len(key)) + key.encode() + b"X"
        + struct.pack("<I", len(location)) + location.encode() + b"\x8a\x08" + struct.pack("<q", numel) + b"tQ"
    )


def integer(n):
    return b"\x8a\x09" + n.to_bytes(9, "little", signed=True)


def tensor_of(offset=0, size=(4,), stride=(1,), base=None):
    """A pickle of one tensor."""
    numbers = [b"(" + b"".join(map(integer, v)) + b"t" for v in (size, stride)]
    return (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + (base or storage()) + integer(offset) + numbers[0] + numbers[1]
        + b"\x89ccollections\nOrderedDict\n)RtR."
    )


FOUR = np.arange(4, dtype="<f4").tobytes()


def test_the_hand_made_pickle_is_right():
    assert norch.load(archive(tensor_of(1, (2,), (2,)), [FOUR])).tolist() == [1, 3]


class Evil:
    def __reduce__(self):
        return os.system, ("exit 1",)


@pytest.mark.parametrize("protocol", [2, 4])
def test_no_code_runs(protocol):
    with pytest.raises(pickle.UnpicklingError, match=r"refers to posix.system|refers to nt.system"):
        norch.load(archive(pickle.dumps({"a": Evil()}, protocol)))


# A pair of a pair of ... of the same: 2^60 parts when written out.
TWICE = b")" + b"".join(b"q%ch%c\x86" % (i, i) for i in range(60))
ARRAY = b"cnumpy._core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85C\1b\x87R"


@pytest.mark.parametrize(
    "code, text",
    [
        (b"cbuiltins\neval\n.", "builtins.eval"),
        (b"cos\nsystem\n.", "os.system"),
        (b"cnorch\nload\n.", "norch.load"),
        (b"c__builtin__\ngetattr\n.", "builtins.getattr"),
        (b"(X\1\0\0\0aios\nsystem\n.", "opcode"),
        (b"(cos\nsystem\no.", "os.system"),
        (b"\x82\x01.", "opcode"),
        (b"K\x01K\x02\x85R.", "calls 1"),
        (b"ctorch\nfloat32\n)R.", "calls"),
        (b"ctorch\nFloatStorage\n)R.", "calls"),
        (b"ccollections\nOrderedDict\n)R}X\4\0\0\0evilK\1sb0.", "opcode"),
        (b"}}b.", "sets the state of a dict"),
        (b"ccollections\nOrderedDict\n(K\1tR.", "OrderedDict"),
        (b"cbuiltins\nbytearray\n(J\xff\xff\xff\x7ftR.", "bytearray"),
        (b"cbuiltins\nset\n(](]ettR.", "damaged|set"),
        (b"ctorch\nSize\n((J\xff\xff\xff\xffttR.", "Size"),
        (b"}]K\1s.", "key of type list"),
        (b"}" + b")" + b"\x85" * 100_000 + b"K\1s.", "key of type tuple"),
        (b"K\1K\2a.", "append"),
        (b"X\xff\xff\xff\xffabc.", "damaged"),
        (b"", "damaged"),
        (b".", "damaged"),
        (b"(.", "damaged"),
        (b"(q\0h\0.", "damaged"),
        (b"h\x05.", "damaged"),
        (b"X\2\0\0\0\xff\xfe.", "damaged"),
        (b"K\1Q.", "a storage"),
        (b"(" + b"))))))))" + b"t" + b"(q\0" + b"h\0" * 9 + b"tR.", "damaged|calls"),
        (b"}" + TWICE + b"K\1s.", "key of type tuple"),
        (TWICE + b")R.", "calls a tuple"),
        (b"]q\0(" + b"](" + b"K\1" * 9000 + b"eq\1" + b"cbuiltins\nset\nh\1\x85R" * 9000 + b"t.", "over and over"),
        (b"cnumpy\ndtype\nX\2\0\0\0O8\x85R.", "NumPy dtype"),
        (b"cnumpy\ndtype\nX\2\0\0\0f8\x85R(K\3X\1\0\0\0<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\1tb.", "NumPy dtype"),
        (b"cnumpy._core.multiarray\nscalar\ncnumpy\ndtype\nX\2\0\0\0f8\x85RC\3abc\x86R.", "NumPy number"),
        (ARRAY + b"(K\1(K\x7fK\x7ftcnumpy\ndtype\nX\2\0\0\0f8\x85R\x89C\3abctb.", "NumPy array"),
        (ARRAY + b"N\x85R.", "damaged|calls"),
        (b"(" + ARRAY + b"NNNNtQ.", "damaged near byte"),
        (b"(K\1K\2K\3K\4K\5tQ.", "a storage"),
    ],
)
def test_hostile_pickles(code, text):
    with pytest.raises(pickle.UnpicklingError, match=text):
        norch.load(archive(b"\x80\x02" + code))


@pytest.mark.parametrize(
    "pickled, error, text",
    [
        (tensor_of(size=(5,)), pickle.UnpicklingError, "outside of its storage of 4 elements"),
        (tensor_of(offset=1), pickle.UnpicklingError, "outside"),
        (tensor_of(offset=-1), pickle.UnpicklingError, "make no sense"),
        (tensor_of(size=(2,), stride=(-1,)), pickle.UnpicklingError, "make no sense"),
        (tensor_of(size=(2, 2), stride=(1,)), pickle.UnpicklingError, "make no sense"),
        (tensor_of(size=(2**62, 2**62), stride=(1, 1)), pickle.UnpicklingError, "outside"),
        (tensor_of(size=(2**63,), stride=(0,)), pickle.UnpicklingError, "make no sense"),
        (tensor_of(offset=5, size=(0,)), pickle.UnpicklingError, "outside"),
        (tensor_of(size=(1,) * 100, stride=(1,) * 100), pickle.UnpicklingError, "make no sense"),
        (tensor_of(base=b"K\1"), pickle.UnpicklingError, "make no sense"),
        (tensor_of(base=storage(numel=3)), RuntimeError, "16 bytes, but 3 elements of 4 bytes"),
        (tensor_of(base=storage(numel=2**62)), RuntimeError, "16 bytes"),
        (tensor_of(base=storage(numel=-4)), pickle.UnpicklingError, "a storage"),
        (tensor_of(base=storage(key="9")), RuntimeError, "record 'data/9' is missing"),
        (tensor_of(base=storage(key="../data.pkl")), RuntimeError, "missing"),
        (tensor_of(base=storage(kind="QInt8Storage")), pickle.UnpicklingError, "torch.QInt8Storage"),
        (tensor_of(base=storage(location="moon")), RuntimeError, "unknown device 'moon'"),
    ],
)
def test_hostile_tensors(pickled, error, text):
    with pytest.raises(error, match=text):
        norch.load(archive(pickled, [FOUR]))


def test_booleans_are_normalised():
    base = storage(kind="BoolStorage")
    t = norch.load(archive(tensor_of(base=base), [bytes([0, 1, 2, 255])]))
    assert t.tolist() == [False, True, True, True] and t.int().tolist() == [0, 1, 1, 1]


def test_one_storage_with_two_dtypes():
    pickled = tensor_of()[:-1] + tensor_of(base=storage(kind="IntStorage"))[2:-1] + b"\x86."
    with pytest.raises(pickle.UnpicklingError, match="has two dtypes"):
        norch.load(archive(pickled, [FOUR]))


@pytest.mark.skipif(norch.cuda.is_available(), reason="there is a GPU")
def test_cuda_tensors_without_a_gpu():
    pickled = tensor_of(base=storage(location="cuda:0"))
    with pytest.raises(RuntimeError, match="map_location"):
        norch.load(archive(pickled, [FOUR]))
    assert norch.load(archive(pickled, [FOUR]), map_location="cpu").tolist() == [0, 1, 2, 3]


def test_files_that_are_no_checkpoints(tmp_path):
    with pytest.raises(EOFError, match="Ran out of input"):
        norch.load(io.BytesIO(b""))
    for data in (b"\x80", pickle.dumps([1, 2]), b"text"):
        with pytest.raises(RuntimeError, match="no checkpoint"):
            norch.load(io.BytesIO(data))
    with pytest.raises(RuntimeError, match="no checkpoint in the zip format"):
        norch.load(io.BytesIO(b"PK\x03\x04" + bytes(100)))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as z:
        z.writestr("x/other", b"1")
    file.seek(0)
    with pytest.raises(RuntimeError, match="holds no data.pkl"):
        norch.load(file)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("x/data.pkl", b"\x80\x02" + b"N0" * 100_000 + b"N.")
    file.seek(0)
    with pytest.raises(RuntimeError, match="compressed|overlap"):
        norch.load(file)


@pytest.fixture(scope="module")
def checkpoint():
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    others = {"sparse": norch.eye(2).to_sparse(), "array": np.ones(2), "texts": np.array(["a"])}
    others["u16"] = norch.ones(1, dtype=norch.uint16)
    file = io.BytesIO()
    norch.save({"net": net.state_dict(), "list": [1, "a", (2.5, None)], **others}, file)
    return file.getvalue()


def test_every_truncation_is_an_error(checkpoint):
    for n in range(1, len(checkpoint), 7):
        with pytest.raises((RuntimeError, pickle.UnpicklingError)):
            norch.load(io.BytesIO(checkpoint[:n]))


def test_changed_bytes_never_do_harm(checkpoint):
    rng = random.Random(0)
    damaged = 0
    for _ in range(1500):
        data = bytearray(checkpoint)
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            norch.load(io.BytesIO(bytes(data)))
        except (RuntimeError, pickle.UnpicklingError):
            damaged += 1
    assert damaged > 500


def test_changed_pickles_never_do_harm(checkpoint):
    with zipfile.ZipFile(io.BytesIO(checkpoint)) as z:
        pickled = z.read("archive/data.pkl")
    rng = random.Random(1)
    for _ in range(3000):
        data = bytearray(pickled)
        for _ in range(rng.randint(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            SafeUnpickler(bytes(data), lambda kind, key, where, n: norch.zeros(min(n, 100), dtype=kind.dtype)).load()
        except (RuntimeError, pickle.UnpicklingError):
            pass
