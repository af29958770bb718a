"""What a program is told when it asks for something that norch lacks."""

from __future__ import annotations

__all__ = ["explain", "reason"]

#: Parts of PyTorch that are left out on purpose, and why; docs/differences.md lists them too.
REASONS = {
    "torch.distributed.rpc": "norch trains on one machine's devices",
    "torch.distributed.fsdp": "norch does not shard models",
    "torch.autograd.forward_ad": "norch differentiates backward; norch.func.jvp gives the same derivatives",
    "torch.export": "norch has no graph of a program to export: operations run as they are called",
    "torch._inductor": "norch has no compiler; torch.compile returns the function itself",
    "torch._dynamo": "norch has no compiler; torch.compile returns the function itself",
    "torch.utils.cpp_extension": "extensions of PyTorch are built against PyTorch's C++ headers",
    "torch.quantization": "norch has no quantised tensors",
    "torch.ao": "norch has no quantised tensors",
    "torch.nested": "norch has no nested tensors; pad, or loop over a list",
    "torch.jagged": "norch has no nested tensors; pad, or loop over a list",
    "torch.mps": "norch runs on CPUs and CUDA GPUs",
    "torch.xpu": "norch runs on CPUs and CUDA GPUs",
    "torch._C": "PyTorch's own C++ module is not an interface",
}


def reason(name: str) -> str:
    """Why norch lacks `torch.x.y`, as far as that is decided, else an empty text."""
    parts = name.split(".")
    for n in range(len(parts), 0, -1):
        known = REASONS.get(".".join(parts[:n]))
        if known:
            return known
    return ""


def explain(name: str) -> str:
    """The end of an error's text: what is missing, why, and what to do."""
    why = reason(name)
    return (
        f"norch lacks {name}" + (f" ({why})" if why else "") + f". If your program needs it, ask for it in an issue of "
        f"norch that names {name}; `python -m norch.compat --check PROGRAM` lists all that a program uses and norch lacks"
    )
