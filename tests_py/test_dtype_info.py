"""norch.finfo and norch.iinfo, against NumPy's."""

import numpy as np
import pytest

import norch


@pytest.mark.parametrize("name", ["float16", "float32", "float64"])
def test_finfo(name):
    ours, theirs = norch.finfo(getattr(norch, name)), np.finfo(name)
    assert ours.dtype == name
    for field in ("bits", "eps", "max", "min", "tiny", "smallest_normal"):
        assert getattr(ours, field) == getattr(theirs, field), field


def test_finfo_of_bfloat16_is_what_tensors_hold():
    info = norch.finfo(norch.bfloat16)
    one = norch.ones((), dtype=norch.bfloat16)
    assert (one + info.eps != one).item() and (one + info.eps / 4 == one).item()
    assert norch.tensor(info.max, dtype=norch.bfloat16).item() == info.max
    assert norch.tensor(info.max * 1.01, dtype=norch.bfloat16).isinf().item()
    assert norch.tensor(info.tiny, dtype=norch.bfloat16).item() == info.tiny


def test_finfo_defaults_to_the_default_dtype():
    assert norch.finfo() == norch.finfo(norch.float32)
    assert repr(norch.finfo()).startswith("finfo(resolution=1e-06, min=-3.40282e+38, max=3.40282e+38, eps=1.19209e-07")


@pytest.mark.parametrize("name", ["uint8", "int8", "int16", "int32", "int64"])
def test_iinfo(name):
    ours, theirs = norch.iinfo(getattr(norch, name)), np.iinfo(name)
    assert (ours.bits, ours.min, ours.max, ours.dtype) == (theirs.bits, theirs.min, theirs.max, name)


@pytest.mark.parametrize(
    "info, argument", [(norch.finfo, norch.int8), (norch.finfo, norch.bool), (norch.finfo, 3), (norch.iinfo, norch.float32),
                       (norch.iinfo, norch.bool), (norch.iinfo, "int8")]  # fmt: skip
)
def test_wrong_dtypes(info, argument):
    with pytest.raises(TypeError, match="requires"):
        info(argument)


def test_constants():
    assert (norch.pi, norch.e, norch.inf) == (np.pi, np.e, np.inf)
    assert norch.nan != norch.nan and norch.newaxis is None
