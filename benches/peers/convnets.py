#!/usr/bin/env python3
"""Runs convolutional networks in Regraft and its peers and prints their ratios. README.md says what the work is.

    python benches/peers/convnets.py [--peers keras,torch,onnxruntime,regraft] [--quick] [--threads N]
        [--python-keras FILE] [--python-torch FILE] [--json FILE] [--binary FILE]

Needs nothing but Python itself; a peer whose package is missing is left out.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from drive import HERE, Unavailable, build_example, need

LAST_BLOCK = "conv5_block3_*"

# Images are whole batches, so that no program compiles or plans for a rest.
FULL = {
    "batch": 32,
    "rounds": 3,
    "convolution_rounds": 5,
    "networks": [
        {"name": "MobileNetV2", "images": 128, "train_images": 64},
        {"name": "ResNet50", "images": 64, "train_images": 32, "last_block": LAST_BLOCK},
        # Forward alone.
        {"name": "EfficientNetB0", "images": 64, "train_images": 0},
        {"name": "MobileNetV3Large", "images": 128, "train_images": 0},
        {"name": "ConvNeXtTiny", "images": 64, "train_images": 0},
    ],
}
QUICK = {
    "batch": 8,
    "rounds": 1,
    "convolution_rounds": 2,
    "networks": [
        {"name": "MobileNetV2", "images": 16, "train_images": 8},
        {"name": "ResNet50", "images": 16, "train_images": 8, "last_block": LAST_BLOCK},
    ],
}


def regraft(given):
    return [given.binary or build_example("bench_convnets")]


def keras(given):
    need(given.python_keras, "keras", "tensorflow")
    return [given.python_keras, str(HERE / "keras_convnets.py")]


def torch(given):
    need(given.python_torch, "torch", "numpy")
    return [given.python_torch, str(HERE / "torch_convnets.py")]


def onnxruntime(given):
    need(given.python_torch, "torch", "onnx", "onnxruntime")
    return [given.python_torch, str(HERE / "onnx_convnets.py")]


PEERS = {"keras": keras, "torch": torch, "onnxruntime": onnxruntime, "regraft": regraft}


def call(command, work):
    """What one program measured, {measure: values}, and its largest resident memory in bytes."""
    names = ("OMP", "MKL", "RAYON", "OPENBLAS")
    threads = {f"{name}_NUM_THREADS": str(work["threads"]) for name in names}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            [*command, json.dumps(work)], stdout=out, stderr=err, env={**os.environ, **threads}
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0), err.seek(0)
        if process.returncode != 0:
            last = (err.read().decode(errors="replace").strip().splitlines() or ["no message"])[-1]
            raise Unavailable(f"exit status {process.returncode}: {last}")
        lines = [json.loads(line) for line in out.read().decode().splitlines() if line.startswith("{")]
    numbers = {f"{line['name']} ({line['unit']})": line["values"] for line in lines}
    return {**numbers, "largest memory (MB)": [usage.ru_maxrss / 1e3]}


def cell(measure, value, reference):
    """A number, and in brackets how many times as fast as the reference it is."""
    text = f"{value:.4g}"
    if reference is None or "memory" in measure:
        return text
    ratio = value / reference if "images/s" in measure else reference / value
    return f"{text} ({ratio:.2f}×)"


def table(results):
    names = list(results)
    measures = dict.fromkeys(measure for peer in results.values() for measure in peer)
    # By network, though not every program measures everything.
    order = ("one convolution", *(network["name"] for network in FULL["networks"]), "largest")
    measures = sorted(measures, key=lambda measure: [measure.startswith(name) for name in order].index(True))
    print("\n| |", " | ".join(names), "|\n|" + "---|" * (len(names) + 1))
    for measure in measures:
        medians = {name: statistics.median(each[measure]) for name, each in results.items() if measure in each}
        cells = []
        for name in names:
            reference = medians.get("keras") if name != "keras" else None
            cells.append(cell(measure, medians[name], reference) if name in medians else "")
        print(f"| {measure} | {' | '.join(cells)} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--quick", action="store_true", help="few images and one round: shows that all run")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--python-keras", default=sys.executable, help="an interpreter that has Keras")
    parser.add_argument(
        "--python-torch",
        default=os.environ.get("REGRAFT_TORCH_PYTHON", sys.executable),
        help="one that has PyTorch and ONNX Runtime; else that of REGRAFT_TORCH_PYTHON",
    )
    parser.add_argument("--json", type=Path, help="also write all numbers to this file")
    parser.add_argument("--binary", help="our program, already built, instead of building bench_convnets")
    given = parser.parse_args()
    names = given.peers.split(",")
    for name in names:
        if name not in PEERS:
            parser.error(f"no peer is called {name!r}; there are {', '.join(PEERS)}")

    work = {**(QUICK if given.quick else FULL), "threads": given.threads}
    programs, results, reasons = {}, {}, {}
    for name in names:
        try:
            programs[name] = PEERS[name](given)
        except Unavailable as reason:
            reasons[name] = reason
    for name, command in programs.items():
        began = time.time()
        try:
            results[name] = call(command, work)
        except Unavailable as reason:
            reasons[name] = reason
        print(f"{name}: {time.time() - began:.0f} s", file=sys.stderr, flush=True)
    print(
        f"batch {work['batch']}, 224×224, {given.threads} threads, {os.cpu_count()} cores; medians; "
        "in brackets: times as fast as Keras"
    )
    table(results)
    for name, reason in reasons.items():
        print(f"\n{name} did not run: {reason}")
    if given.json:
        given.json.write_text(json.dumps({"work": work, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
