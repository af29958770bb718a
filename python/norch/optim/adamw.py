"""AdamW, where PyTorch has it."""

from .adam import AdamW as AdamW

__all__ = ["AdamW"]
