"""Trains GPT-2 on token files made by prepare.py.

    python examples/gpt2/train.py --data data/book --out runs/book
    python examples/gpt2/train.py --out runs/book --resume

A run that was interrupted, at any moment, goes on from its last checkpoint with --resume and ends with the same bits
as one that was not. It keeps its options, but for those given anew.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Sequence

from tqdm import tqdm

import norch
from norch import optim
from norch.nn.utils import clip_grad_norm_

import weights
from data import Batches, describe
from model import GPT2, Config, parameter_groups


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", help="folder that prepare.py wrote")
    p.add_argument("--out", required=True, help="folder for checkpoint.pt")
    p.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    p.add_argument("--init", help="safetensors file of GPT-2 to start from, instead of random weights")
    p.add_argument("--device", default="cuda" if norch.cuda.is_available() else "cpu")
    for name, default in asdict(Config(tokens=0)).items():
        note = "; 0: the tokenizer's, rounded up to a multiple of 128" if name == "tokens" else ""
        p.add_argument(f"--{name}", type=type(default), default=default, help=f"of the model (default {default}{note})")
    p.add_argument("--batch", type=int, default=8, help="sequences at a time")
    p.add_argument("--accumulate", type=int, default=4, help="batches whose gradients make one step")
    p.add_argument("--steps", type=int, default=1000)
    p.add_argument("--lr", type=float, default=6e-4, help="highest learning rate")
    p.add_argument("--final-lr", type=float, default=0.1, help="last learning rate, as a share of the highest")
    p.add_argument("--warmup", type=int, default=100, help="steps until the highest learning rate")
    p.add_argument("--weight-decay", type=float, default=0.1)
    p.add_argument("--clip", type=float, default=1.0, help="highest norm of the gradient; 0: any")
    p.add_argument("--autocast", choices=["bfloat16", "off"], help="default: bfloat16 on a GPU, off on the CPU")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--evaluate", type=int, default=100, metavar="N", help="every N steps; 0: never")
    p.add_argument("--evaluate-batches", type=int, default=20)
    p.add_argument("--checkpoint", type=int, default=100, metavar="N", help="every N steps, and at the end")
    p.add_argument("--log", type=int, default=10, metavar="N", help="loss and speed every N steps")
    p.add_argument("--quiet", action="store_true")
    return p


def schedule(step: int, warmup: int, steps: int, final: float) -> float:
    """The learning rate's factor: up along a line, then down along half a cosine to `final`."""
    if step < warmup:
        return (step + 1) / warmup
    done = min(1.0, (step - warmup) / max(1, steps - warmup))
    return final + (1 - final) * (1 + math.cos(math.pi * done)) / 2


class Training:
    """Everything that a checkpoint holds, and the steps that change it."""

    def __init__(self, args: argparse.Namespace, checkpoint: dict | None = None) -> None:
        self.args = args
        self.device_type = norch.device(args.device).type
        self.autocast = (args.autocast or ("bfloat16" if self.device_type == "cuda" else "off")) != "off"
        norch.manual_seed(args.seed)
        meta = describe(args.data)
        self.tokenizer = meta["tokenizer"]
        tokens = args.tokens or -(-meta["tokens"] // 128) * 128
        if tokens < meta["tokens"]:
            raise ValueError(f"--tokens {tokens}: the files in {args.data} have {meta['tokens']} tokens")
        if checkpoint:
            self.model = GPT2(Config(**checkpoint["config"])).to(args.device)
        elif args.init:
            self.model = weights.load(args.init, tokens=tokens, dropout=args.dropout, device=args.device)
        else:
            sizes = (args.layers, args.heads, args.width, tokens, args.context, args.dropout)
            self.model = GPT2(Config(*sizes)).to(args.device)
        self.config = self.model.config
        groups = parameter_groups(self.model, args.weight_decay)
        self.optimizer = optim.AdamW(groups, lr=args.lr, betas=(0.9, 0.95))
        self.schedule = optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: schedule(step, args.warmup, args.steps, args.final_lr)
        )
        length = min(args.context, self.config.context)
        where = (args.batch, length, args.device)
        self.batches = Batches(Path(args.data) / "train.bin", *where, seed=args.seed)
        self.held_out = Batches(Path(args.data) / "val.bin", *where) if args.evaluate else None
        self.tokens_per_step = args.batch * args.accumulate * length
        self.step_number = 0
        if checkpoint:
            self.load_state_dict(checkpoint)

    def state_dict(self) -> dict[str, Any]:
        return {
            "config": asdict(self.config),
            "tokenizer": self.tokenizer,
            "options": {k: v for k, v in vars(self.args).items() if k not in ("out", "resume", "quiet")},
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "batches": self.batches.state_dict(),
            "generator": norch.get_rng_state(),
            "step": self.step_number,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.batches.load_state_dict(state["batches"])
        norch.set_rng_state(state["generator"])
        self.step_number = state["step"]

    def loss(self, tokens: norch.Tensor, targets: norch.Tensor) -> norch.Tensor:
        with norch.autocast(self.device_type, norch.bfloat16, self.autocast):
            return self.model(tokens, targets)

    def step(self) -> norch.Tensor:
        """One step of the optimizer; returns the loss, which stays on the device."""
        self.model.train()
        self.optimizer.zero_grad()
        total = norch.zeros((), device=self.args.device)
        for _ in range(self.args.accumulate):
            loss = self.loss(*self.batches.next()) / self.args.accumulate
            loss.backward()
            total += loss.detach()
        if self.args.clip:
            clip_grad_norm_(self.model.parameters(), self.args.clip)
        self.optimizer.step()
        self.schedule.step()
        self.step_number += 1
        return total

    @norch.no_grad()
    def evaluate(self) -> float:
        """The mean loss over the first batches of the held-out tokens."""
        assert self.held_out is not None
        self.model.eval()
        total, count = norch.zeros((), device=self.args.device), 0
        for tokens, targets in self.held_out.first(self.args.evaluate_batches):
            total += self.loss(tokens, targets) * len(tokens)
            count += len(tokens)
        return total.item() / count


def options(arguments: Sequence[str] | None = None) -> tuple[argparse.Namespace, dict | None]:
    """The options, and the checkpoint to go on from."""
    p = parser()
    args = p.parse_args(arguments)
    checkpoint = None
    if args.resume:
        path = Path(args.out) / "checkpoint.pt"
        if not path.is_file():
            p.error(f"--resume: there is no {path}")
        checkpoint = norch.load(path, map_location="cpu")
        p.set_defaults(**checkpoint["options"])
        args = p.parse_args(arguments)
    if not args.data:
        p.error("--data is needed: a folder that prepare.py wrote")
    return args, checkpoint


def main(arguments: Sequence[str] | None = None) -> float | None:
    """Trains; returns the last loss on held-out tokens."""
    args, checkpoint = options(arguments)
    training = Training(args, checkpoint)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    progress = tqdm(
        total=args.steps, initial=training.step_number, desc=f"gpt2 on {args.device}", unit="step", disable=args.quiet
    )
    held_out, last, start = None, training.step_number, time.perf_counter()
    while training.step_number < args.steps:
        loss = training.step()
        n = training.step_number
        progress.update()
        if n % args.log == 0 or n == args.steps:
            value = loss.item()  # waits for the device
            rate = (n - last) * training.tokens_per_step / (time.perf_counter() - start)
            progress.set_postfix_str(f"loss {value:.4f}, {rate:,.0f} tokens/s")
            last, start = n, time.perf_counter()
        if args.evaluate and (n % args.evaluate == 0 or n == args.steps):
            held_out = training.evaluate()
            if not args.quiet:
                progress.write(f"step {n}: loss {held_out:.4f} on held-out tokens")
            last, start = n, time.perf_counter()
        if n % args.checkpoint == 0 or n == args.steps:
            norch.save(training.state_dict(), out / "checkpoint.pt")  # replaces the last one once it is complete
            last, start = n, time.perf_counter()
    progress.close()
    return held_out


if __name__ == "__main__":
    main()
