"""The older name of norch.hub's downloads."""

from typing import Any

from norch.hub import load_state_dict_from_url as load_url

__all__ = ["load_url"]


def __getattr__(name: str) -> Any:
    if name == "tqdm":  # PyTorch's module has it, and programs import it from there
        from tqdm.auto import tqdm  # type: ignore[import-untyped,unused-ignore]

        return tqdm
    raise AttributeError(f"module 'norch.utils.model_zoo' has no attribute '{name}'")
