"""Reductions and normalisations of the elements that a mask selects, under PyTorch's names.

Each function takes `mask`, a tensor of truth values that broadcasts to the input's shape; where it is false the element
counts as not there. Without a mask all elements count. A reduction over nothing gives the operation's neutral value (0 for
sum, 1 for prod, ...), NaN where it has none.
"""

from norch.masked._ops import amax as amax
from norch.masked._ops import amin as amin
from norch.masked._ops import argmax as argmax
from norch.masked._ops import argmin as argmin
from norch.masked._ops import cumprod as cumprod
from norch.masked._ops import cumsum as cumsum
from norch.masked._ops import log_softmax as log_softmax
from norch.masked._ops import logaddexp as logaddexp
from norch.masked._ops import logsumexp as logsumexp
from norch.masked._ops import mean as mean
from norch.masked._ops import median as median
from norch.masked._ops import norm as norm
from norch.masked._ops import normalize as normalize
from norch.masked._ops import prod as prod
from norch.masked._ops import softmax as softmax
from norch.masked._ops import softmin as softmin
from norch.masked._ops import std as std
from norch.masked._ops import sum as sum
from norch.masked._ops import var as var
