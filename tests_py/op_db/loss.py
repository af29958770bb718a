"""Losses and distances."""

import numpy as np

from .row import Error, OpRow, Sample, random_array

LOOSE = {"float16": (4e-3, 2e-3), "bfloat16": (2e-2, 1e-2), "float32": (2e-5, 2e-5), "float64": (1e-10, 1e-10)}
SHAPES = ((), (1,), (37,), (2, 3), (3, 1, 4), (300, 70))
REDUCE = {"none": lambda v: v, "mean": np.mean, "sum": np.sum}
INT = np.array([1, 2])


def pairs(a=(-3, 3), b=(-3, 3), **kwargs):
    def samples(dtype):
        return [Sample([random_array(s, dtype, *a), random_array(s, dtype, *b)], kwargs) for s in SHAPES]

    return samples


def grad_pairs(a=(-3.0, 3.0), b=(-3.0, 3.0), clear_of=(), **kwargs):
    """Pairs whose differences keep clear of the points given."""

    def samples():
        out = []
        for shape in ((), (4,), (2, 3)):
            x, t = np.asarray(np.random.uniform(*a, shape)), np.asarray(np.random.uniform(*b, shape))
            for point in clear_of:
                x = np.where(np.abs(np.abs(x - t) - point) < 0.05, x + 0.13, x)
            out.append(Sample([x, t], kwargs))
        return out

    return samples


def log(v):
    with np.errstate(all="ignore"):
        return np.maximum(np.log(v), -100)


def smooth_l1(d, beta):
    return np.where(d < beta, d * d / (2 * beta), d - beta / 2)


def huber(d, delta):
    return np.where(d <= delta, d * d / 2, delta * (d - delta / 2))


def bce_logits(x, t, weight=None, pos_weight=None):
    loss = (1 - t) * x + (1 + ((1 if pos_weight is None else pos_weight) - 1) * t) * np.logaddexp(0, -x)
    return loss if weight is None else loss * weight


def elementwise():
    """(name, formula, samples, gradient samples, further arguments)."""
    unit = (0.01, 0.99)
    kl = [(-3, 0), (0.05, 1)]
    return [
        ("mse_loss", lambda x, t: (x - t) ** 2, {}, {}, {}),
        ("l1_loss", lambda x, t: abs(x - t), {}, dict(clear_of=[0]), {}),
        ("smooth_l1_loss", lambda x, t, beta=1.0: smooth_l1(abs(x - t), beta), {}, dict(clear_of=[0.7]), dict(beta=0.7)),
        ("huber_loss", lambda x, t, delta=1.0: huber(abs(x - t), delta), {}, dict(clear_of=[1.3]), dict(delta=1.3)),
        (
            "binary_cross_entropy",
            lambda x, t: -t * log(x) - (1 - t) * log(1 - x),
            dict(a=unit, b=(0, 1)),
            dict(a=(0.1, 0.9), b=(0.1, 0.9)),
            {},
        ),
        ("binary_cross_entropy_with_logits", bce_logits, dict(a=(-8, 8), b=(0, 1)), dict(b=(0.0, 1.0)), {}),
        ("kl_div", lambda x, t: t * (np.log(t) - x), dict(zip("ab", kl)), dict(zip("ab", kl)), {}),
        (
            "kl_div",
            lambda x, t, log_target: np.exp(t) * (t - x),
            dict(a=(-3, 0), b=(-3, 0)),
            dict(a=(-3.0, 0.0), b=(-3.0, 0.0)),
            dict(log_target=True),
        ),
    ]


ERRORS = {
    "mse_loss": [
        Error(NotImplementedError, "not implemented for int64", [INT, INT]),
        Error(ValueError, "avg is not a valid value for reduction", [np.zeros(2), np.zeros(2)], dict(reduction="avg")),
    ],
    "smooth_l1_loss": [Error(RuntimeError, "negative values for beta", [np.zeros(2), np.zeros(2)], dict(beta=-1.0))],
    "huber_loss": [Error(RuntimeError, "non-positive values for delta", [np.zeros(2), np.zeros(2)], dict(delta=0.0))],
    "binary_cross_entropy": [Error(ValueError, "different to the input size", [np.zeros(2), np.zeros(3)])],
    "binary_cross_entropy_with_logits": [
        Error(ValueError, "must be the same as input size", [np.zeros(2), np.zeros((2, 1))])
    ],
}

ROWS = []
for name, formula, values, grads, options in elementwise():
    for reduction, reduce in REDUCE.items():
        if name == "kl_div" and reduction == "mean":
            reduction = "batchmean"  # "mean" warns
            reduce = lambda v: v.sum() / (v.shape[0] if v.ndim else 1)  # noqa: E731
        kwargs = dict(options, reduction=reduction)
        ROWS.append(
            OpRow(
                f"nn.functional.{name}",
                pairs(**values, **kwargs),
                lambda x, t, reduction, formula=formula, reduce=reduce, **rest: reduce(formula(x, t, **rest)),
                grad_samples=grad_pairs(**grads, **kwargs),
                method=None,
                tolerances=LOOSE,
                errors=ERRORS.pop(name, ()),
                id="-".join([name, *options, reduction]),
            )
        )


def logits_with_weights(dtype):
    w, p = np.array([0.5, 2.0, 1.0]), np.array([3.0, 0.2, 1.0])
    data = [random_array((4, 3), dtype, -5, 5), random_array((4, 3), dtype, 0, 1)]
    as_dtype = [v.astype(data[0].dtype) for v in (w, p)]
    return [Sample([*data, as_dtype[0]]), Sample([*data, as_dtype[0], None, None, "mean", as_dtype[1]])]


ROWS.append(
    OpRow(
        "nn.functional.binary_cross_entropy_with_logits",
        logits_with_weights,
        lambda x, t, w, a=None, b=None, c=None, p=None: bce_logits(x, t, w, p).mean(),
        grad_samples=lambda: logits_with_weights("float64"),
        method=None,
        tolerances=LOOSE,
        id="binary_cross_entropy_with_logits-weights",
    )
)

# ---- class scores


def log_softmax(x, axis):
    x = x - x.max(axis, keepdims=True)
    return x - np.log(np.exp(x).sum(axis, keepdims=True))


def class_loss(logp, t, weight, reduction, ignore_index=-100, smoothing=0.0):
    axis = 0 if logp.ndim == 1 else 1
    classes = logp.shape[axis]
    w = np.ones(classes) if weight is None else weight
    rows = np.moveaxis(logp, axis, -1)
    counted = t != ignore_index
    safe = np.where(counted, t, 0)
    picked = np.where(counted, w[safe], 0.0)
    losses = -np.take_along_axis(rows, safe[..., None], -1)[..., 0] * picked * (1 - smoothing)
    if smoothing:
        losses = losses - smoothing / classes * np.where(counted, (rows * w).sum(-1), 0.0)
    if reduction == "none":
        return losses
    return losses.sum() / (picked.sum() if reduction == "mean" else 1)


def cross_entropy_ref(x, t, weight=None, a=None, ignore_index=-100, b=None, reduction="mean", smoothing=0.0):
    return class_loss(log_softmax(x, 0 if x.ndim == 1 else 1), t, weight, reduction, ignore_index, smoothing)


def nll_ref(x, t, weight=None, a=None, ignore_index=-100, b=None, reduction="mean"):
    return class_loss(x, t, weight, reduction, ignore_index)


def class_samples(shapes, smoothings=(None,), low=-4):
    def samples(dtype):
        out = []
        for shape in shapes:
            axis = 0 if len(shape) == 1 else 1
            classes, rows = shape[axis], shape[:axis] + shape[axis + 1 :]
            x, t = random_array(shape, dtype, low, 4), np.asarray(np.random.randint(0, classes, rows))
            w = np.random.uniform(0.2, 2, classes).astype(x.dtype)
            for smoothing in smoothings:
                tail = [] if smoothing is None else [smoothing]
                for reduction in REDUCE:
                    out.append(Sample([x, t, None, None, -100, None, reduction, *tail]))
                out.append(Sample([x, t, w, None, -100, None, "mean", *tail]))
                if t.size > 1:
                    ignored = np.where(np.arange(t.size).reshape(t.shape) == 0, 1, t)
                    ignored.flat[1] = 0 if classes > 1 else 1
                    out.append(Sample([x, ignored, w, None, 1, None, "none", *tail]))
        return out

    return samples


CLASS_SHAPES = ((7,), (5, 3), (4, 1), (64, 10), (2, 4, 3), (2, 3, 9, 8), (3, 1500))
SMALL = ((4,), (3, 4), (2, 3, 2))


def class_errors():
    x = np.zeros((3, 4))
    return [
        Error(ValueError, r"Expected input batch_size \(3\) to match target batch_size \(2\)", [x, np.array([0, 1])]),
        Error(RuntimeError, r"Expected target size \[3, 2\], got \[3\]", [np.zeros((3, 4, 2)), np.array([0, 1, 2])]),
        Error(RuntimeError, "target dtype to be int64 or uint8", [x, np.array([0, 1, 2], np.int32)]),
        Error(RuntimeError, "all 4 classes", [x, np.array([0, 1, 2]), np.ones(3)]),
        Error(ValueError, "Expected 1 or more dimensions", [np.array(1.0), np.array(0)]),
    ]


ROWS += [
    OpRow(
        "nn.functional.cross_entropy",
        class_samples(CLASS_SHAPES, (0.0, 0.2)),
        cross_entropy_ref,
        grad_samples=lambda: class_samples(SMALL, (0.0, 0.3))("float64"),
        constant=(2,),
        method=None,
        tolerances=LOOSE,
        errors=[
            *class_errors(),
            Error(
                RuntimeError,
                "label_smoothing must be between 0.0 and 1.0",
                [np.zeros((1, 2)), np.array([0])],
                dict(label_smoothing=1.5),
            ),
        ],
    ),
    OpRow(
        "nn.functional.nll_loss",
        class_samples(CLASS_SHAPES),
        nll_ref,
        grad_samples=lambda: class_samples(SMALL)("float64"),
        constant=(2,),
        method=None,
        tolerances=LOOSE,
        errors=class_errors(),
    ),
]


def probability_samples(dtype):
    out = []
    for shape in ((4,), (3, 5), (2, 3, 4)):
        axis = 0 if len(shape) == 1 else 1
        t = np.random.uniform(0.1, 1, shape)
        t = (t / t.sum(axis, keepdims=True)).astype(dtype if dtype != "bfloat16" else "float64")
        for smoothing in (0.0, 0.1):
            for reduction in REDUCE:
                out.append(Sample([random_array(shape, dtype), t, None, None, -100, None, reduction, smoothing]))
    return out


def probabilities_ref(x, t, w, a, i, b, reduction, smoothing):
    axis = 0 if x.ndim == 1 else 1
    t = t * (1 - smoothing) + smoothing / x.shape[axis]
    losses = -(log_softmax(x, axis) * t).sum(axis)
    return REDUCE[reduction](losses)


# ---- distances and margins


def norm(x, p, axis=-1, keepdims=False):
    return np.linalg.norm(x, p, axis, keepdims)


def cosine(x, y, axis=1):
    return (x * y).sum(axis) / (norm(x, 2, axis) * norm(y, 2, axis))


def distance(x, y, p=2.0, eps=1e-6):
    return norm(x - y + eps, p)


def rows_of(*bounds, shape=(4, 3)):
    def samples(dtype="float64"):
        return [Sample([random_array(shape, dtype, *b) for b in bounds])]

    return samples


def signs(*bounds, dtype_of_signs=None, shape=(4, 3), target_shape=None):
    def samples(dtype="float64"):
        t = np.where(np.arange(np.prod(target_shape or shape)) % 2, 1, -1).reshape(target_shape or shape)
        return [Sample([*(random_array(shape, dtype, *b) for b in bounds), t])]

    return samples


WIDE = (-2, 2)


def row(name, samples, ref, **options):
    # Sums and norms of 16-bit floats round at every step here.
    return OpRow(f"nn.functional.{name}", samples, ref, ("float32", "float64"), samples, method=None, tolerances=LOOSE, **options)


ROWS += [
    OpRow(
        "nn.functional.cross_entropy",
        probability_samples,
        probabilities_ref,
        ("float32", "float64"),
        lambda: probability_samples("float64"),
        method=None,
        tolerances=LOOSE,
        id="cross_entropy-probabilities",
        errors=[Error(RuntimeError, "floating point type for target", [np.zeros((2, 3)), np.zeros((2, 3), np.int64)])],
    ),
    row("cosine_similarity", rows_of(WIDE, WIDE), cosine),
    row("pairwise_distance", rows_of(WIDE, WIDE), distance),
    row("normalize", rows_of(WIDE), lambda x: x / norm(x, 2, 1, True)),
    row("soft_margin_loss", signs(WIDE), lambda x, t: np.logaddexp(0, -t * x).mean()),
    row(
        "margin_ranking_loss",
        signs(WIDE, WIDE),
        lambda x, y, t: np.maximum(0, -t * (x - y)).mean(),
    ),
    row(
        "hinge_embedding_loss",
        signs(WIDE),
        lambda x, t: np.where(t == 1, x, np.maximum(0, 1 - x)).mean(),
    ),
    row(
        "cosine_embedding_loss",
        signs(WIDE, WIDE, target_shape=(4,)),
        lambda x, y, t: np.where(t == 1, 1 - cosine(x, y), np.maximum(0, cosine(x, y))).mean(),
    ),
    row(
        "triplet_margin_loss",
        rows_of(WIDE, WIDE, WIDE),
        lambda a, p, n: np.maximum(0, distance(a, p) - distance(a, n) + 1).mean(),
    ),
    row(
        "gaussian_nll_loss",
        rows_of(WIDE, WIDE, (0.3, 2)),
        lambda x, t, v: (0.5 * (np.log(v) + (x - t) ** 2 / v)).mean(),
        errors=[Error(ValueError, "negative entry", [np.zeros(2), np.zeros(2), np.array([1.0, -1.0])])],
    ),
    row("poisson_nll_loss", rows_of(WIDE, (0, 4)), lambda x, t: (np.exp(x) - t * x).mean()),
]
