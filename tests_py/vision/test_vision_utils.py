"""Grids of images, drawings, and images in files."""

import numpy as np
import pytest

import norch

Image = pytest.importorskip("PIL.Image")
from norch.vision import get_image_backend, io, set_image_backend, utils  # noqa: E402


def test_make_grid():
    images = norch.rand(5, 3, 4, 6)
    grid = utils.make_grid(images, nrow=3, padding=1, pad_value=0.5)
    assert grid.shape == (3, 2 * 5 + 1, 3 * 7 + 1)
    assert norch.equal(grid[:, 1:5, 1:7], images[0]) and norch.equal(grid[:, 6:10, 8:14], images[4])
    assert bool((grid[:, 0] == 0.5).all()) and bool((grid[:, 6:, 15:] == 0.5).all())
    assert norch.equal(utils.make_grid([images[0], images[1]]), utils.make_grid(images[:2]))
    assert utils.make_grid(images[0]).shape == (3, 4, 6)
    assert utils.make_grid(images[0, 0]).shape == utils.make_grid(images[0, :1]).shape == (3, 4, 6)
    with pytest.raises(TypeError, match="tensor or list of tensors expected, got a list containing"):
        utils.make_grid([1])


def test_make_grid_normalizes():
    images = norch.rand(2, 1, 4, 4, requires_grad=True) * norch.tensor([1.0, 10.0]).view(2, 1, 1, 1) - 3
    whole = utils.make_grid(images, normalize=True, padding=0)
    assert whole.min() == 0 and whole.max() == 1 and not whole.requires_grad
    each = utils.make_grid(images, normalize=True, scale_each=True, padding=0)
    assert each[:, :, :4].max() == each[:, :, 4:].max() == 1
    ranged = utils.make_grid(images, normalize=True, value_range=(-4, -2), padding=0)
    assert norch.allclose(ranged[0, :, :4], (images[0, 0].clamp(-4, -2) + 4) / 2)


def test_save_image(tmp_path):
    images = norch.rand(3, 1, 5, 5, requires_grad=True)
    utils.save_image(images, tmp_path / "x.png", nrow=2, normalize=True)
    read = np.asarray(Image.open(tmp_path / "x.png"))
    expected = utils.make_grid(images, nrow=2, normalize=True)
    np.testing.assert_array_equal(read, (expected * 255 + 0.5).clamp(0, 255).byte().permute(1, 2, 0).numpy())


@pytest.mark.parametrize("dtype", [norch.uint8, norch.float32])
def test_drawings(dtype):
    image = norch.zeros(3, 20, 20, dtype=dtype)
    full = 255 if dtype == norch.uint8 else 1
    drawn = utils.draw_bounding_boxes(image, norch.tensor([[2, 3, 10, 12]]), colors="red")
    assert drawn.dtype == dtype and drawn[:, 3, 2].tolist() == [full, 0, 0] and drawn[:, 6, 6].max() == 0
    drawn = utils.draw_bounding_boxes(image, norch.tensor([[2, 3, 10, 12]]), labels=["x"], fill=True)
    assert drawn.shape == image.shape
    masks = norch.zeros(2, 20, 20, dtype=norch.bool)
    masks[0, :5], masks[1, 4:8] = True, True
    drawn = utils.draw_segmentation_masks(image, masks, alpha=1.0, colors=["blue", (0, 255, 0)])
    assert drawn[:, 0, 0].tolist() == [0, 0, full] and drawn[:, 6, 0].tolist() == [0, full, 0]
    assert drawn[:, 4].max() == 0
    with pytest.raises(ValueError, match="Boxes need to be in"):
        utils.draw_bounding_boxes(image, norch.tensor([[10, 3, 2, 12]]))


def test_files(tmp_path):
    image = norch.randint(0, 256, (3, 6, 7)).to(norch.uint8)
    io.write_png(image, tmp_path / "x.png")
    assert norch.equal(io.read_image(str(tmp_path / "x.png")), image)
    assert io.read_image(tmp_path / "x.png", io.ImageReadMode.GRAY).shape == (1, 6, 7)
    assert io.decode_image(io.read_file(tmp_path / "x.png"), "RGB_ALPHA").shape == (4, 6, 7)
    assert norch.equal(io.decode_png(io.encode_png(image[:1])), image[:1])
    assert io.decode_jpeg(io.encode_jpeg(image, quality=90)).shape == (3, 6, 7)
    (tmp_path / "bad.png").write_bytes((tmp_path / "x.png").read_bytes()[:40])
    with pytest.raises(RuntimeError, match="not an image that can be read"):
        io.read_image(tmp_path / "bad.png")
    with pytest.raises(RuntimeError, match="expected a tensor of uint8"):
        io.encode_png(image.float())


def test_backend():
    assert get_image_backend() == "PIL"
    set_image_backend("PIL")
    with pytest.raises(ValueError, match="Invalid backend 'accimage'"):
        set_image_backend("accimage")
