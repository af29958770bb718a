"""functorch, the package that became torch.func: under norch.compat `import functorch` gives this module."""

from norch.func import grad, grad_and_value, hessian, jacfwd, jacrev, jvp, vjp, vmap

from .make_functional import combine_state_for_ensemble, make_functional, make_functional_with_buffers

__all__ = [
    "combine_state_for_ensemble",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "make_functional",
    "make_functional_with_buffers",
    "vjp",
    "vmap",
]
