"""What all tests share: the devices to run on, and a seed of its own for every test."""

import random
import zlib

import numpy as np
import pytest

import norch


def pytest_configure(config):
    config.addinivalue_line("markers", "cuda: runs on a GPU; skipped where there is none")


def pytest_collection_modifyitems(items):
    if norch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("cuda"):
            item.add_marker(pytest.mark.skip(reason="no GPU"))


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def device(request):
    """Runs the test on the CPU and, where there is one, on the GPU."""
    return request.param


@pytest.fixture(autouse=True)
def seeded(request):
    """Random numbers depend on the test's name alone."""
    seed = zlib.crc32(request.node.nodeid.encode())
    random.seed(seed)
    np.random.seed(seed)
    norch.manual_seed(seed)


@pytest.fixture
def damaged_copies():
    """damaged_copies(data, times): so many copies of some bytes, with one to four of them changed."""

    def copies(data, times):
        rng = random.Random(0)
        for _ in range(times):
            copy = bytearray(data)
            for _ in range(rng.randint(1, 4)):
                copy[rng.randrange(len(copy))] = rng.randrange(256)
            yield bytes(copy)

    return copies
