"""Data sets read the files in which they are published; damaged and hostile files get errors."""

import gzip
import hashlib
import os
import pickle
import struct

import numpy as np
import pytest

import norch

PIL = pytest.importorskip("PIL.Image")
from norch.vision import datasets, transforms  # noqa: E402
from norch.vision.datasets import folder, mnist  # noqa: E402


def idx(array):
    code = {"u1": 8, "i4": 12}[array.dtype.str[1:]]
    header = struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


def write_mnist(root, name="MNIST", compressed=False):
    raw = root / name / "raw"
    raw.mkdir(parents=True)
    for part, count in (("train", 5), ("t10k", 3)):
        images = np.random.randint(0, 256, (count, 28, 28)).astype(np.uint8)
        labels = np.arange(count, dtype=np.uint8)
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            data = idx(array)
            path = raw / f"{part}-{kind}-ubyte{'.gz' if compressed else ''}"
            path.write_bytes(gzip.compress(data) if compressed else data)
    return raw


@pytest.mark.parametrize("compressed", [False, True])
def test_mnist(tmp_path, compressed):
    raw = write_mnist(tmp_path, compressed=compressed)
    train = datasets.MNIST(tmp_path, transform=transforms.ToTensor())
    test = datasets.MNIST(str(tmp_path), train=False, target_transform=lambda t: -t)
    assert len(train) == 5 and len(test) == 3
    assert train.data.dtype == norch.uint8 and train.data.shape == (5, 28, 28) and train.targets.dtype == norch.int64
    image, target = train[2]
    assert image.shape == (1, 28, 28) and target == 2
    assert norch.equal(image[0], train.data[2].float() / 255)
    image, target = test[1]
    assert image.mode == "L" and image.size == (28, 28) and target == -1
    np.testing.assert_array_equal(np.asarray(image), test.data[1].numpy())
    assert train.class_to_idx["3 - three"] == 3 and train.raw_folder == str(raw)
    with pytest.raises(IndexError):
        train[5]
    assert repr(train) == (
        "Dataset MNIST\n    Number of datapoints: 5\n"
        f"    Root location: {tmp_path}\n    Split: Train\n    StandardTransform\nTransform: ToTensor()"
    )


def test_mnist_with_a_loader_whose_workers_are_processes(tmp_path):
    write_mnist(tmp_path)
    data = datasets.MNIST(tmp_path, transform=transforms.Compose([transforms.RandomCrop(28, 2), transforms.ToTensor()]))
    batches = list(norch.utils.data.DataLoader(data, batch_size=4, num_workers=2))
    assert [tuple(images.shape) for images, _ in batches] == [(4, 1, 28, 28), (1, 1, 28, 28)]
    assert batches[0][1].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("damage", ["cut", "longer", "magic", "type", "header", "images"])
def test_damaged_idx_files(tmp_path, damage):
    raw = write_mnist(tmp_path)
    path = raw / "train-images-idx3-ubyte"
    data = path.read_bytes()
    path.write_bytes(
        {
            "cut": data[:-1],
            "longer": data + b"\0",
            "magic": b"\1" + data[1:],
            "type": data[:2] + b"\x07" + data[3:],
            "header": data[:9],
            "images": idx(np.zeros((4, 28, 28), np.uint8)),
        }[damage]
    )
    with pytest.raises(ValueError, match="should have|not an idx file|incomplete|images, but 5 labels"):
        datasets.MNIST(tmp_path)


def test_other_data_sets_in_the_same_format(tmp_path):
    for cls in (datasets.FashionMNIST, datasets.KMNIST):
        write_mnist(tmp_path, cls.__name__)
        assert len(cls(tmp_path, train=False)) == 3
    raw = tmp_path / "EMNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / "emnist-letters-train-images-idx3-ubyte").write_bytes(idx(np.zeros((2, 28, 28), np.uint8)))
    (raw / "emnist-letters-train-labels-idx1-ubyte").write_bytes(idx(np.array([1, 26], np.uint8)))
    letters = datasets.EMNIST(tmp_path, "letters")
    assert letters.classes[letters[1][1]] == "z" and len(letters.classes) == 27
    assert len(datasets.EMNIST.classes_split_dict["balanced"]) == 47
    with pytest.raises(ValueError, match="Unknown value 'words' for argument split"):
        datasets.EMNIST(tmp_path, "words")
    raw = tmp_path / "QMNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / "qmnist-train-images-idx3-ubyte").write_bytes(idx(np.zeros((2, 28, 28), np.uint8)))
    (raw / "qmnist-train-labels-idx2-int").write_bytes(idx(np.array([[7, 1], [300, 2]], np.int32)))
    assert datasets.QMNIST(tmp_path)[1][1] == 300
    assert datasets.QMNIST(tmp_path, compat=False)[0][1].tolist() == [7, 1]


def test_missing_files_are_named(tmp_path):
    with pytest.raises(RuntimeError, match="Dataset not found. You can use download=True to download it .*MNIST/raw"):
        datasets.MNIST(tmp_path)
    with pytest.raises(RuntimeError, match="Dataset not found or corrupted"):
        datasets.CIFAR10(tmp_path)


def test_idx_numbers_of_several_bytes(tmp_path):
    array = np.array([[1, -2, 70000]], np.int32)
    path = tmp_path / "x"
    path.write_bytes(idx(array))
    assert mnist.read_sn3_pascalvincent_tensor(str(path)).tolist() == array.tolist()


class Cifar(datasets.CIFAR10):
    """CIFAR10 with files made by a test."""

    def __init__(self, root, files, meta, **kwargs):
        self.train_list = self.test_list = [[f.name, md5(f)] for f in files]
        self.meta = {**self.meta, "md5": md5(meta)}
        super().__init__(root, **kwargs)


def write_cifar(root, protocol=2, entry=None):
    root = root / "cifar-10-batches-py"
    root.mkdir()
    files = []
    for i in range(2):
        data = np.random.randint(0, 256, (3, 3072)).astype(np.uint8)
        path = root / f"data_batch_{i + 1}"
        path.write_bytes(pickle.dumps(entry or {"data": data, "labels": [i, 1, 2]}, protocol=protocol))
        files.append(path)
    meta = root / "batches.meta"
    meta.write_bytes(pickle.dumps({"label_names": [f"class {i}" for i in range(10)]}, protocol=protocol))
    return files, meta


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_cifar(tmp_path, protocol):
    files, meta = write_cifar(tmp_path, protocol)
    data = Cifar(tmp_path, files, meta, transform=transforms.ToTensor())
    assert data.data.shape == (6, 32, 32, 3) and data.targets == [0, 1, 2, 1, 1, 2]
    assert data.class_to_idx["class 9"] == 9
    expected = pickle.loads(files[1].read_bytes())["data"][0].reshape(3, 32, 32)
    image, target = data[3]
    assert target == 1 and norch.equal(image, norch.from_numpy(expected).float() / 255)


# A batch as Python 2's NumPy pickled it: {'data': array of bytes [1, 3072], 'labels': [7]}.
PYTHON2_BATCH = (
    b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85U\x01b\x87"
    b"Rq\x05(K\x01K\x01M\x00\x0c\x86cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01\x87Rq\x07(K\x03U\x01|NNNJ\xff\xff\xff\xff"
    b"J\xff\xff\xff\xffK\x00tb\x89T\x00\x0c\x00\x00" + bytes(range(256)) * 12 + b"tbU\x06labelsq\x08]q\x09K\x07au."
)


def test_a_batch_of_python_2(tmp_path):
    files, meta = write_cifar(tmp_path)
    files[0].write_bytes(PYTHON2_BATCH)
    data = Cifar(tmp_path, files[:1], meta)
    assert data.targets == [7]
    np.testing.assert_array_equal(data.data[0].transpose(2, 0, 1).reshape(-1), np.tile(np.arange(256), 12))


class Evil:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_a_hostile_batch_runs_nothing(tmp_path):
    files, meta = write_cifar(tmp_path, entry={"data": Evil(tmp_path / "ran"), "labels": [0]})
    with pytest.raises(RuntimeError, match=r"asks for (posix|nt)\.mkdir"):
        Cifar(tmp_path, files, meta)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("data", [b"", b"\x80\x02", b"not a pickle", PYTHON2_BATCH[:2000], pickle.dumps([1, 2])])
def test_damaged_batches(tmp_path, data):
    files, meta = write_cifar(tmp_path)
    files[0].write_bytes(data)
    with pytest.raises(RuntimeError, match="damaged|holds no images"):
        Cifar(tmp_path, files, meta)


def test_a_batch_with_a_wrong_checksum(tmp_path):
    files, meta = write_cifar(tmp_path)

    class Changed(Cifar):
        def _check_integrity(self):
            files[0].write_bytes(files[0].read_bytes() + b"x")
            return super()._check_integrity()

    with pytest.raises(RuntimeError, match="not found or corrupted"):
        Changed(tmp_path, files, meta)


def write_images(root):
    for name in ("b/2.png", "b/sub/1.jpg", "a/x.PNG", "a/notes.txt"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("txt"):
            path.write_text("no image")
        else:
            PIL.fromarray(np.full((4, 6), len(name), np.uint8)).save(path)


def test_image_folder(tmp_path):
    write_images(tmp_path)
    data = datasets.ImageFolder(tmp_path, transform=transforms.ToTensor(), target_transform=lambda t: t * 10)
    assert data.classes == ["a", "b"] and data.class_to_idx == {"a": 0, "b": 1} and data.targets == [0, 1, 1]
    assert [os.path.relpath(path, tmp_path) for path, _ in data.imgs] == ["a/x.PNG", "b/2.png", "b/sub/1.jpg"]
    image, target = data[1]
    assert image.shape == (3, 4, 6) and target == 10 and float(image.max()) == pytest.approx(7 / 255)
    loaded = datasets.DatasetFolder(str(tmp_path), loader=os.path.basename, extensions=(".txt",), allow_empty=True)
    assert list(loaded) == [("notes.txt", 0)]
    assert folder.is_image_file("X.JPEG") and not folder.is_image_file("x.txt")
    valid = datasets.ImageFolder(tmp_path, is_valid_file=lambda path: path.endswith("g"), allow_empty=True)
    assert len(valid) == 2


def test_image_folder_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="Couldn't find any class folder"):
        datasets.ImageFolder(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="Found no valid file for the classes empty. Supported extensions"):
        datasets.ImageFolder(tmp_path)
    with pytest.raises(ValueError, match="cannot be None or not None at the same time"):
        folder.make_dataset(tmp_path)
    (tmp_path / "empty" / "x.png").write_bytes(b"\x89PNG damaged")
    with pytest.raises(OSError):
        datasets.ImageFolder(tmp_path)[0]


def test_fake_data_is_the_same_each_time():
    data = datasets.FakeData(size=3, image_size=(3, 8, 10), num_classes=5)
    norch.manual_seed(3)
    before = norch.rand(1)
    norch.manual_seed(3)
    (first, target), (second, _) = data[1], data[1]
    assert norch.equal(norch.rand(1), before)
    assert first.size == (10, 8) and 0 <= target < 5
    np.testing.assert_array_equal(np.asarray(first), np.asarray(second))
    with pytest.raises(IndexError):
        data[3]


def test_transforms_of_image_and_target_together():
    class Pair(datasets.VisionDataset):
        def __getitem__(self, index):
            return self.transforms(index, -index)

        def __len__(self):
            return 2

    assert Pair(transforms=lambda image, target: (image + 1, target))[1] == (2, -1)
    with pytest.raises(ValueError, match="Only transforms or transform/target_transform"):
        Pair(transforms=len, transform=len)


def test_svhn(tmp_path):
    scipy_io = pytest.importorskip("scipy.io")
    images = np.random.randint(0, 256, (32, 32, 3, 2)).astype(np.uint8)
    path = tmp_path / "test_32x32.mat"
    scipy_io.savemat(path, {"X": images, "y": np.array([[10], [3]], np.uint8)})

    class Svhn(datasets.SVHN):
        split_list = {"test": ["", path.name, md5(path)]}

    data = Svhn(tmp_path, "test")
    assert data.labels.tolist() == [0, 3] and data.data.shape == (2, 3, 32, 32)
    np.testing.assert_array_equal(np.asarray(data[1][0]), images[..., 1])


def test_stl10(tmp_path):
    root = tmp_path / "stl10_binary"
    root.mkdir()
    images = np.random.randint(0, 256, (4, 3, 96, 96)).astype(np.uint8)
    for name in ("train_X.bin", "unlabeled_X.bin", "test_X.bin"):
        (root / name).write_bytes(images.tobytes())
    for name in ("train_y.bin", "test_y.bin"):
        (root / name).write_bytes(bytes([1, 2, 10, 4]))
    (root / "fold_indices.txt").write_text("1 3\n" * 10)

    class Stl10(datasets.STL10):
        train_list = [[name, None] for name in ("train_X.bin", "train_y.bin", "unlabeled_X.bin")]
        test_list = [[name, None] for name in ("test_X.bin", "test_y.bin")]

    assert Stl10(tmp_path).labels.tolist() == [0, 1, 9, 3]
    assert Stl10(tmp_path, folds=2).labels.tolist() == [1, 3]
    assert Stl10(tmp_path, "train+unlabeled").labels.tolist() == [0, 1, 9, 3, -1, -1, -1, -1]
    np.testing.assert_array_equal(np.asarray(Stl10(tmp_path, "test")[2][0]), images[2].transpose(2, 1, 0))


def test_celeba(tmp_path):
    root = tmp_path / "celeba"
    (root / "img_align_celeba").mkdir(parents=True)
    for i in range(3):
        PIL.new("RGB", (5, 7), (i, 0, 0)).save(root / "img_align_celeba" / f"{i}.png")
    rows = [f"{i}.png" for i in range(3)]
    (root / "list_eval_partition.txt").write_text("".join(f"{r} {i % 2}\n" for i, r in enumerate(rows)))
    (root / "identity_CelebA.txt").write_text("".join(f"{r} {i + 40}\n" for i, r in enumerate(rows)))
    for name in ("bbox", "landmarks_align", "attr"):
        text = "3\none two\n" + "".join(f"{r}  {i}  -1\n" for i, r in enumerate(rows))
        (root / f"list_{name}_celeba.txt").write_text(text)

    class Faces(datasets.CelebA):
        file_list = [(None, None, name) for _, _, name in datasets.CelebA.file_list]

    data = Faces(tmp_path, target_type=["identity", "bbox"])
    image, (identity, box) = data[1]
    assert len(data) == 2 and image.getpixel((0, 0)) == (2, 0, 0) and int(identity) == 42 and box.tolist() == [2, -1]
    assert data.attr_names == ["one", "two"]
    assert Faces(tmp_path, split="all", target_type=[])[0][1] is None


def test_lsun_says_what_it_needs(tmp_path):
    with pytest.raises(ValueError, match="Unknown value 'cellar' for LSUN class"):
        datasets.LSUN(tmp_path, ["cellar_train"])
    try:
        import lmdb  # noqa: F401
    except ImportError:
        with pytest.raises(ImportError, match="pip install lmdb"):
            datasets.LSUN(tmp_path, "test")
