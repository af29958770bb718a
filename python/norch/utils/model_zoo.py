"""The older name of norch.hub's downloads."""

from norch.hub import load_state_dict_from_url as load_url

__all__ = ["load_url"]
