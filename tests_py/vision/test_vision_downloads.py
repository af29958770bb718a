"""Archives and downloads of data sets; damaged and hostile archives get errors."""

import gzip
import io
import os
import tarfile
import urllib.error
import zipfile

import pytest

pytest.importorskip("PIL.Image")
from norch.vision import datasets  # noqa: E402
from norch.vision.datasets import utils  # noqa: E402

from test_vision_datasets import md5, write_mnist  # noqa: E402


def archive(path, members):
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as file:
            for name, data in members.items():
                file.writestr(name, data)
    else:
        with tarfile.open(path, "w:gz") as file:
            for name, data in members.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                if isinstance(data, str):
                    member.type, member.linkname, member.size = tarfile.SYMTYPE, data, 0
                file.addfile(member, io.BytesIO(data if isinstance(data, bytes) else b""))
    return path


@pytest.mark.parametrize("name", ["x.zip", "x.tar.gz", "x.tgz"])
def test_archives(tmp_path, name):
    path = archive(tmp_path / name, {"f/a": b"1", "b": b"22"})
    target = tmp_path / "out"
    assert utils.extract_archive(path, target) == target
    assert (target / "f" / "a").read_bytes() == b"1" and (target / "b").read_bytes() == b"22"


@pytest.mark.parametrize("name", ["x.zip", "x.tar.gz"])
@pytest.mark.parametrize("member", ["../out2/evil", "a/../../evil", "/tmp/norch-evil"])
def test_archives_stay_in_their_folder(tmp_path, name, member):
    path = archive(tmp_path / name, {member: b"1"})
    with pytest.raises(RuntimeError, match="lies outside of the target folder"):
        utils.extract_archive(path, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_archives_with_links_out_of_their_folder(tmp_path):
    path = archive(tmp_path / "x.tar.gz", {"link": "../..", "link/evil": b"1"})
    with pytest.raises(RuntimeError, match="lies outside"):
        utils.extract_archive(path, tmp_path / "out")


@pytest.mark.parametrize("name", ["x.zip", "x.tar.gz", "x.gz", "x.xz"])
def test_damaged_archives(tmp_path, name):
    path = tmp_path / name
    if name == "x.xz":
        path.write_bytes(b"no archive")
    else:
        good = gzip.compress(bytes(1000)) if name == "x.gz" else archive(path, {"a": os.urandom(999)}).read_bytes()
        path.write_bytes(good[: len(good) // 2])
    with pytest.raises(RuntimeError, match="damaged or incomplete"):
        utils.extract_archive(path, tmp_path / "out")


def test_files_of_unknown_kinds(tmp_path):
    with pytest.raises(RuntimeError, match="has no suffixes"):
        utils.extract_archive(str(tmp_path / "x"))
    with pytest.raises(RuntimeError, match="Unknown compression or archive type: '.rar'"):
        utils.extract_archive(tmp_path / "x.rar")


def test_downloads(tmp_path, capsys):
    source = tmp_path / "there" / "train-images-idx3-ubyte.gz"
    source.parent.mkdir()
    source.write_bytes(gzip.compress(b"hello" * 100))
    good = md5(source)
    utils.download_and_extract_archive(source.as_uri(), tmp_path / "here", md5=good)
    assert (tmp_path / "here" / "train-images-idx3-ubyte").read_bytes() == b"hello" * 100
    assert "MB" in capsys.readouterr().err
    with pytest.raises(RuntimeError, match="File not found or corrupted"):
        utils.download_url(source.as_uri(), tmp_path / "bad", md5="0" * 32)
    assert not list((tmp_path / "bad").iterdir())
    with pytest.raises(urllib.error.URLError, match="no network, get the file elsewhere and put it at"):
        utils.download_url((tmp_path / "missing").as_uri(), tmp_path / "bad")


def test_mnist_downloads_from_the_first_mirror_that_works(tmp_path):
    raw = write_mnist(tmp_path / "there", compressed=True)

    class Mnist(datasets.MNIST):
        mirrors = [(tmp_path / "nowhere").as_uri() + "/", raw.as_uri() + "/"]
        resources = [(path.name, md5(path)) for path in sorted(raw.iterdir())]

    assert len(Mnist(tmp_path / "here", download=True)) == 5
    Mnist.mirrors = Mnist.mirrors[:1]
    with pytest.raises(RuntimeError, match="Error downloading t10k-images-idx3-ubyte.gz:\nTried file:"):
        Mnist(tmp_path / "elsewhere", download=True)
