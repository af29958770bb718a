"""The programs in examples/ and benchmarks/curves.py, with tiny settings."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import norch
from norch.utils.safetensors import save_file

ROOT = Path(__file__).resolve().parent.parent
GPT2 = ROOT / "examples/gpt2"
pytest.importorskip("tqdm")


def run(*command, status=0):
    """What a program printed."""
    result = subprocess.run([sys.executable, *map(str, command)], text=True, capture_output=True)
    assert result.returncode == status, result.stdout + result.stderr
    return result.stdout


@pytest.fixture
def gpt2(monkeypatch):
    """The modules of examples/gpt2, by name; they are forgotten afterwards, as other examples have the same names."""
    monkeypatch.syspath_prepend(GPT2)
    names = [path.stem for path in GPT2.glob("*.py")]
    yield {name: __import__(name) for name in names}
    for name in names:
        del sys.modules[name]


@pytest.fixture
def tokens(tmp_path):
    """A folder of token files."""
    text = "".join(f"{i} and {i} make {2 * i}; né\n" for i in range(60))
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    run(GPT2 / "prepare.py", tmp_path / "text.txt", tmp_path / "tokens", "--tokenizer", "bytes", "--held-out", "0.2")
    parts = [np.fromfile(tmp_path / "tokens" / f"{name}.bin", np.uint16) for name in ("train", "val")]
    assert bytes(np.concatenate(parts).tolist()).decode() == text
    assert len(parts[1]) == len(text.encode()) // 5
    assert json.loads((tmp_path / "tokens/meta.json").read_text()) == {"tokenizer": "bytes", "tokens": 256}
    return tmp_path / "tokens"


TINY = "--layers 1 --heads 2 --width 16 --context 16 --batch 4 --accumulate 2 --warmup 2 --device cpu".split()


def test_gpt2_trains_and_samples(tokens, tmp_path):
    options = [*TINY, "--steps", 40, "--evaluate", 20, "--lr", 1e-2, "--autocast", "bfloat16"]
    printed = run(GPT2 / "train.py", "--data", tokens, "--out", tmp_path / "run", *options)
    held_out = [float(line.split("loss ")[1].split()[0]) for line in printed.splitlines()]
    assert len(held_out) == 2 and held_out[1] < held_out[0] < np.log(256)
    command = [GPT2 / "sample.py", "--checkpoint", tmp_path / "run/checkpoint.pt", "--device", "cpu", "--tokens", 20]
    sample = run(*command, "--prompt", "7 and")
    assert sample.startswith("7 and") and sample == run(*command, "--prompt", "7 and")
    assert sample != run(*command, "--prompt", "7 and", "--seed", 1)
    assert run(*command, "--temperature", 0) == run(*command, "--top-k", 1, "--seed", 2)


# Ends the program at its second checkpoint, when the file is written but not in its place.
KILLED = f"""
import os, signal, sys
sys.path.insert(0, {str(GPT2)!r})
import train
replace, calls = os.replace, []
def interrupted(*arguments):
    calls.append(arguments)
    if len(calls) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(*arguments)
os.replace = interrupted
train.main(sys.argv[1:])
"""


def test_gpt2_killed_run_resumes_with_the_same_bits(tokens, tmp_path):
    options = [*TINY, "--data", tokens, "--steps", 9, "--checkpoint", 4, "--dropout", 0.2, "--evaluate", 3, "--quiet"]
    run(GPT2 / "train.py", "--out", tmp_path / "whole", *options)
    run("-c", KILLED, "--out", tmp_path / "killed", *options, status=-9)
    path = tmp_path / "killed/checkpoint.pt"
    assert norch.load(path)["step"] == 4
    run(GPT2 / "train.py", "--out", tmp_path / "killed", "--resume", "--quiet")
    a, b = norch.load(tmp_path / "whole/checkpoint.pt"), norch.load(path)
    assert a["step"] == b["step"] == 9 and a["schedule"] == b["schedule"] and a["batches"] == b["batches"]
    states = [[s["generator"], *s["model"].values()] for s in (a, b)]
    for state, s in zip(states, (a, b)):
        state += [t for moments in s["optimizer"]["state"].values() for t in moments.values()]
    assert len(states[0]) == len(states[1]) > 40
    for x, y in zip(*states):
        assert norch.as_tensor(x).numpy().tobytes() == norch.as_tensor(y).numpy().tobytes()


def test_gpt2_errors(tokens, tmp_path, gpt2):
    with pytest.raises(ValueError, match="tokens are too few for one sequence of 100000"):
        gpt2["data"].Batches(tokens / "val.bin", 1, 100000)
    with pytest.raises(FileNotFoundError, match="no meta.json there; make token files of a text with prepare.py"):
        gpt2["data"].describe(tmp_path)
    with pytest.raises(ValueError, match="the text is empty"):
        gpt2["prepare"].prepare("", tmp_path)
    run(GPT2 / "train.py", "--out", tmp_path, "--resume", status=2)


def test_gpt2_pieces_of_text(gpt2):
    text = "one\ntwo three\n\nfour" + "x" * 30
    pieces = list(gpt2["prepare"].pieces(text, 8))
    assert "".join(pieces) == text and pieces[:3] == ["one\n", "two thre", "e\n\n"] and max(map(len, pieces)) == 8


def logits_of(state, heads, tokens):
    """GPT-2 in NumPy, from weights under Hugging Face's names."""

    def norm(x, name):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        return x * state[f"{name}.weight"] + state[f"{name}.bias"]

    def layer(x, name):
        return x @ state[f"{name}.weight"] + state[f"{name}.bias"]

    t, (_, width) = len(tokens), state["wte.weight"].shape
    x = state["wte.weight"][tokens] + state["wpe.weight"][:t]
    for i in range(2):
        qkv = layer(norm(x, f"h.{i}.ln_1"), f"h.{i}.attn.c_attn").reshape(t, 3, heads, width // heads)
        q, k, v = qkv.transpose(1, 2, 0, 3)
        scores = np.where(np.tri(t, dtype=bool), q @ k.transpose(0, 2, 1) / np.sqrt(width // heads), -np.inf)
        e = np.exp(scores - scores.max(-1, keepdims=True))
        seen = (e / e.sum(-1, keepdims=True) @ v).transpose(1, 0, 2).reshape(t, width)
        x = x + layer(seen, f"h.{i}.attn.c_proj")
        y = layer(norm(x, f"h.{i}.ln_2"), f"h.{i}.mlp.c_fc")
        y = 0.5 * y * (1 + np.tanh(np.sqrt(2 / np.pi) * (y + 0.044715 * y**3)))
        x = x + layer(y, f"h.{i}.mlp.c_proj")
    return norm(x, "ln_f") @ state["wte.weight"].T


@pytest.mark.parametrize("prefix", ["", "transformer."])
def test_gpt2_weights_by_name(tmp_path, gpt2, prefix):
    width, context, rows = 8, 6, 11
    shapes = {"wte.weight": (rows, width), "wpe.weight": (context, width)}
    for i in range(2):
        for name, n in (("attn.c_attn", 3 * width), ("attn.c_proj", width), ("mlp.c_fc", 4 * width)):
            shapes |= {f"h.{i}.{name}.weight": (width, n), f"h.{i}.{name}.bias": (n,)}
        shapes |= {f"h.{i}.mlp.c_proj.weight": (4 * width, width), f"h.{i}.mlp.c_proj.bias": (width,)}
        shapes |= {f"h.{i}.{n}.{p}": (width,) for n in ("ln_1", "ln_2") for p in ("weight", "bias")}
    shapes |= {"ln_f.weight": (width,), "ln_f.bias": (width,)}
    state = {name: np.random.randn(*shape).astype(np.float32) / 2 for name, shape in shapes.items()}
    tensors = {prefix + name: norch.from_numpy(a) for name, a in state.items()}
    for i in range(2):  # the masks of the published files
        tensors[f"{prefix}h.{i}.attn.bias"] = norch.ones(1, 1, context, context).tril()
        tensors[f"{prefix}h.{i}.attn.masked_bias"] = norch.tensor(-1e4)
    if prefix:
        tensors["lm_head.weight"] = tensors["transformer.wte.weight"].clone()
    save_file(tensors, tmp_path / "model.safetensors")
    model = gpt2["weights"].load(tmp_path / "model.safetensors", heads=2, tokens=16)
    assert model.lm_head.weight is model.wte.weight
    tokens = [3, 0, 10, 7, 3]
    logits = model(norch.tensor([tokens])).detach().numpy()[0]
    assert logits.shape == (5, 16)
    np.testing.assert_allclose(logits[:, :rows], logits_of(state, 2, tokens), rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="the weights have 11 tokens, more than 8"):
        gpt2["weights"].load(tmp_path / "model.safetensors", heads=2, tokens=8)
    save_file({"conv.weight": norch.ones(2)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="not the weights of a GPT-2"):
        gpt2["weights"].load(tmp_path / "other.safetensors")


def test_resnet_on_a_folder_of_images(tmp_path):
    image = pytest.importorskip("PIL.Image")
    for part, count in (("train", 12), ("val", 3)):
        for label, level in (("bright", 200), ("dark", 40)):
            folder = tmp_path / part / label
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = np.random.randint(level - 30, level + 30, (40, 36, 3), np.uint8)
                image.fromarray(pixels).save(folder / f"{i}.png")
    command = [ROOT / "examples/resnet/train.py", "--device", "cpu", "--size", 32, "--width", 4, "--batch", 8]
    command += ["--epochs", 4, "--lr", 2, "--autocast", "bfloat16", "--out", tmp_path / "weights.pt"]
    printed = run(*command, "--data", tmp_path)
    assert printed.splitlines()[-1].startswith("epoch 4: loss") and "accuracy 100.00%" in printed.splitlines()[-1]
    assert norch.load(tmp_path / "weights.pt")["fc.weight"].shape == (2, 32)


def test_curves():
    program = ROOT / "benchmarks/curves.py"
    alone = f"import sys, runpy; sys.modules['torch'] = None; runpy.run_path({str(program)!r}, run_name='__main__')"
    printed = run("-c", alone, "--model", "gpt2", "--dtype", "float32", "--steps", 2, "--repeat-steps", 2)
    assert printed.splitlines()[-1].startswith("| gpt2") and printed.rstrip().endswith("| yes       |")
