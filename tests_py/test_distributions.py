"""norch.distributions: densities, moments and divergences against SciPy, samples against their distribution, gradients."""

import math
import pickle

import numpy as np
import pytest

import norch
import norch.distributions as D
from norch.distributions import constraints, transforms

stats = pytest.importorskip("scipy.stats")
F64 = norch.float64


def t(*values):
    return norch.tensor(values, dtype=F64)


CONTINUOUS = {
    "Normal": (lambda: D.Normal(t(0.5), t(2.0)), stats.norm(0.5, 2)),
    "Uniform": (lambda: D.Uniform(t(-1.0), t(3.0)), stats.uniform(-1, 4)),
    "Exponential": (lambda: D.Exponential(t(2.5)), stats.expon(scale=0.4)),
    "Laplace": (lambda: D.Laplace(t(1.0), t(0.7)), stats.laplace(1, 0.7)),
    "Cauchy": (lambda: D.Cauchy(t(1.0), t(0.7)), stats.cauchy(1, 0.7)),
    "Gamma": (lambda: D.Gamma(t(0.6), t(2.0)), stats.gamma(0.6, scale=0.5)),
    "Gamma large": (lambda: D.Gamma(t(30.0), t(2.0)), stats.gamma(30, scale=0.5)),
    "Beta": (lambda: D.Beta(t(0.7), t(3.0)), stats.beta(0.7, 3)),
    "Chi2": (lambda: D.Chi2(t(3.0)), stats.chi2(3)),
    "StudentT": (lambda: D.StudentT(t(5.0), t(1.0), t(2.0)), stats.t(5, 1, 2)),
    "FisherSnedecor": (lambda: D.FisherSnedecor(t(5.0), t(9.0)), stats.f(5, 9)),
    "LogNormal": (lambda: D.LogNormal(t(0.3), t(0.5)), stats.lognorm(0.5, scale=math.exp(0.3))),
    "HalfNormal": (lambda: D.HalfNormal(t(1.5)), stats.halfnorm(scale=1.5)),
    "HalfCauchy": (lambda: D.HalfCauchy(t(1.5)), stats.halfcauchy(scale=1.5)),
    "Gumbel": (lambda: D.Gumbel(t(1.0), t(2.0)), stats.gumbel_r(1, 2)),
    "Pareto": (lambda: D.Pareto(t(2.0), t(3.5)), stats.pareto(3.5, scale=2)),
    "Weibull": (lambda: D.Weibull(t(2.0), t(1.5)), stats.weibull_min(1.5, scale=2)),
    "InverseGamma": (lambda: D.InverseGamma(t(3.5), t(2.0)), stats.invgamma(3.5, scale=2)),
    "GeneralizedPareto": (lambda: D.GeneralizedPareto(t(1.0), t(2.0), t(0.2)), stats.genpareto(0.2, 1, 2)),
    "VonMises": (lambda: D.VonMises(t(0.5), t(3.0)), stats.vonmises(3.0, 0.5)),
}
DISCRETE = {
    "Bernoulli": (lambda: D.Bernoulli(t(0.3)), stats.bernoulli(0.3)),
    "Binomial": (lambda: D.Binomial(12, t(0.3)), stats.binom(12, 0.3)),
    "Binomial many": (lambda: D.Binomial(100, t(0.7)), stats.binom(100, 0.7)),
    "Geometric": (lambda: D.Geometric(t(0.3)), stats.geom(0.3, loc=-1)),
    "NegativeBinomial": (lambda: D.NegativeBinomial(t(4.0), t(0.3)), stats.nbinom(4, 0.7)),
    "Poisson": (lambda: D.Poisson(t(4.5)), stats.poisson(4.5)),
}


@pytest.mark.parametrize("name", CONTINUOUS)
def test_continuous(name):
    make, expected = CONTINUOUS[name]
    d = make()
    x = expected.ppf(np.linspace(0.05, 0.95, 7)).reshape(7, 1)
    value = norch.from_numpy(x)
    np.testing.assert_allclose(d.log_prob(value).numpy(), expected.logpdf(x), rtol=1e-9, atol=1e-9)
    for method, reference in (("cdf", expected.cdf), ("icdf", expected.ppf)):
        try:
            got = getattr(d, method)(value if method == "cdf" else norch.from_numpy(expected.cdf(x)))
        except NotImplementedError:
            continue
        want = reference(x if method == "cdf" else expected.cdf(x))
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-7, atol=1e-9)
    if name not in ("Cauchy", "HalfCauchy", "VonMises"):
        np.testing.assert_allclose(d.mean.numpy(), expected.mean(), rtol=1e-9)
        np.testing.assert_allclose(d.variance.numpy(), expected.var(), rtol=1e-9)
    if name not in ("FisherSnedecor", "VonMises"):
        np.testing.assert_allclose(d.entropy().numpy(), expected.entropy(), rtol=1e-7, atol=1e-12)
    norch.manual_seed(1)
    samples = d.sample((4000,))
    assert samples.shape == (4000, 1) and d.support.check(samples).all()
    assert stats.kstest(samples.numpy().reshape(-1), expected.cdf).pvalue > 1e-3


@pytest.mark.parametrize("name", DISCRETE)
def test_discrete(name):
    make, expected = DISCRETE[name]
    d = make()
    x = np.arange(12.0).reshape(-1, 1) if name != "Bernoulli" else np.array([[0.0], [1.0]])
    np.testing.assert_allclose(d.log_prob(norch.from_numpy(x)).numpy(), expected.logpmf(x), rtol=1e-9)
    np.testing.assert_allclose(d.mean.numpy(), expected.mean(), rtol=1e-12)
    np.testing.assert_allclose(d.variance.numpy(), expected.var(), rtol=1e-12)
    norch.manual_seed(2)
    samples = d.sample((8000,)).numpy()
    assert abs(samples.mean() - expected.mean()) < 5 * expected.std() / math.sqrt(8000)
    assert abs(samples.var() / expected.var() - 1) < 0.12
    if d.has_enumerate_support:
        values = d.enumerate_support()
        assert math.isclose(d.log_prob(values).exp().sum().item(), 1, rel_tol=1e-9)


def test_categorical_and_its_relatives():
    logits = norch.tensor([[0.0, 1.0, 2.0], [1.0, 1.0, 1.0]], dtype=F64)
    probs = norch.softmax(logits, -1)
    d = D.Categorical(logits=logits)
    norch.manual_seed(3)
    samples = d.sample((20000,))
    assert samples.dtype == norch.int64 and samples.shape == (20000, 2)
    counts = np.stack([np.bincount(samples[:, i].numpy(), minlength=3) for i in (0, 1)]) / 20000
    np.testing.assert_allclose(counts, probs.numpy(), atol=0.02)
    assert norch.allclose(d.log_prob(norch.tensor([2, 0])), norch.stack([probs[0, 2], probs[1, 0]]).log())
    assert norch.allclose(d.entropy(), -(probs * probs.log()).sum(-1))
    one_hot = D.OneHotCategorical(logits=logits)
    x = one_hot.sample((5,))
    assert x.shape == (5, 2, 3) and (x.sum(-1) == 1).all()
    assert norch.allclose(one_hot.log_prob(x), d.log_prob(x.argmax(-1)))
    multinomial = D.Multinomial(6, probs=probs)
    counts = multinomial.sample((4,))
    assert (counts.sum(-1) == 6).all()
    want = stats.multinomial(6, probs[0].numpy()).logpmf(counts[:, 0].numpy())
    np.testing.assert_allclose(multinomial.log_prob(counts)[:, 0].numpy(), want, rtol=1e-9)
    straight = D.OneHotCategoricalStraightThrough(logits=logits.clone().requires_grad_())
    straight.rsample()[..., 0].sum().backward()


def test_multivariate_normal_in_its_three_forms():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(3, 3))
    cov, loc = a @ a.T + np.eye(3), rng.normal(size=3)
    x = rng.normal(size=(5, 3))
    expected = stats.multivariate_normal(loc, cov)
    forms = {"covariance_matrix": cov, "precision_matrix": np.linalg.inv(cov), "scale_tril": np.linalg.cholesky(cov)}
    for name, matrix in forms.items():
        d = D.MultivariateNormal(norch.from_numpy(loc), **{name: norch.from_numpy(matrix.copy())})
        np.testing.assert_allclose(d.log_prob(norch.from_numpy(x)).numpy(), expected.logpdf(x), rtol=1e-9)
        np.testing.assert_allclose(d.entropy().item(), expected.entropy(), rtol=1e-9)
        np.testing.assert_allclose(d.covariance_matrix.numpy(), cov, rtol=1e-9)
        np.testing.assert_allclose(d.variance.numpy(), np.diag(cov), rtol=1e-9)
    factor, diag = norch.from_numpy(a[:, :2].copy()), t(0.5, 1.0, 2.0)
    low_rank = D.LowRankMultivariateNormal(norch.from_numpy(loc), factor, diag)
    full = D.MultivariateNormal(norch.from_numpy(loc), factor @ factor.T + diag.diag())
    assert norch.allclose(low_rank.log_prob(norch.from_numpy(x)), full.log_prob(norch.from_numpy(x)))
    for p, q in ((low_rank, full), (full, low_rank), (low_rank, low_rank)):
        assert abs(D.kl_divergence(p, q).item()) < 1e-9
    norch.manual_seed(4)
    samples = full.sample((20000,)).numpy()
    np.testing.assert_allclose(np.cov(samples.T), full.covariance_matrix.numpy(), atol=0.25)


def test_wishart_and_lkj():
    scale = norch.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=F64)
    d = D.Wishart(t(5.0)[0], scale)
    x = norch.tensor([[3.0, 1.0], [1.0, 4.0]], dtype=F64)
    assert math.isclose(d.log_prob(x).item(), stats.wishart(5, scale.numpy()).logpdf(x.numpy()), rel_tol=1e-9)
    norch.manual_seed(5)
    samples = d.sample((8000,))
    np.testing.assert_allclose(samples.mean(0).numpy(), 5 * scale.numpy(), atol=0.35)
    factors = D.LKJCholesky(3, 2.0).sample((100,))
    assert constraints.corr_cholesky.check(factors).all()


def test_samples_of_gamma_beta_and_dirichlet_have_gradients():
    """The derivative of a sample at a fixed quantile, from the inverse distribution functions of SciPy."""
    for a in (0.05, 0.5, 3.0, 40.0, 800.0, 3000.0):
        u = np.array([0.02, 0.3, 0.7, 0.98])
        x, h = stats.gamma(a).ppf(u), 1e-4 * a
        want = (stats.gamma(a + h).ppf(u) - stats.gamma(a - h).ppf(u)) / (2 * h)
        got = norch._standard_gamma_grad(norch.full((4,), a, dtype=F64), norch.from_numpy(x))
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-5, atol=1e-30)
    for a, b in ((0.3, 0.7), (2.0, 5.0), (30.0, 3.0), (200.0, 300.0)):
        x, h = stats.beta(a, b).ppf(u), 1e-4 * a
        want = (stats.beta(a + h, b).ppf(u) - stats.beta(a - h, b).ppf(u)) / (2 * h) / (1 - x)
        arguments = (norch.from_numpy(x), norch.full((4,), a, dtype=F64), norch.full((4,), a + b, dtype=F64))
        np.testing.assert_allclose(norch._dirichlet_grad(*arguments).numpy(), want, rtol=1e-5)
    # The mean of the gradient is the gradient of the mean.
    concentration = norch.tensor([0.5, 1.5, 3.0], dtype=F64, requires_grad=True)
    norch.manual_seed(6)
    D.Dirichlet(concentration).rsample((20000,))[:, 0].mean().backward()
    total = 5.0
    np.testing.assert_allclose(concentration.grad.numpy(), np.array([4.5, -0.5, -0.5]) / total**2, atol=0.01)
    with pytest.raises(NotImplementedError, match="the derivative for '_standard_gamma_grad'"):
        (g,) = norch.autograd.grad(norch._standard_gamma(concentration).sum(), concentration, create_graph=True)
        g.sum().backward()


def test_nothing_loops_for_ever_on_nan():
    nan = norch.tensor([math.nan, math.inf, 0.0, -1.0], dtype=F64)
    assert norch._standard_gamma(nan)[0].isnan()
    assert norch.binomial(nan, norch.full_like(nan, 0.5))[0].isnan()
    assert norch.binomial(norch.full_like(nan, 5.0), nan)[0].isnan()
    assert D.VonMises(nan, nan, validate_args=False).sample().isnan().all()


PAIRS = [
    (D.Normal(0.3, 1.2), D.Normal(-0.5, 0.8)),
    (D.Gamma(2.0, 1.5), D.Gamma(3.0, 0.5)),
    (D.Beta(2.0, 3.0), D.Beta(1.5, 1.0)),
    (D.Laplace(0.0, 1.0), D.Laplace(1.0, 2.0)),
    (D.Gumbel(0.0, 1.0), D.Gumbel(0.5, 2.0)),
    (D.Uniform(0.2, 0.6), D.Uniform(0.0, 1.0)),
    (D.Normal(0.3, 1.2), D.Laplace(0.0, 1.0)),
    (D.Normal(0.3, 1.2), D.Gumbel(0.0, 1.0)),
    (D.Gamma(3.0, 2.0), D.Gumbel(0.0, 1.0)),
    (D.Exponential(1.5), D.Gamma(2.0, 1.0)),
    (D.Beta(2.0, 3.0), D.Gamma(2.0, 1.0)),
    (D.Beta(2.0, 3.0), D.ContinuousBernoulli(0.3)),
    (D.Pareto(1.0, 4.5), D.Gamma(2.0, 1.0)),
    (D.Uniform(0.2, 0.6), D.Beta(2.0, 3.0)),
    (D.Uniform(1.2, 1.6), D.Pareto(1.0, 2.0)),
    (D.Weibull(1.0, 2.0), D.Weibull(1.0, 2.0)),
]


@pytest.mark.parametrize("p, q", PAIRS, ids=lambda d: type(d).__name__)
def test_kl_is_the_mean_of_the_difference(p, q):
    if isinstance(p, D.Weibull):
        assert p.transforms != q.transforms or abs(D.kl_divergence(p, q).item()) < 1e-6
        return
    norch.manual_seed(7)
    x = p.sample((40000,))
    difference = p.log_prob(x) - q.log_prob(x)
    error = 6 * difference.std().item() / 200 + 1e-5
    assert abs(D.kl_divergence(p, q).item() - difference.mean().item()) < error


def test_kl_where_there_is_none():
    assert D.kl_divergence(D.Normal(0.0, 1.0), D.Gamma(1.0, 1.0)).item() == math.inf
    assert D.kl_divergence(D.Uniform(0.0, 2.0), D.Uniform(0.0, 1.0)).item() == math.inf
    with pytest.raises(NotImplementedError, match=r"No KL\(p \|\| q\) is implemented for p type Gumbel and q type Bern"):
        D.kl_divergence(D.Gumbel(0.0, 1.0), D.Bernoulli(0.5))
    with pytest.raises(TypeError, match="Expected type_p to be a Distribution subclass"):
        D.register_kl(3, D.Normal)

    class Mine(D.Normal):
        pass

    assert D.kl_divergence(Mine(0.0, 1.0), D.Normal(0.0, 1.0)).item() == 0
    D.register_kl(Mine, D.Normal)(lambda p, q: norch.tensor(7.0))
    assert D.kl_divergence(Mine(0.0, 1.0), D.Normal(0.0, 1.0)).item() == 7


TRANSFORMS = [
    transforms.ExpTransform(),
    transforms.AffineTransform(1.0, -2.0),
    transforms.SigmoidTransform(),
    transforms.TanhTransform(),
    transforms.SoftplusTransform(),
    transforms.ComposeTransform([transforms.ExpTransform(), transforms.PowerTransform(2.5)]),
    transforms.CumulativeDistributionTransform(D.Normal(0.0, 1.0)),
    transforms.StickBreakingTransform(),
    transforms.CorrCholeskyTransform(),
    transforms.IndependentTransform(transforms.ExpTransform(), 1),
    transforms.StackTransform([transforms.ExpTransform(), transforms.TanhTransform()], dim=-1),
    transforms.CatTransform([transforms.ExpTransform(), transforms.TanhTransform()], dim=-1, lengths=[2, 1]),
]


@pytest.mark.parametrize("transform", TRANSFORMS, ids=lambda f: type(f).__name__)
def test_transforms(transform):
    n = 2 if isinstance(transform, transforms.StackTransform) else 3
    x = norch.tensor([0.3, -0.7, 0.5][:n], dtype=F64)
    y = transform(x)
    assert norch.allclose(transform.inv(y), x) and transform.inv.inv is transform
    got = transform.log_abs_det_jacobian(x, y)
    assert norch.allclose(transform.inv.log_abs_det_jacobian(y, x), -got)
    rows = []
    for i in range(n):
        step = norch.zeros(n, dtype=F64)
        step[i] = 1e-6
        rows.append((transform(x + step) - transform(x - step)).reshape(-1) / 2e-6)
    jacobian = norch.stack(rows)
    if isinstance(transform, transforms.StickBreakingTransform):
        jacobian = jacobian[:, :-1]
    if isinstance(transform, transforms.CorrCholeskyTransform):
        jacobian = jacobian[:, [3, 6, 7]]
    want = norch.linalg.slogdet(jacobian).logabsdet
    assert math.isclose(got.sum().item(), want.item(), abs_tol=1e-6)
    assert type(pickle.loads(pickle.dumps(transform))) is type(transform)


def test_biject_to_and_transform_to():
    x = norch.randn(2, 3, dtype=F64)
    c = constraints
    for constraint in (c.real, c.positive, c.nonnegative, c.unit_interval, c.interval(-1.0, 2.0), c.greater_than(1.0),
                       c.less_than(1.0), c.simplex, c.real_vector, c.corr_cholesky, c.independent(c.positive, 1)):
        for registry in (D.biject_to, D.transform_to):
            assert constraint.check(registry(constraint)(x)).all()
    square = norch.randn(3, 3, dtype=F64)
    for constraint in (c.lower_cholesky, c.positive_definite):
        assert constraint.check(D.transform_to(constraint)(square)).all()
    with pytest.raises(NotImplementedError, match="Cannot transform _Boolean constraints"):
        D.biject_to(c.boolean)


def test_mixture_and_independent():
    components = D.Independent(D.Normal(norch.tensor([[0.0, 1.0], [4.0, 5.0]], dtype=F64), 0.5), 1)
    mixture = D.MixtureSameFamily(D.Categorical(t(0.25, 0.75)), components)
    assert mixture.event_shape == (2,) and mixture.batch_shape == ()
    assert norch.allclose(mixture.mean, t(3.0, 4.0)) and norch.allclose(mixture.variance, t(3.25, 3.25))
    x = t(0.5, 1.5)
    want = np.log(sum(w * np.prod(stats.norm(m, 0.5).pdf(x.numpy())) for w, m in ((0.25, [0, 1]), (0.75, [4, 5]))))
    assert math.isclose(mixture.log_prob(x).item(), want, rel_tol=1e-9)
    norch.manual_seed(8)
    assert mixture.sample((3, 4)).shape == (3, 4, 2)


def test_relaxations_are_differentiable():
    logits = norch.zeros(3, dtype=F64, requires_grad=True)
    sample = D.RelaxedOneHotCategorical(t(0.5), logits=logits).rsample()
    assert math.isclose(sample.sum().item(), 1, rel_tol=1e-9)
    sample[0].backward()
    assert logits.grad.abs().sum() > 0
    d = D.RelaxedBernoulli(t(0.5)[0], logits=norch.zeros((), dtype=F64))
    x = norch.linspace(1e-6, 1 - 1e-6, 100001, dtype=F64)
    assert abs(norch.trapezoid(d.log_prob(x).exp(), x).item() - 1) < 2e-2


def test_shapes_and_expand():
    for make, _ in {**CONTINUOUS, **DISCRETE}.values():
        d = make()
        wide = d.expand((4, 1))
        assert type(wide) is type(d) and wide.batch_shape == (4, 1)
        x = wide.sample((2,))
        assert x.shape == (2, 4, 1)
        assert norch.allclose(wide.log_prob(x), d.log_prob(x))

    class Custom(D.Normal):
        def __init__(self):
            super().__init__(0.0, 1.0)

    with pytest.raises(NotImplementedError, match="must also define a custom .expand"):
        Custom().expand((2,))


def test_errors():
    cases = [
        (lambda: D.Normal(norch.zeros(2), -norch.ones(2)), r"Expected parameter scale \(Tensor of shape \(2,\)\)"),
        (lambda: D.Normal(0.0, 1.0).log_prob(norch.tensor(math.nan)), "Expected value argument"),
        (lambda: D.Normal(0.0, 1.0).log_prob(1.0), "must be a Tensor"),
        (lambda: D.Normal(norch.zeros(3), 1.0).log_prob(norch.zeros(2)), "not broadcastable"),
        (lambda: D.Normal("a", 1.0), "instances of Number"),
        (lambda: D.Bernoulli(), "Either `probs` or `logits`"),
        (lambda: D.Categorical(norch.tensor(0.5)), "at least one-dimensional"),
        (lambda: D.Categorical(norch.ones(3)).log_prob(norch.tensor(3)), "within the support"),
        (lambda: D.Uniform(1.0, 0.0), "LessThan"),
        (lambda: D.MultivariateNormal(norch.zeros(2)), "Exactly one of"),
        (lambda: D.Independent(D.Normal(0.0, 1.0), 1), "Expected reinterpreted_batch_ndims"),
        (lambda: D.LKJCholesky(1), "dim=1"),
        (lambda: D.TransformedDistribution(D.Normal(0.0, 1.0), 3), "must be a Transform or list"),
    ]
    for call, text in cases:
        with pytest.raises(ValueError, match=text):
            call()
    assert D.Normal(0.0, -1.0, validate_args=False).log_prob(norch.tensor(1.0)).isnan()
    assert repr(D.Normal(0.0, 1.0)) == "Normal(loc: 0.0, scale: 1.0)"


def test_bounds_of_constraints_by_name():
    c = D.constraints
    assert repr(c.greater_than(lower_bound=2)) == "GreaterThan(lower_bound=2)" and c.positive.lower_bound == 0.0
    assert repr(c.interval(0, upper_bound=3)) == "Interval(lower_bound=0, upper_bound=3)"
    assert c.less_than(upper_bound=1).check(norch.tensor([0.0, 2.0])).tolist() == [True, False]
    with pytest.raises(TypeError):
        c.half_open_interval(0)

    class Softplus(type(c.positive)):
        def __init__(self):
            super().__init__(lower_bound=0.0)

    assert Softplus().check(norch.tensor(1.0)).item()
