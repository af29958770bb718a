"""norch.load of hostile and damaged files."""

import io
import os
import pickle
import random
import struct
import zipfile

import numpy as np
import pytest

import norch
from norch import nn
from norch._unpickler import SafeUnpickler


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


def test_changed_bytes_never_do_harm(checkpoint, damaged_copies):
    damaged = 0
    for data in damaged_copies(checkpoint, 1500):
        try:
            norch.load(io.BytesIO(data))
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
