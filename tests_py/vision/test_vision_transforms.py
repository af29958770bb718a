"""Transforms: PIL images and tensors alike give the same, draw what torchvision draws, and print as in torchvision."""

import numpy as np
import pytest

import norch

Image = pytest.importorskip("PIL.Image")
from norch.vision import transforms as T  # noqa: E402
from norch.vision.transforms import functional as TF  # noqa: E402
from norch.vision.transforms import v2  # noqa: E402


@pytest.fixture
def pil():
    small = np.random.randint(0, 256, (8, 10, 3)).astype(np.uint8)
    return Image.fromarray(small).resize((32, 24), Image.Resampling.BICUBIC)


def apart(pil_result, tensor_result):
    """The greatest difference of a PIL image's and a tensor's bytes."""
    a, b = TF.pil_to_tensor(pil_result).int(), tensor_result.int()
    assert a.shape == b.shape
    return int((a - b).abs().max())


BOTH = [
    (T.Resize((12, 16)), 2),
    (T.Resize(12), 2),
    (T.Resize(40, interpolation=T.InterpolationMode.BICUBIC), 3),
    (T.Resize((12, 64), interpolation=T.InterpolationMode.NEAREST_EXACT), 0),
    (T.CenterCrop((10, 40)), 0),
    (T.RandomCrop(20, padding=3), 0),
    (T.RandomCrop(40, pad_if_needed=True, padding_mode="symmetric"), 0),
    (T.Pad((1, 2, 3, 4), fill=9), 0),
    (T.Pad((-1, 2), padding_mode="edge"), 0),
    (T.Pad(3, padding_mode="reflect"), 0),
    (T.RandomHorizontalFlip(1.0), 0),
    (T.RandomVerticalFlip(1.0), 0),
    (T.RandomResizedCrop(16), 2),
    (T.Grayscale(), 1),
    (T.RandomGrayscale(1.0), 1),
    (T.ColorJitter(0.3, 0.3, 0.3), 4),
    (T.RandomInvert(1.0), 0),
    (T.RandomPosterize(3, p=1.0), 0),
    (T.RandomSolarize(100, p=1.0), 0),
    (T.RandomAutocontrast(1.0), 1),
    (T.RandomEqualize(1.0), 0),
    (T.RandomAdjustSharpness(2, p=1.0), 2),
    (T.GaussianBlur(5), 1),
    (T.RandomRotation((90, 90), expand=True), 0),
    (T.RandomPerspective(p=0.0), 0),
    (T.ElasticTransform(), 1),
]


@pytest.mark.parametrize("transform,tolerance", BOTH, ids=[repr(t) for t, _ in BOTH])
def test_of_a_pil_image_and_of_a_tensor(pil, transform, tolerance):
    tensor = TF.pil_to_tensor(pil)
    results = []
    of_bytes = isinstance(transform, (T.RandomPosterize, T.RandomSolarize, T.RandomEqualize))
    for image in (pil, tensor, norch.stack([tensor, tensor]), tensor if of_bytes else tensor.float() / 255):
        norch.manual_seed(4)
        results.append(transform(image))
    assert isinstance(results[0], Image.Image) and results[1].dtype == norch.uint8
    assert apart(results[0], results[1]) <= tolerance
    assert norch.equal(results[2][0], results[1]) and norch.equal(results[2][1], results[1])
    assert results[3].dtype == (norch.uint8 if of_bytes else norch.float32)


def test_hue_of_a_pil_image_and_of_a_tensor(pil):
    for factor in (-0.5, -0.2, 0.0, 0.3):
        a, b = TF.pil_to_tensor(TF.adjust_hue(pil, factor)), TF.adjust_hue(TF.pil_to_tensor(pil), factor)
        assert (a.float() - b.float()).abs().mean() < 4  # Pillow rounds hue, saturation and value to bytes
    with pytest.raises(ValueError, match=r"hue_factor \(0.7\) is not in"):
        TF.adjust_hue(pil, 0.7)


def test_affine_and_perspective_of_tensors():
    image = norch.arange(12.0).view(1, 3, 4)
    moved = TF.affine(image, 0, [1, 0], 1.0, 0)
    assert norch.equal(moved[..., 1:], image[..., :-1]) and moved[..., 0].abs().max() == 0
    square = norch.arange(16.0).view(1, 4, 4)
    assert norch.equal(TF.rotate(square, 90), norch.rot90(square, 1, (1, 2)))
    assert TF.rotate(norch.zeros(2, 24, 32), 45, expand=True).shape == (2, 40, 40)
    same = [[0, 0], [3, 0], [3, 2], [0, 2]]
    assert norch.allclose(TF.perspective(image, same, same), image, atol=1e-4)
    filled = TF.affine(image, 0, [4, 0], 1.0, 0, fill=[7.0])
    assert norch.equal(filled, norch.full((1, 3, 4), 7.0))


MODES = {"1": 1, "L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4, "YCbCr": 3, "HSV": 3, "I": 1, "F": 1}


@pytest.mark.parametrize("mode", MODES)
def test_to_tensor(pil, mode):
    image = pil.convert(mode)
    tensor = T.ToTensor()(image)
    array = np.asarray(image)
    array = array[None] if array.ndim == 2 else array.transpose(2, 0, 1)
    assert tensor.shape == (MODES[mode], 24, 32) and tensor.is_contiguous()
    if mode in ("I", "F"):
        np.testing.assert_array_equal(tensor.numpy(), array)
    else:
        np.testing.assert_allclose(tensor.numpy(), array.astype(np.float32) / (1 if mode == "1" else 255), rtol=1e-6)


def test_to_tensor_of_arrays():
    array = np.random.rand(4, 5, 3).astype(np.float32)
    assert norch.equal(TF.to_tensor(array), norch.from_numpy(array.transpose(2, 0, 1).copy()))
    assert TF.to_tensor((array * 255).astype(np.uint8)).max() <= 1
    assert TF.to_tensor(array[..., 0]).shape == (1, 4, 5)
    with pytest.raises(ValueError, match="pic should be 2/3 dimensional. Got 1 dimensions"):
        TF.to_tensor(array[0, 0])
    with pytest.raises(TypeError, match="pic should be PIL Image or ndarray"):
        TF.to_tensor([1])


@pytest.mark.parametrize(
    "shape,dtype,mode", [((3, 4, 5), "uint8", "RGB"), ((4, 5), "int32", "I"), ((1, 4, 5), "uint8", "L")]
)
def test_to_pil_image_and_back(shape, dtype, mode):
    tensor = norch.randint(0, 200, shape).to(getattr(norch, dtype))
    image = T.ToPILImage()(tensor)
    assert image.mode == mode and norch.equal(TF.pil_to_tensor(image).view(shape), tensor)


def test_to_pil_image_errors():
    with pytest.raises(ValueError, match="pic should not have > 4 channels. Got 5 channels"):
        TF.to_pil_image(norch.zeros(5, 2, 2))
    with pytest.raises(ValueError, match="Only modes .* are supported for 3D inputs"):
        TF.to_pil_image(norch.zeros(3, 2, 2), "L")
    with pytest.raises(TypeError, match="Input type int16 is not supported"):
        TF.to_pil_image(norch.zeros(3, 2, 2, dtype=norch.int16))
    with pytest.raises(TypeError, match="pic should be Tensor or ndarray"):
        TF.to_pil_image("x")


def test_dtypes():
    image = norch.tensor([[[0, 127, 255]]], dtype=norch.uint8)
    assert norch.allclose(TF.convert_image_dtype(image), image.float() / 255)
    assert norch.equal(TF.convert_image_dtype(TF.convert_image_dtype(image), norch.uint8), image)
    assert TF.convert_image_dtype(image, norch.int16).tolist() == [[[0, 127 * 128, 255 * 128]]]
    with pytest.raises(RuntimeError, match="cannot be performed safely"):
        TF.convert_image_dtype(image.float(), norch.int32)


def test_normalize():
    image = norch.rand(2, 3, 4, 5)
    result = T.Normalize((0.1, 0.2, 0.3), (1.0, 2.0, 4.0))(image)
    assert norch.allclose(result[:, 1], (image[:, 1] - 0.2) / 2)
    assert T.Normalize([0.5], [0.5], inplace=True)(image) is image
    with pytest.raises(ValueError, match="std evaluated to zero"):
        TF.normalize(image, [0.5], [0.0])
    with pytest.raises(TypeError, match="Input tensor should be a float tensor"):
        TF.normalize(image.int(), [0.5], [0.5])


def test_erasing():
    image = norch.ones(3, 20, 20)
    erased = T.RandomErasing(p=1.0, value=(1, 2, 3))(image)
    assert image.min() == 1 and erased[0].max() == 1 and erased[2].max() == 3
    assert T.RandomErasing(p=1.0, value="random")(image).std() > 0
    assert T.RandomErasing(p=0.0)(image) is image
    with pytest.raises(ValueError, match="either a single value or 3"):
        T.RandomErasing(p=1.0, value=(1, 2))(image)


def test_crops(pil):
    five = T.FiveCrop(8)(pil)
    ten = T.TenCrop((8, 6), vertical_flip=True)(TF.pil_to_tensor(pil))
    assert len(five) == 5 and len(ten) == 10 and ten[9].shape == (3, 8, 6)
    assert norch.equal(ten[5], TF.vflip(TF.pil_to_tensor(pil))[:, :8, :6])
    with pytest.raises(ValueError, match="is bigger than input size"):
        TF.five_crop(pil, 100)
    outside = TF.crop(TF.pil_to_tensor(pil), -2, 30, 4, 4)
    assert norch.equal(outside, TF.pil_to_tensor(TF.crop(pil, -2, 30, 4, 4)))


def test_what_is_drawn():
    """The draws, one after the other, as torchvision makes them."""
    norch.manual_seed(1)
    flips = [bool(norch.rand(1) < 0.5) for _ in range(20)]
    norch.manual_seed(1)
    image = norch.tensor([[[0.0, 1.0]]])
    assert [bool(T.RandomHorizontalFlip()(image)[0, 0, 0] == 1) for _ in range(20)] == flips
    norch.manual_seed(2)
    top, left = (int(norch.randint(0, n, (1,))) for n in (5, 9))
    norch.manual_seed(2)
    assert T.RandomCrop.get_params(norch.zeros(1, 8, 12), (4, 4)) == (top, left, 4, 4)
    norch.manual_seed(3)
    order = norch.randperm(4).tolist()
    factor = float(norch.empty(1).uniform_(0.5, 1.5))
    norch.manual_seed(3)
    drawn = T.ColorJitter.get_params((0.5, 1.5), None, None, None)
    assert drawn[0].tolist() == order and drawn[1:] == (factor, None, None, None)


def test_several(pil):
    flip, crop = T.RandomHorizontalFlip(1.0), T.CenterCrop(8)
    assert T.Compose([flip, crop])(pil).size == (8, 8)
    assert T.RandomApply([crop], p=1.0)(pil).size == (8, 8) and T.RandomApply([crop], p=0.0)(pil) is pil
    assert T.RandomOrder([flip, crop])(pil).size == (8, 8)
    assert T.RandomChoice([flip, crop], p=[0, 1])(pil).size == (8, 8)
    assert T.Lambda(lambda x: x.size)(pil) == (32, 24)


def test_linear_transformation():
    image = norch.rand(2, 1, 2, 2)
    matrix, mean = norch.rand(4, 4), norch.rand(4)
    result = T.LinearTransformation(matrix, mean)(image)
    assert norch.allclose(result.view(2, 4), (image.view(2, 4) - mean) @ matrix)
    with pytest.raises(ValueError, match="transformation_matrix should be square"):
        T.LinearTransformation(matrix[:2], mean)
    with pytest.raises(ValueError, match="incompatible shape"):
        T.LinearTransformation(matrix, mean)(norch.rand(3, 2, 2))


REPRS = {
    "Compose(\n    Resize(size=8, interpolation=bilinear, max_size=None, antialias=True)\n    ToTensor()\n)": (
        T.Compose([T.Resize(8), T.ToTensor()])
    ),
    "RandomApply(\n    p=0.2\n    Lambda()\n)": T.RandomApply([T.Lambda(len)], p=0.2),
    "Normalize(mean=(0.5,), std=(0.5,))": T.Normalize((0.5,), (0.5,)),
    "RandomCrop(size=(32, 32), padding=4)": T.RandomCrop(32, padding=4),
    "CenterCrop(size=[3, 4])": T.CenterCrop([3, 4]),
    "RandomResizedCrop(size=(8, 8), scale=(0.08, 1.0), ratio=(0.75, 1.3333), interpolation=bilinear, antialias=True)": (
        T.RandomResizedCrop(8)
    ),
    "ColorJitter(brightness=(0.6, 1.4), contrast=None, saturation=None, hue=(-0.1, 0.1))": T.ColorJitter(0.4, hue=0.1),
    "RandomRotation(degrees=[-10.0, 10.0], interpolation=nearest, expand=False, fill=0)": T.RandomRotation(10),
    "RandomAffine(degrees=[-5.0, 5.0], scale=(1, 2), fill=3)": T.RandomAffine(5, scale=(1, 2), fill=3),
    "RandomPosterize(bits=3,p=0.5)": T.RandomPosterize(3),
    "ToPILImage(mode=RGB)": T.ToPILImage("RGB"),
    "ConvertImageDtype()": T.ConvertImageDtype(norch.float32),
}


@pytest.mark.parametrize("text", REPRS)
def test_repr(text):
    assert repr(REPRS[text]) == text


@pytest.mark.parametrize(
    "error,text,make",
    [
        (TypeError, "Size should be int or sequence", lambda: T.Resize(3.5)),
        (ValueError, "it should have 1 or 2 values", lambda: T.Resize((1, 2, 3))),
        (ValueError, "Please provide only two dimensions", lambda: T.CenterCrop((1, 2, 3))),
        (ValueError, "Padding mode should be either", lambda: T.Pad(1, padding_mode="mirror")),
        (ValueError, "Padding must be an int or a 1, 2, or 4", lambda: T.Pad((1, 2, 3))),
        (ValueError, "is larger than input image size", lambda: T.RandomCrop(9)(norch.zeros(1, 8, 8))),
        (ValueError, "must be positive", lambda: T.RandomRotation(-1)),
        (ValueError, "translation values should be between 0 and 1", lambda: T.RandomAffine(1, translate=(2, 2))),
        (ValueError, "must be non negative", lambda: T.ColorJitter(-1)),
        (ValueError, "should be an odd and positive number", lambda: T.GaussianBlur(4)),
        (TypeError, "Argument lambd should be callable", lambda: T.Lambda(3)),
        (TypeError, "img should be PIL Image or Tensor", lambda: TF.hflip("x")),
        (TypeError, "Unexpected type", lambda: TF.get_dimensions("x")),
        (TypeError, "Tensor is not a torch image", lambda: TF.hflip(norch.zeros(3))),
        (TypeError, "permitted channel values", lambda: TF.adjust_brightness(norch.zeros(2, 4, 4), 1.0)),
        (TypeError, "Argument interpolation", lambda: TF.resize(norch.zeros(1, 4, 4), 2, interpolation="bilinear")),
        (ValueError, "is unsupported with Tensor", lambda: TF.rotate(norch.zeros(1, 4, 4), 2, T.InterpolationMode.BOX)),
    ],
)
def test_errors(error, text, make):
    with pytest.raises(error, match=text):
        make()


def test_v2_names(pil):
    to_float = v2.ToDtype(norch.float32, scale=True)
    image = v2.Compose([v2.ToImage(), v2.Resize(8), v2.RandomHorizontalFlip(), to_float])(pil)
    assert image.shape == (3, 8, 10) and image.dtype == norch.float32 and image.max() <= 1
    assert v2.ToDtype(norch.float64)(v2.ToImage()(pil)).max() > 1
    assert v2.functional.to_image(np.zeros((4, 5), np.uint8)).shape == (1, 4, 5)
    with pytest.raises(ValueError, match="A dict of dtypes is not supported"):
        v2.ToDtype({norch.Tensor: norch.float32})


AUGMENTATIONS = [T.AutoAugment(policy) for policy in T.AutoAugmentPolicy] + [
    T.RandAugment(3), T.TrivialAugmentWide(), T.AugMix(), T.AugMix(10, 2, 4, all_ops=False),
]  # fmt: skip


@pytest.mark.parametrize("transform", AUGMENTATIONS, ids=[repr(t) for t in AUGMENTATIONS])
def test_augmentations(pil, transform):
    tensor = TF.pil_to_tensor(pil)
    images = [transform(pil) for _ in range(30)]
    assert all(image.size == pil.size and image.mode == "RGB" for image in images)
    assert len({image.tobytes() for image in images}) > 3
    for fill in (None, 5, [1, 2, 3]):
        transform.fill = fill
        assert all(transform(tensor).dtype == norch.uint8 for _ in range(10))
    transform.fill = None
    norch.manual_seed(7)
    first = transform(pil)
    norch.manual_seed(7)
    assert transform(pil).tobytes() == first.tobytes()


def test_augmix_refuses():
    with pytest.raises(ValueError, match=r"between \[1, 10\]. Got 11 instead"):
        T.AugMix(severity=11)
    batch = norch.randint(0, 256, (4, 3, 8, 8), dtype=norch.uint8)
    assert T.AugMix()(batch).shape == batch.shape and v2.AugMix is T.AugMix


@pytest.mark.parametrize("kind", [v2.MixUp, v2.CutMix])
def test_mixes(kind):
    n, images = 5, norch.arange(5.0).reshape(5, 1, 1, 1).expand(5, 2, 8, 6).contiguous()
    labels = norch.arange(n)
    for _ in range(10):
        x, y = kind(num_classes=n)(images, labels)
        assert x.shape == images.shape and y.shape == (n, n) and y.sum(1).allclose(norch.ones(n))
        share = y[1, 1].item()
        assert y[1, 0].item() == pytest.approx(1 - share, abs=1e-6) and x[1].mean().item() == pytest.approx(share, abs=1e-5)
    one_hot = norch.nn.functional.one_hot(labels)
    assert kind(num_classes=n)({"img": images, "label": one_hot})["label"].is_floating_point()
    assert norch.is_tensor(kind(labels_getter=None)(images))
    assert kind(labels_getter=lambda s: s[2], num_classes=n)((images, "x", labels))[1] == "x"
    assert repr(kind(num_classes=3)) == f"{kind.__name__}(alpha=1.0, num_classes=3)"
    for arguments, options, text in (
        ((images, labels), {}, "num_classes must be passed"),
        ((images[0], labels), {"num_classes": n}, "Expected a batch of images"),
        ((images,), {"num_classes": n}, "Could not infer where the labels are"),
        ((images, labels[:2]), {"num_classes": n}, "batch sizes of images and labels differ"),
        ((images, one_hot), {"num_classes": 3}, "must match num_classes: 5 != 3"),
    ):
        with pytest.raises(ValueError, match=text):
            kind(**options)(*arguments)
    with pytest.raises(ValueError, match="labels_getter should be"):
        kind(labels_getter="x")


def test_policies():
    assert [len(T.AutoAugment(policy).policies) for policy in T.AutoAugmentPolicy] == [25, 25, 25]
    assert T.AutoAugment().policies[0] == (("Posterize", 0.4, 8), ("Rotate", 0.6, 9))
    assert repr(T.AutoAugment()) == "AutoAugment(policy=AutoAugmentPolicy.IMAGENET, fill=None)"
    with pytest.raises(ValueError, match="The provided policy imagenet is not recognized"):
        T.AutoAugment("imagenet")
