"""Augmentations made of several operations, drawn at random from norch's default generator."""

from __future__ import annotations

import math
from enum import Enum
from typing import Any

import norch
import norch.nn as nn
from norch._C import Tensor, _sample_dirichlet

from . import _policies
from . import functional as F
from ._functional_kinds import InterpolationMode
from ._parameters import _integer

__all__ = ["AugMix", "AutoAugment", "AutoAugmentPolicy", "RandAugment", "TrivialAugmentWide"]


def _apply(img: Any, name: str, magnitude: float, interpolation: InterpolationMode, fill: Any) -> Any:
    if name in ("ShearX", "ShearY"):
        angle = math.degrees(math.atan(magnitude))
        shear = [angle, 0.0] if name == "ShearX" else [0.0, angle]
        return F.affine(img, 0.0, [0, 0], 1.0, shear, interpolation, fill, center=[0, 0])
    if name in ("TranslateX", "TranslateY"):
        move = [int(magnitude), 0] if name == "TranslateX" else [0, int(magnitude)]
        return F.affine(img, 0.0, move, 1.0, [0.0, 0.0], interpolation, fill)
    if name == "Rotate":
        return F.rotate(img, magnitude, interpolation=interpolation, fill=fill)
    factors = {
        "Brightness": F.adjust_brightness,
        "Color": F.adjust_saturation,
        "Contrast": F.adjust_contrast,
        "Sharpness": F.adjust_sharpness,
    }
    if name in factors:
        return factors[name](img, 1.0 + magnitude)
    if name == "Posterize":
        return F.posterize(img, int(magnitude))
    if name == "Solarize":
        return F.solarize(img, magnitude)
    without = {"AutoContrast": F.autocontrast, "Equalize": F.equalize, "Invert": F.invert}
    return without[name](img) if name in without else img  # "Identity"


def _fill_for(img: Any, fill: Any) -> Any:
    if not isinstance(img, Tensor) or fill is None:
        return fill
    return [float(fill)] * F.get_dimensions(img)[0] if isinstance(fill, (int, float)) else [float(f) for f in fill]


# The functions below give, for each operation, its magnitudes and whether its sign is random.


def _geometry(bins: int, shear: float, move_x: float, move_y: float, angle: float) -> Any:
    ranges = {"ShearX": shear, "ShearY": shear, "TranslateX": move_x, "TranslateY": move_y, "Rotate": angle}
    return {name: (norch.linspace(0.0, end, bins), True) for name, end in ranges.items()}


def _colors(bins: int, end: float) -> Any:
    return {n: (norch.linspace(0.0, end, bins), True) for n in ("Brightness", "Color", "Contrast", "Sharpness")}


def _values(bins: int, bits: int, fewest: int, *more: str) -> Any:
    """Posterize from `bits` bits to `fewest`, Solarize, and the operations without magnitude."""
    steps = (norch.arange(bins) / ((bins - 1) / (bits - fewest))).round().int()
    without = {name: (norch.tensor(0.0), False) for name in ("AutoContrast", "Equalize", *more)}
    return {"Posterize": (bits - steps, False), "Solarize": (norch.linspace(255.0, 0.0, bins), False), **without}


def _paper_space(bins: int, height: int, width: int) -> Any:
    """As the paper, whose images have 331 x 331 pixels."""
    return {**_geometry(bins, 0.3, 150.0 / 331.0 * width, 150.0 / 331.0 * height, 30.0), **_colors(bins, 0.9)}


_NO_OPERATION: Any = {"Identity": (norch.tensor(0.0), False)}


def _draw_operation(space: Any) -> tuple[str, Tensor, bool]:
    name = list(space)[_integer(0, len(space))]
    return (name, *space[name])


def _signed(magnitude: float, signed: bool) -> float:
    return -magnitude if signed and _integer(0, 2) else magnitude


class AutoAugmentPolicy(Enum):
    """The data set for which the policy was found."""

    IMAGENET = "imagenet"
    CIFAR10 = "cifar10"
    SVHN = "svhn"


class AutoAugment(nn.Module):
    """One of the 25 pairs of operations of a policy (Cubuk et al., 2019)."""

    def __init__(
        self,
        policy: AutoAugmentPolicy = AutoAugmentPolicy.IMAGENET,
        interpolation: InterpolationMode = InterpolationMode.NEAREST,
        fill: Any = None,
    ) -> None:
        super().__init__()
        self.policy = policy
        self.interpolation = interpolation
        self.fill = fill
        self.policies = self._get_policies(policy)

    def _get_policies(self, policy: AutoAugmentPolicy) -> list:
        """Pairs of (operation, probability, magnitude from 0 to 9 or None)."""
        if not isinstance(policy, AutoAugmentPolicy):
            raise ValueError(f"The provided policy {policy} is not recognized.")
        pairs = []
        for line in getattr(_policies, policy.name).split("\n")[1:-1]:
            words = [operation.split() for operation in line.split(",")]
            pairs.append(tuple((w[0], float(w[1]), int(w[2]) if len(w) > 2 else None) for w in words))
        return pairs

    @staticmethod
    def get_params(transform_num: int) -> tuple[int, Tensor, Tensor]:
        """A random (pair, two numbers to compare with the probabilities, two signs)."""
        pair = _integer(0, transform_num)
        probabilities = norch.rand((2,))
        return pair, probabilities, norch.randint(0, 2, size=(2,))

    def forward(self, img: Any) -> Any:
        fill = _fill_for(img, self.fill)
        _, height, width = F.get_dimensions(img)
        pair, drawn, signs = self.get_params(len(self.policies))
        space = {**_paper_space(10, height, width), **_values(10, 8, 4, "Invert")}
        for i, (name, probability, step) in enumerate(self.policies[pair]):
            if drawn[i] <= probability:
                magnitudes, signed = space[name]
                magnitude = 0.0 if step is None else float(magnitudes[step])
                magnitude = -magnitude if signed and signs[i] == 0 else magnitude
                img = _apply(img, name, magnitude, self.interpolation, fill)
        return img

    def __repr__(self) -> str:
        return f"{type(self).__name__}(policy={self.policy}, fill={self.fill})"


class RandAugment(nn.Module):
    """`num_ops` random operations of the same magnitude, of `num_magnitude_bins` (Cubuk et al., "RandAugment: Practical
    Automated Data Augmentation with a Reduced Search Space", 2020)."""

    def __init__(
        self,
        num_ops: int = 2,
        magnitude: int = 9,
        num_magnitude_bins: int = 31,
        interpolation: InterpolationMode = InterpolationMode.NEAREST,
        fill: Any = None,
    ) -> None:
        super().__init__()
        self.num_ops = num_ops
        self.magnitude = magnitude
        self.num_magnitude_bins = num_magnitude_bins
        self.interpolation = interpolation
        self.fill = fill

    def forward(self, img: Any) -> Any:
        fill = _fill_for(img, self.fill)
        _, height, width = F.get_dimensions(img)
        bins = self.num_magnitude_bins
        space = {**_NO_OPERATION, **_paper_space(bins, height, width), **_values(bins, 8, 4)}
        for _ in range(self.num_ops):
            name, magnitudes, signed = _draw_operation(space)
            magnitude = float(magnitudes[self.magnitude]) if magnitudes.ndim else 0.0
            img = _apply(img, name, _signed(magnitude, signed), self.interpolation, fill)
        return img

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(num_ops={self.num_ops}, magnitude={self.magnitude}, "
            f"num_magnitude_bins={self.num_magnitude_bins}, interpolation={self.interpolation}, fill={self.fill})"
        )


class TrivialAugmentWide(nn.Module):
    """One random operation of a random magnitude (Müller and Hutter, "TrivialAugment: Tuning-free Yet State-of-the-Art
    Data Augmentation", 2021)."""

    def __init__(
        self,
        num_magnitude_bins: int = 31,
        interpolation: InterpolationMode = InterpolationMode.NEAREST,
        fill: Any = None,
    ) -> None:
        super().__init__()
        self.num_magnitude_bins = num_magnitude_bins
        self.interpolation = interpolation
        self.fill = fill

    def forward(self, img: Any) -> Any:
        fill = _fill_for(img, self.fill)
        bins = self.num_magnitude_bins
        space = {
            **_NO_OPERATION,
            **_geometry(bins, 0.99, 32.0, 32.0, 135.0),
            **_colors(bins, 0.99),
            **_values(bins, 8, 2),
        }
        name, magnitudes, signed = _draw_operation(space)
        magnitude = float(magnitudes[_integer(0, len(magnitudes))]) if magnitudes.ndim else 0.0
        return _apply(img, name, _signed(magnitude, signed), self.interpolation, fill)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(num_magnitude_bins={self.num_magnitude_bins}, "
            f"interpolation={self.interpolation}, fill={self.fill})"
        )


class AugMix(nn.Module):
    """`mixture_width` chains of 1 to 3 random operations (or `chain_depth`), mixed with each other and with the image by
    random weights (Hendrycks et al., "AugMix: A Simple Data Processing Method to Improve Robustness and Uncertainty",
    2020). Magnitudes are drawn from the lowest `severity` of 10; `all_ops` adds those of brightness, color, contrast and
    sharpness. Of a batch, each image has weights of its own. ValueError unless 1 <= severity <= 10.

        >>> from norch.vision import transforms
        >>> transforms.AugMix()(norch.zeros(3, 8, 8, dtype=norch.uint8)).shape
        norch.Size([3, 8, 8])"""

    def __init__(
        self,
        severity: int = 3,
        mixture_width: int = 3,
        chain_depth: int = -1,
        alpha: float = 1.0,
        all_ops: bool = True,
        interpolation: InterpolationMode = InterpolationMode.BILINEAR,
        fill: Any = None,
    ) -> None:
        super().__init__()
        if not 1 <= severity <= 10:
            raise ValueError(f"The severity must be between [1, 10]. Got {severity} instead.")
        self.severity = severity
        self.mixture_width = mixture_width
        self.chain_depth = chain_depth
        self.alpha = alpha
        self.all_ops = all_ops
        self.interpolation = interpolation
        self.fill = fill

    def _weights(self, images: int, parts: int, device: Any) -> Tensor:
        """Random numbers that add up to 1, for each image."""
        return _sample_dirichlet(norch.full((images, parts), float(self.alpha), device=device))

    def forward(self, orig_img: Any) -> Any:
        _, height, width = F.get_dimensions(orig_img)
        img = orig_img if isinstance(orig_img, Tensor) else F.pil_to_tensor(orig_img)
        fill = _fill_for(img, self.fill)
        space = {**_geometry(10, 0.3, width / 3.0, height / 3.0, 30.0), **_values(10, 4, 0)}
        if self.all_ops:
            space.update(_colors(10, 0.9))
        batch = img.reshape(*[1] * max(4 - img.ndim, 0), *img.shape)
        n, each = len(batch), (len(batch), *[1] * (batch.ndim - 1))
        kept = self._weights(n, 2, batch.device)
        parts = self._weights(n, self.mixture_width, batch.device) * kept[:, 1].reshape(n, 1)
        mix = kept[:, 0].reshape(each) * batch
        for i in range(self.mixture_width):
            changed = batch
            for _ in range(self.chain_depth if self.chain_depth > 0 else _integer(1, 4)):
                name, magnitudes, signed = _draw_operation(space)
                magnitude = float(magnitudes[_integer(0, self.severity)]) if magnitudes.ndim else 0.0
                changed = _apply(changed, name, _signed(magnitude, signed), self.interpolation, fill)
            mix += parts[:, i].reshape(each) * changed
        out = mix.reshape(img.shape).to(img.dtype)
        return out if isinstance(orig_img, Tensor) else F.to_pil_image(out)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(severity={self.severity}, mixture_width={self.mixture_width}, "
            f"chain_depth={self.chain_depth}, alpha={self.alpha}, all_ops={self.all_ops}, "
            f"interpolation={self.interpolation}, fill={self.fill})"
        )
