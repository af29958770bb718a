"""Trains ResNet-18 or ResNet-50 on folders of images, or on synthetic ones.

    python examples/resnet/train.py --data imagenet --model resnet50 --epochs 90
    python examples/resnet/train.py                  # synthetic images: classes are patterns under noise

The folder has folders train and val, with a folder of images for each class in them.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Sequence

from tqdm import tqdm

import norch
import norch.nn.functional as F
from norch import optim
from norch.utils.data import DataLoader, TensorDataset

import model as models

if TYPE_CHECKING:
    from norch.vision.datasets import ImageFolder


def synthetic(count: int, size: int, classes: int, seed: int) -> TensorDataset:
    """`count` images, each the pattern of its class under noise; the patterns do not depend on the seed."""
    patterns = norch.randn(classes, 3, size, size, generator=norch.Generator().manual_seed(0))
    generator = norch.Generator().manual_seed(seed)
    labels = norch.randint(0, classes, (count,), generator=generator)
    return TensorDataset(patterns[labels] + norch.randn(count, 3, size, size, generator=generator), labels)


def folders(path: Path, size: int) -> tuple[ImageFolder, ImageFolder, int]:
    """The images to train on, cropped and flipped at random, those held out, and the number of classes."""
    from norch.vision import transforms
    from norch.vision.datasets import ImageFolder

    normalize = transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    augmented = [transforms.RandomResizedCrop(size), transforms.RandomHorizontalFlip()]
    plain = [transforms.Resize(size * 8 // 7), transforms.CenterCrop(size)]
    training = ImageFolder(path / "train", transforms.Compose([*augmented, transforms.ToTensor(), normalize]))
    held_out = ImageFolder(path / "val", transforms.Compose([*plain, transforms.ToTensor(), normalize]))
    if training.classes != held_out.classes:
        raise ValueError(f"{path}: train and val have different classes")
    return training, held_out, len(training.classes)


def factor(step: int, warmup: int, steps: int) -> float:
    """Of the learning rate: up along a line, then down along half a cosine."""
    if step < warmup:
        return (step + 1) / warmup
    return (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1, steps - warmup)))) / 2


class Training:
    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        norch.manual_seed(args.seed)
        training: ImageFolder | TensorDataset
        held_out: ImageFolder | TensorDataset
        if args.data:
            training, held_out, classes = folders(Path(args.data), args.size)
        else:
            classes = args.classes
            training = synthetic(args.images, args.size, classes, args.seed + 1)
            held_out = synthetic(max(1, args.images // 4), args.size, classes, args.seed + 2)
        # Batch normalisation needs whole batches: a last smaller one is left out, unless there is no other.
        self.loader = DataLoader(
            training, args.batch, shuffle=True, num_workers=args.workers, drop_last=len(training) >= args.batch
        )
        self.held_out = DataLoader(held_out, args.batch, num_workers=args.workers)
        make = {"resnet18": models.resnet18, "resnet50": models.resnet50}[args.model]
        self.model = make(classes, args.width).to(args.device, memory_format=norch.channels_last)
        self.optimizer = optim.SGD(self.groups(), lr=args.lr * args.batch / 256, momentum=0.9)
        steps, warmup = args.epochs * len(self.loader), args.warmup * len(self.loader)
        self.schedule = optim.lr_scheduler.LambdaLR(self.optimizer, lambda step: factor(step, warmup, steps))

    def groups(self) -> list[dict]:
        """The weights of convolutions and of the last layer decay; biases and batch normalisation do not."""
        parameters = list(self.model.parameters())
        return [
            {"params": [p for p in parameters if p.dim() > 1], "weight_decay": self.args.weight_decay},
            {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
        ]

    def batch(self, images: norch.Tensor, labels: norch.Tensor) -> tuple[norch.Tensor, norch.Tensor]:
        device = self.args.device
        return images.to(device, memory_format=norch.channels_last), labels.to(device)

    def autocast(self) -> norch.autocast:
        device = norch.device(self.args.device).type
        kind = self.args.autocast or ("bfloat16" if device == "cuda" else "off")
        return norch.autocast(device, norch.bfloat16, kind != "off")

    def step(self, images: norch.Tensor, labels: norch.Tensor) -> norch.Tensor:
        """One step of the optimizer; returns the loss, which stays on the device."""
        with self.autocast():
            loss = F.cross_entropy(self.model(images), labels, label_smoothing=self.args.label_smoothing)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.schedule.step()
        return loss.detach()

    def epoch(self, number: int) -> None:
        args = self.args
        self.model.train()
        progress = tqdm(self.loader, desc=f"{args.model} on {args.device}, epoch {number}", disable=args.quiet)
        last, start = 0, time.perf_counter()
        for n, (images, labels) in enumerate(progress, 1):
            loss = self.step(*self.batch(images, labels))
            if n % args.log == 0 or n == len(self.loader):
                value = loss.item()  # waits for the device
                rate = (n - last) * len(labels) / (time.perf_counter() - start)
                progress.set_postfix_str(f"loss {value:.4f}, {rate:,.0f} images/s")
                last, start = n, time.perf_counter()

    @norch.no_grad()
    def evaluate(self) -> tuple[float, float]:
        """The mean loss and the accuracy on the images held out."""
        self.model.eval()
        loss = norch.zeros((), device=self.args.device)
        correct = norch.zeros((), dtype=norch.int64, device=self.args.device)
        count = 0
        for images, labels in self.held_out:
            images, labels = self.batch(images, labels)
            with self.autocast():
                logits = self.model(images)
                loss += F.cross_entropy(logits, labels, reduction="sum")
            correct += (logits.argmax(1) == labels).sum()
            count += len(labels)
        return loss.item() / count, correct.item() / count


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", help="folder with folders train and val; without it, images are synthetic")
    p.add_argument("--model", choices=["resnet18", "resnet50"], default="resnet18")
    p.add_argument("--out", help="file for the trained weights")
    p.add_argument("--device", default="cuda" if norch.cuda.is_available() else "cpu")
    p.add_argument("--size", type=int, default=224, help="of the images that the model sees")
    p.add_argument("--width", type=int, default=64, help="channels of the first layer")
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--epochs", type=int, default=5)
    p.add_argument("--lr", type=float, default=0.1, help="highest learning rate, for a batch of 256")
    p.add_argument("--warmup", type=int, default=1, help="epochs until the highest learning rate")
    p.add_argument("--weight-decay", type=float, default=1e-4)
    p.add_argument("--label-smoothing", type=float, default=0.0)
    p.add_argument("--autocast", choices=["bfloat16", "off"], help="default: bfloat16 on a GPU, off on the CPU")
    p.add_argument("--images", type=int, default=512, help="synthetic images to train on")
    p.add_argument("--classes", type=int, default=10, help="of synthetic images")
    p.add_argument("--workers", type=int, default=0, help="processes that read images")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--log", type=int, default=10, metavar="N", help="loss and speed every N steps")
    p.add_argument("--quiet", action="store_true")
    return p


def main(arguments: Sequence[str] | None = None) -> float:
    """Trains; returns the accuracy on the images held out."""
    args = parser().parse_args(arguments)
    training = Training(args)
    accuracy = 0.0
    for number in range(1, args.epochs + 1):
        training.epoch(number)
        loss, accuracy = training.evaluate()
        if not args.quiet:
            print(f"epoch {number}: loss {loss:.4f}, accuracy {accuracy:.2%} on held-out images")
        if args.out:
            norch.save(training.model.state_dict(), args.out)
    return accuracy


if __name__ == "__main__":
    main()
