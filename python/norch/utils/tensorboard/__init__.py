"""SummaryWriter, which writes TensorBoard's event files through the tensorboardX or the tensorboard package."""

from norch.utils.tensorboard.writer import SummaryWriter

__all__ = ["SummaryWriter"]
