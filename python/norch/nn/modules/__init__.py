"""The modules, by family."""

from .activation import *  # noqa: F403
from .adaptive import *  # noqa: F403
from .attention import *  # noqa: F403
from .batchnorm import *  # noqa: F403
from .container import *  # noqa: F403
from .conv import *  # noqa: F403
from .data_parallel import *  # noqa: F403
from .dropout import *  # noqa: F403
from .flatten import *  # noqa: F403
from .instancenorm import *  # noqa: F403
from .lazy import *  # noqa: F403
from .linear import *  # noqa: F403
from .linear_cross_entropy import *  # noqa: F403
from .loss import *  # noqa: F403
from .margin_loss import *  # noqa: F403
from .module import *  # noqa: F403
from .normalization import *  # noqa: F403
from .padding import *  # noqa: F403
from .parameter_container import *  # noqa: F403
from .pooling import *  # noqa: F403
from .rnn import *  # noqa: F403
from .sparse import *  # noqa: F403
from .transformer import *  # noqa: F403
from .unpooling import *  # noqa: F403
from .vision import *  # noqa: F403
from . import channelshuffle, distance, fold, pixelshuffle, upsampling, utils  # noqa: F401


def _share() -> None:
    """Puts names also into the modules where PyTorch has them: programs import from those."""
    from . import (
        _hooks,
        _registry,
        _state_dict,
        activation,
        attention,
        batchnorm,
        container,
        conv,
        instancenorm,
        lazy,
        linear,
        linear_cross_entropy,
        loss,
        margin_loss,
        module,
        normalization,
        parameter_container,
        pooling,
        unpooling,
    )

    for target, source, names in (
        (activation, attention, attention.__all__),
        (container, parameter_container, parameter_container.__all__),
        (loss, margin_loss, margin_loss.__all__),
        (loss, linear_cross_entropy, linear_cross_entropy.__all__),
        (normalization, instancenorm, ["LocalResponseNorm"]),
        (pooling, unpooling, unpooling.__all__),
        (linear, lazy, ["LazyLinear"]),
        (conv, lazy, [name for name in lazy.__all__ if "Conv" in name]),
        (batchnorm, lazy, [name for name in lazy.__all__ if "BatchNorm" in name]),
        (instancenorm, lazy, [name for name in lazy.__all__ if "InstanceNorm" in name]),
        (module, _hooks, [name for name in _hooks.__all__ if name.startswith("register")]),
        (module, _state_dict, ["_IncompatibleKeys"]),
        (module, _registry, ["indent"]),
    ):
        for name in names:
            setattr(target, name, getattr(source, name))


_share()
