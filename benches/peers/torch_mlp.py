#!/usr/bin/env python3
"""The work in PyTorch, on the CPU, as a plain training loop."""

import time

import numpy as np
import torch
from torch.nn import functional

from common import LAYERS, arguments, data, print_epochs, print_process, since_start


def build(frozen, weights):
    model = torch.nn.Sequential(
        torch.nn.Linear(784, 32), torch.nn.ReLU(),
        torch.nn.Linear(32, 32), torch.nn.ReLU(),
        torch.nn.Linear(32, 32), torch.nn.ReLU(),
        torch.nn.Linear(32, 10),
    )  # fmt: skip
    with np.load(weights) as arrays, torch.no_grad():
        linear = [layer for layer in model if isinstance(layer, torch.nn.Linear)]
        for layer, name in zip(linear, LAYERS):
            layer.weight.copy_(torch.from_numpy(arrays[f"{name}/kernel"].T.copy()))
            layer.bias.copy_(torch.from_numpy(arrays[f"{name}/bias"]))
    if frozen:
        model[:-1].requires_grad_(False)
    return model


def epoch(model, optimizer, x, y, batch_size, after_step=None):
    order = torch.randperm(len(x))
    for start in range(0, len(x), batch_size):
        batch = order[start : start + batch_size]
        loss = functional.cross_entropy(model(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if after_step:
            after_step()
            after_step = None


def adam(model):
    return torch.optim.Adam([p for p in model.parameters() if p.requires_grad])


def main():
    given = arguments()
    x, y = data(given.directory)
    x, y = torch.from_numpy(x), torch.from_numpy(y).long()
    weights = given.directory / "base.npz"
    torch.manual_seed(0)
    if given.mode == "process":
        model, first = build(True, weights), []
        optimizer = adam(model)
        for number in range(given.epochs):
            epoch(model, optimizer, x, y, 32, (lambda: first.append(since_start())) if number == 0 else None)
        with torch.inference_mode():
            logits = torch.cat([model(part) for part in x.split(256)])
            loss = functional.cross_entropy(logits, y)
            accuracy = (logits.argmax(1) == y).float().mean()
        print_process(first[0], loss, accuracy)
        return
    for name, frozen, batch_size in (
        ("frozen_batch32", True, 32),
        ("frozen_batch256", True, 256),
        ("full_batch32", False, 32),
    ):
        model = build(frozen, weights)
        optimizer = adam(model)
        epoch(model, optimizer, x[: 2 * batch_size], y[: 2 * batch_size], batch_size)
        seconds = []
        for _ in range(given.epochs):
            began = time.perf_counter()
            epoch(model, optimizer, x, y, batch_size)
            seconds.append(time.perf_counter() - began)
        print_epochs(name, seconds)
    # What a careful user writes: the frozen part once, then only the last layer.
    model = build(True, weights)
    base, head = model[:-1], model[-1]
    optimizer, seconds = adam(model), []
    for number in range(given.epochs):
        began = time.perf_counter()
        if number == 0:
            with torch.no_grad():
                features = torch.cat([base(part) for part in x.split(256)])
        epoch(head, optimizer, features, y, 32)
        seconds.append(time.perf_counter() - began)
    print_epochs("frozen_batch32_cached_by_hand", seconds)


if __name__ == "__main__":
    main()
