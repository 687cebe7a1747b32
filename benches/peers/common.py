"""What the Python peers share: the command line, the data, the printed lines. README.md has the protocol."""

import argparse
import json
import os
import statistics
import time
from pathlib import Path

import numpy as np

LAYERS = ("dense", "dense_1", "dense_2", "dense_3")


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=("epochs", "process"))
    parser.add_argument("directory", type=Path)
    parser.add_argument("--epochs", type=int)
    parsed = parser.parse_args()
    parsed.epochs = parsed.epochs or {"epochs": 4, "process": 5}[parsed.mode]
    return parsed


def data(directory):
    x = np.fromfile(directory / "x.f32", "<f4").reshape(-1, 784)
    y = np.fromfile(directory / "y.i32", "<i4")
    return x, y


def since_start():
    """Seconds since the caller started this process."""
    return time.time() - float(os.environ.get("BENCH_STARTED", "nan"))


def print_epochs(name, seconds):
    later = statistics.median(seconds[1:]) if len(seconds) > 1 else seconds[0]
    print(json.dumps({"name": name, "first_epoch_s": seconds[0], "later_epoch_s": later}), flush=True)


def print_process(first_step, loss, accuracy):
    line = {"name": "process", "first_step_s": first_step, "loss": float(loss), "accuracy": float(accuracy)}
    print(json.dumps(line), flush=True)
