"""Several tensors into one. The tensors of a sample are joined to the list that the op takes."""

from dataclasses import dataclass

import numpy as np

from .row import ALL, OpRow, Sample, random_array


@dataclass
class JoinRow(OpRow):
    def of(self, framework):
        return lambda *tensors, **kwargs: getattr(framework, self.name)(list(tensors), **kwargs)


def row(name, ref, *cases):
    """cases: shapes, then keywords of the op."""
    return JoinRow(
        name, lambda dtype: [Sample([random_array(s, dtype) for s in shapes], k) for *shapes, k in cases],
        lambda *arrays, **k: ref(arrays, **{"axis" if n == "dim" else n: v for n, v in k.items()}), dtypes=ALL, method=None,
        grad_samples=lambda: [Sample([np.asarray(np.random.randn(*s)) for s in shapes], k) for *shapes, k in cases])


def block_diag(arrays):
    arrays = [np.atleast_2d(a) for a in arrays]
    out = np.zeros(np.sum([a.shape for a in arrays], 0), arrays[0].dtype)
    r = c = 0
    for a in arrays:
        out[r:r + a.shape[0], c:c + a.shape[1]] = a
        r, c = r + a.shape[0], c + a.shape[1]
    return out


ROWS = [
    row("cat", np.concatenate, ((2, 3), (4, 3), {}), ((2, 3), (2, 1), (2, 4), {"dim": 1}), ((3,), (0,), {"dim": -1})),
    row("stack", np.stack, ((2, 3), (2, 3), {}), ((2, 3), (2, 3), (2, 3), {"dim": -1}), ((), (), {})),
    row("hstack", np.hstack, ((3,), (2,), {}), ((2, 3), (2, 1), {})),
    row("vstack", np.vstack, ((3,), (3,), {}), ((2, 3), (1, 3), {})),
    row("dstack", np.dstack, ((3,), (3,), {}), ((2, 3), (2, 3), {})),
    row("column_stack", np.column_stack, ((3,), (3, 2), {})),
    row("block_diag", block_diag, ((2, 3), (3,), (), {})),
]
