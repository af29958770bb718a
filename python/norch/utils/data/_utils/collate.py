"""The functions behind default_collate."""

from ..collate import collate as collate
from ..collate import default_collate as default_collate
from ..collate import default_collate_err_msg_format as default_collate_err_msg_format
from ..collate import default_collate_fn_map as default_collate_fn_map
from ..collate import default_convert as default_convert
