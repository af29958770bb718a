"""What PyTorch keeps in torch.utils.data._utils and programs import from there."""

from . import collate as collate
from . import pin_memory as pin_memory
from . import worker as worker
