"""Classes that PyTorch has in another module than norch: under compat they are known by PyTorch's, so that imports of
that module work and pickled modules name what PyTorch finds."""

from __future__ import annotations

import sys
from types import ModuleType

__all__ = ["settle"]

# package -> module of PyTorch -> its classes
_PLACES = {
    "norch.nn": {
        "nn.parameter": "Parameter",
        "nn.modules.activation": "MultiheadAttention",
        "nn.modules.normalization": "LocalResponseNorm",
        "nn.modules.batchnorm": "LazyBatchNorm1d LazyBatchNorm2d LazyBatchNorm3d",
        "nn.modules.conv": "LazyConv1d LazyConv2d LazyConv3d LazyConvTranspose1d LazyConvTranspose2d LazyConvTranspose3d",
        "nn.modules.instancenorm": "LazyInstanceNorm1d LazyInstanceNorm2d LazyInstanceNorm3d",
        "nn.modules.linear": "LazyLinear",
        "nn.modules.loss": "CTCLoss CosineEmbeddingLoss GaussianNLLLoss HingeEmbeddingLoss LinearCrossEntropyLoss "
        "MarginRankingLoss MultiLabelMarginLoss MultiLabelSoftMarginLoss MultiMarginLoss PoissonNLLLoss SoftMarginLoss "
        "TripletMarginLoss TripletMarginWithDistanceLoss",
        "nn.modules.container": "ParameterDict ParameterList",
        "nn.modules.pooling": "FractionalMaxPool2d FractionalMaxPool3d LPPool1d LPPool2d LPPool3d MaxUnpool1d MaxUnpool2d "
        "MaxUnpool3d",
        "nn.modules.channelshuffle": "ChannelShuffle",
        "nn.modules.distance": "CosineSimilarity PairwiseDistance",
        "nn.modules.fold": "Fold Unfold",
        "nn.modules.pixelshuffle": "PixelShuffle PixelUnshuffle",
        "nn.modules.rnn": "GRUCell LSTMCell RNNCell RNNCellBase",
        "nn.modules.upsampling": "Upsample UpsamplingBilinear2d UpsamplingNearest2d",
    },
    "norch.optim": {"optim.adamw": "AdamW"},
    "norch.distributions.constraints": {"distributions.constraints": "Constraint MixtureSameFamilyConstraint"},
    "norch.distributions.transforms": {
        "distributions.transforms": "CatTransform ComposeTransform CorrCholeskyTransform IndependentTransform "
        "LowerCholeskyTransform PositiveDefiniteTransform ReshapeTransform SoftmaxTransform StackTransform "
        "StickBreakingTransform Transform"
    },
}


def settle(package: ModuleType) -> None:
    """Gives the classes of a package their places, if it is one that has such."""
    for path, names in _PLACES.get(package.__name__, {}).items():
        home = sys.modules.get("norch." + path)
        if home is None:  # PyTorch's module is part of another one here
            home = sys.modules["torch." + path] = ModuleType("torch." + path)
            parent, _, leaf = path.rpartition(".")
            setattr(sys.modules["norch." + parent], leaf, home)
        for name in names.split():
            found = getattr(package, name)
            found.__module__ = "torch." + path
            setattr(home, name, found)
