"""Continues a text, with a model that train.py trained or with published weights.

    python examples/gpt2/sample.py --checkpoint runs/book/checkpoint.pt --prompt "Once upon a time"
    python examples/gpt2/sample.py --weights model.safetensors --prompt "Once upon a time" --temperature 0.8 --top-k 50
"""

from __future__ import annotations

import argparse
from pathlib import Path

import norch

import data
import weights
from model import GPT2, Config


def next_token(logits: norch.Tensor, temperature: float, top_k: int | None) -> norch.Tensor:
    """Draws one token [B, 1] from logits [B, tokens]: the likeliest at temperature 0, only among the k likeliest with
    top_k."""
    if temperature < 0 or (top_k is not None and top_k < 1):
        raise ValueError(f"sample: expected temperature >= 0 and top_k >= 1, but got {temperature} and {top_k}")
    if temperature == 0:
        return logits.argmax(-1, keepdim=True)
    if top_k is not None:
        kept, places = logits.topk(min(top_k, logits.shape[-1]))
        return places.gather(-1, norch.multinomial((kept / temperature).softmax(-1), 1))
    return norch.multinomial((logits / temperature).softmax(-1), 1)


@norch.no_grad()
def generate(
    model: GPT2,
    tokens: norch.Tensor,
    count: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    known: int | None = None,
) -> norch.Tensor:
    """`tokens` [B, T] and `count` more, [B, T + count]. Tokens from `known` on, which only pad the model's embedding,
    are never drawn."""
    model.eval()
    for _ in range(count):
        logits = model(tokens[:, -model.config.context :])[:, -1, :known].float()
        tokens = norch.cat([tokens, next_token(logits, temperature, top_k)], dim=1)
    return tokens


def load_checkpoint(path: str | Path, device: str = "cpu") -> tuple[GPT2, str]:
    """The model of a checkpoint of train.py, and its tokenizer's name."""
    checkpoint = norch.load(path, map_location=device)
    model = GPT2(Config(**checkpoint["config"])).to(device)
    model.load_state_dict(checkpoint["model"])
    return model, checkpoint["tokenizer"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--checkpoint", type=Path, help="written by train.py")
    source.add_argument("--weights", type=Path, help="safetensors file of GPT-2")
    parser.add_argument("--prompt", default="\n")
    parser.add_argument("--tokens", type=int, default=200, help="how many to draw")
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--top-k", type=int)
    parser.add_argument("--samples", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if norch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    norch.manual_seed(args.seed)
    if args.checkpoint:
        model, name = load_checkpoint(args.checkpoint, args.device)
    else:
        model, name = weights.load(args.weights, device=args.device), "gpt2"
    tokenizer = data.tokenizer(name)
    prompt = norch.tensor([tokenizer.encode(args.prompt or "\n")] * args.samples, device=args.device)
    for row in generate(model, prompt, args.tokens, args.temperature, args.top_k, tokenizer.tokens).tolist():
        print(tokenizer.decode(row), end="\n---\n" if args.samples > 1 else "\n")
