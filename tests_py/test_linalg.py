"""Linear algebra: factors that are unique up to signs, errors, gradients, `out=`."""

import numpy as np
import pytest

import norch
from norch.autograd import gradcheck, gradgradcheck

linalg = norch.linalg


def close(got, want, tolerance=1e-10):
    want = want.detach().cpu().numpy() if isinstance(want, norch.Tensor) else np.asarray(want)
    assert tuple(got.shape) == want.shape
    np.testing.assert_allclose(got.detach().cpu().numpy(), want, rtol=tolerance, atol=tolerance)


def random(*shape, device="cpu", requires_grad=False):
    t = norch.tensor(np.random.uniform(-1, 1, shape), device=device)
    return t.requires_grad_() if requires_grad else t


SHAPES = ((3, 3), (5, 3), (3, 5), (2, 4, 2), (2, 2, 4), (0, 3), (3, 0), (0, 3, 2))


@pytest.mark.parametrize("shape", SHAPES)
def test_factors_multiply_to_the_matrix(shape, device):
    a = random(*shape, device=device)
    m, n = shape[-2:]
    k = min(m, n)
    for full in (False, True):
        u, s, vh = linalg.svd(a, full_matrices=full)
        assert u.shape[-2:] == (m, m if full else k) and vh.shape[-2:] == (n if full else k, n)
        close(u[..., :k] * s.unsqueeze(-2) @ vh[..., :k, :], a)
        close(u.mT @ u, np.broadcast_to(np.eye(u.shape[-1]), (*shape[:-2], u.shape[-1], u.shape[-1])))
        close(vh @ vh.mT, np.broadcast_to(np.eye(vh.shape[-2]), (*shape[:-2], vh.shape[-2], vh.shape[-2])))
    for mode in ("reduced", "complete"):
        q, r = linalg.qr(a, mode)
        close(q @ r, a)
        close(q.mT @ q, np.broadcast_to(np.eye(q.shape[-1]), (*shape[:-2], q.shape[-1], q.shape[-1])))
        close(r, norch.triu(r))
    close(linalg.qr(a, "r").R, r if m <= n else r[..., :n, :])
    assert linalg.qr(a, "r").Q.numel() == 0
    p, low, up = linalg.lu(a)
    close(p @ low @ up, a)
    lu, pivots = linalg.lu_factor_ex(a)[:2]
    assert pivots.dtype == norch.int32 and pivots.shape == (*shape[:-2], k)
    for got, want in zip(norch.lu_unpack(lu, pivots), (p, low, up)):
        close(got, want)


@pytest.mark.parametrize("shape", ((3, 3), (2, 4, 4), (0, 0)))
def test_symmetric_factors(shape, device):
    a = random(*shape, device=device)
    a = a + a.mT
    for uplo in "LU":
        w, v = linalg.eigh(norch.tril(a) if uplo == "L" else norch.triu(a), UPLO=uplo)
        close(v * w.unsqueeze(-2) @ v.mT, a)
        close(linalg.eigvalsh(a, uplo), w)
    b = random(*shape[:-1], 2, device=device)
    ld, pivots = linalg.ldl_factor(a)
    close(a @ linalg.ldl_solve(ld, pivots, b), b)
    spd = a @ a.mT + norch.eye(shape[-1], dtype=a.dtype, device=device)
    for upper in (False, True):
        factor = linalg.cholesky(spd, upper=upper)
        close(factor.mT @ factor if upper else factor @ factor.mT, spd)
        close(norch.cholesky_solve(b, factor, upper=upper), linalg.solve(spd, b))
        close(norch.cholesky_inverse(factor, upper=upper), linalg.inv(spd))


def test_solvers_agree(device):
    a, b = random(2, 1, 4, 4, device=device), random(3, 4, 2, device=device)
    lu, pivots = linalg.lu_factor(a)
    close(a @ linalg.lu_solve(lu, pivots, b), b + norch.zeros_like(a[..., :2]))
    close(a.mT @ linalg.lu_solve(lu, pivots, b, adjoint=True), b + norch.zeros_like(a[..., :2]))
    close(linalg.lu_solve(lu, pivots, b.mT, left=False) @ a, b.mT + norch.zeros_like(a[..., :2, :]))
    a, b = random(6, 3, device=device), random(6, 2, device=device)
    want = np.linalg.lstsq(a.cpu().numpy(), b.cpu().numpy(), rcond=None)
    for driver in ("gels", "gelsy", "gelsd", "gelss"):
        x, residuals, rank, values = linalg.lstsq(a, b, driver=driver)
        close(x, want[0])
        if driver != "gelsy":
            close(residuals, want[1])
        if driver != "gels":
            assert int(rank) == 3
        if driver in ("gelsd", "gelss"):
            close(values, want[3])
    close(linalg.lstsq(a.mT, b[:3], driver="gels").solution, linalg.pinv(a.mT) @ b[:3])


def test_householder_form(device):
    a, c = random(2, 4, 3, device=device), random(2, 4, 5, device=device)
    h, tau = norch.geqrf(a)
    q = norch.linalg.qr(a, "complete").Q
    close(linalg.householder_product(h, tau), q[..., :3])
    close(norch.ormqr(h, tau, c), q @ c)
    close(norch.ormqr(h, tau, c, transpose=True), q.mT @ c)
    close(norch.ormqr(h, tau, c.mT, left=False), c.mT @ q)


def test_low_rank(device):
    left, right = random(9, 2, device=device), random(2, 7, device=device)
    for a in (left @ right, (left @ right).mT):
        u, s, v = norch.svd_lowrank(a, q=3)
        close(u * s @ v.mT, a, 1e-8)
        u, s, v = norch.pca_lowrank(a, q=3)
        close(u * s @ v.mT, a - a.mean(0, keepdim=True), 1e-8)
    with pytest.raises(ValueError, match="not greater than min"):
        norch.pca_lowrank(a, q=100)


def check_gradients(f, *inputs):
    gradcheck(f, inputs)
    gradgradcheck(f, inputs)


def test_gradients_of_factors(device):
    for shape in ((3, 3), (4, 2), (2, 2, 3)):
        a = random(*shape, device=device, requires_grad=True)
        k = min(shape[-2:])

        def svd(a):
            u, s, vh = linalg.svd(a, full_matrices=False)
            return s, u.abs(), vh.abs(), u * s.unsqueeze(-2) @ vh

        def lu(a):
            return linalg.lu(a)[1:]

        check_gradients(svd, a)
        check_gradients(lambda a: tuple(linalg.qr(a)), a)
        check_gradients(lu, a)
        check_gradients(lambda a: linalg.lu_factor(a)[0], a)
        check_gradients(lambda a: linalg.svdvals(a)[..., :k], a)
        check_gradients(linalg.pinv, a)
    a = random(2, 3, 3, device=device, requires_grad=True)

    def eigh(a):
        w, v = linalg.eigh(a + a.mT)
        return w, v.abs()

    def cholesky(a):
        return linalg.cholesky(a @ a.mT + norch.eye(3, dtype=a.dtype, device=a.device))

    check_gradients(eigh, a)
    check_gradients(cholesky, a)
    h, tau = (t.contiguous().detach().requires_grad_() for t in norch.geqrf(a.detach()))
    c = random(2, 3, 2, device=device, requires_grad=True)
    check_gradients(norch.ormqr, h, tau, c)
    b = random(2, 3, 1, device=device, requires_grad=True)
    check_gradients(lambda a, b: linalg.lstsq(a, b).solution, a, b)
    check_gradients(lambda l, b: norch.cholesky_solve(b, l), norch.tril(a.detach() + 3).requires_grad_(), b)


def test_gradient_of_det_at_singular_matrices(device):
    for a in ([[1.0, 2.0], [2.0, 4.0]], [[0.0, 0.0], [0.0, 3.0]], [[0.0, 0.0], [0.0, 0.0]]):
        x = norch.tensor(a, dtype=norch.float64, device=device, requires_grad=True)
        (g,) = norch.autograd.grad(linalg.det(x), x, create_graph=True)
        close(g, [[a[1][1], -a[1][0]], [-a[0][1], a[0][0]]], 1e-6)


def test_modes_without_gradient(device):
    a = random(4, 3, device=device, requires_grad=True)
    with pytest.raises(RuntimeError, match="mode='r'"):
        linalg.qr(a, "r").R.sum().backward()
    with pytest.raises(RuntimeError, match="mode='complete' and nrows > ncols"):
        linalg.qr(a, "complete").R.sum().backward()
    with pytest.raises(RuntimeError, match="the derivative for 'geqrf' is not implemented"):
        norch.geqrf(a)[0].sum().backward()


def test_errors_name_the_matrix(device):
    assert issubclass(linalg.LinAlgError, RuntimeError)
    a = norch.eye(3, device=device).repeat(4, 1, 1)
    a[2] = 0
    with pytest.raises(linalg.LinAlgError, match=r"linalg.inv: \(Batch element 2\): The diagonal element 1 is zero"):
        linalg.inv(a)
    with pytest.raises(linalg.LinAlgError, match="the leading minor of order 2 is not positive-definite"):
        linalg.cholesky(norch.tensor([[1.0, 0.0], [0.0, -1.0]], device=device))
    with pytest.raises(RuntimeError, match="Expected UPLO argument to be 'L' or 'U', but got X"):
        linalg.eigh(a, "X")
    assert linalg.inv_ex(a).info.tolist() == [0, 0, 1, 0]
    assert linalg.cholesky_ex(-a).info.tolist() == [1, 1, 1, 1]
    with pytest.raises(linalg.LinAlgError, match="linalg.solve_ex"):
        linalg.solve_ex(a, a, check_errors=True)
    bad = norch.full((2, 3, 3), float("nan"), device=device)
    bad[0] = 1
    with pytest.raises(linalg.LinAlgError, match=r"\(Batch element 1\): .* non-finite values"):
        linalg.svd(bad)
    assert linalg.eigvalsh(bad)[1].isnan().all()
    if device == "cpu":
        with pytest.raises(RuntimeError, match="LU without pivoting is not implemented on the CPU"):
            linalg.lu(a, pivot=False)


def test_cond_of_singular_matrices(device):
    a = norch.tensor([[1.0, 2.0], [2.0, 4.0]], device=device)
    assert norch.isinf(linalg.cond(a, "fro")) and linalg.cond(a) > 1e6
    assert linalg.matrix_rank(norch.zeros(3, 2, 2, device=device)).tolist() == [0, 0, 0]
    values = norch.tensor([[1.0, 0.0], [0.0, 0.01]], device=device)
    assert int(linalg.matrix_rank(values, 0.1)) == 1 and int(linalg.matrix_rank(values, atol=0.001)) == 2
    assert int(linalg.matrix_rank(values, rtol=norch.tensor(0.1, device=device), hermitian=True)) == 1


def test_out_and_names(device):
    a = random(3, 3, device=device)
    out = norch.empty(0, dtype=a.dtype, device=device)
    assert linalg.inv(a, out=out) is out
    close(out, linalg.inv(a))
    outs = [norch.empty(0, dtype=a.dtype, device=device) for _ in range(3)]
    result = linalg.svd(a, out=outs)
    assert result.U is outs[0] and type(result).__name__ == "linalg_svd"
    assert linalg.slogdet(a).__match_args__ == ("sign", "logabsdet")
    with pytest.raises(TypeError, match="as many tensors as the function gives"):
        linalg.svd(a, out=outs[:2])


def test_matrix_exp_of_large_and_small_matrices(device):
    a = norch.tensor([[0.0, 1.0], [-1.0, 0.0]], dtype=norch.float64, device=device) * norch.tensor(
        [1e-3, 1.0, 300.0], dtype=norch.float64, device=device).reshape(3, 1, 1)
    angle = np.array([1e-3, 1.0, 300.0])
    want = np.stack([np.stack([np.cos(angle), np.sin(angle)], -1), np.stack([-np.sin(angle), np.cos(angle)], -1)], -2)
    close(linalg.matrix_exp(a), want, 1e-11)


def test_lstsq_of_matrices_with_fewer_dims(device):
    a, b = norch.eye(3, device=device).expand(3, 1, 3, 3), norch.randn(3, 3, 3, device=device)
    for driver in ("gels", "GELSY" if device == "cpu" else "gels"):
        x = linalg.lstsq(a, b, driver=driver).solution
        assert x.shape == (3, 3, 3, 3)
        close(x, b.expand(3, 3, 3, 3).cpu().numpy(), 1e-5)
    assert linalg.lstsq(a[:, 0], b[:, 0]).solution.shape == (3, 3)


def test_lu_of_a_singular_matrix(device):
    lu, pivots = norch.lu(norch.zeros(2, 2, device=device))
    assert lu.tolist() == [[0, 0], [0, 0]] and pivots.tolist() == [1, 2]
    assert norch.lu(norch.zeros(2, 2, device=device), get_infos=True)[2].item() == 1


def test_number_of_threads_changes_nothing():
    a = norch.tensor(np.random.uniform(-1, 1, (7, 40, 40)).astype("float32"))
    threads = norch.get_num_threads()
    results = []
    try:
        for n in (1, 3):
            norch.set_num_threads(n)
            results.append([linalg.inv(a), *linalg.svd(a), *linalg.eigh(a), *linalg.qr(a)])
    finally:
        norch.set_num_threads(threads)
    for one, several in zip(*results):
        np.testing.assert_array_equal(one.numpy(), several.numpy())
