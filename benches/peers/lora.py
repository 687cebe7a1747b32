#!/usr/bin/env python3
"""Trains a LoRA on a frozen MobileNetV2 in Regraft and in PyTorch with PEFT, in turn, and prints their ratios.

    python benches/peers/lora.py [--rounds N] [--images N] [--threads N] [--python-torch FILE] [--binary FILE]

README.md says what the work is. Needs nothing but Python itself; PyTorch and PEFT in the interpreter that is named.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys

from drive import HERE, build_example, need


def call(command, work):
    """What one program measured, {measure: values}."""
    names = ("OMP", "MKL", "RAYON", "OPENBLAS")
    threads = {f"{name}_NUM_THREADS": str(work["threads"]) for name in names}
    done = subprocess.run(
        [*command, json.dumps(work)], stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, **threads}
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {(line["name"], line["unit"]): line["values"] for line in lines}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="how often each program runs, in turn")
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--python-torch",
        default=os.environ.get("REGRAFT_TORCH_PYTHON", sys.executable),
        help="an interpreter that has PyTorch and PEFT; else that of REGRAFT_TORCH_PYTHON",
    )
    parser.add_argument("--binary", help="our program, already built, instead of building bench_lora")
    given = parser.parse_args()
    need(given.python_torch, "torch", "peft", "numpy")
    programs = {
        "regraft": [given.binary or build_example("bench_lora")],
        "PyTorch with PEFT": [given.python_torch, str(HERE / "torch_lora.py")],
    }
    work = {"batch": 32, **{name: getattr(given, name) for name in ("images", "epochs", "rank", "threads")}}
    results = {name: {} for name in programs}
    for _ in range(given.rounds):
        for name, command in programs.items():
            for measure, values in call(command, work).items():
                results[name].setdefault(measure, []).extend(values)
            print(name, results[name], file=sys.stderr, flush=True)
    ours, theirs = results.values()
    numbers = [each.pop(("trained numbers", "")) for each in (ours, theirs)]
    if len({*numbers[0], *numbers[1]}) != 1:
        sys.exit(f"not the same work: {numbers} numbers are trained")
    print(
        f"MobileNetV2, 224×224, batch 32, {given.images} images, LoRA of rank {given.rank} and the head: "
        f"{int(numbers[0][0])} numbers trained; {given.threads} threads, {os.cpu_count()} cores; medians"
    )
    print("\n| | regraft | PyTorch with PEFT |\n|---|---|---|")
    for (measure, unit), values in theirs.items():
        our = statistics.median(ours[measure.split(",")[0], unit])
        their = statistics.median(values)
        print(f"| {measure} ({unit}) | {our:.4g} ({our / their:.2f}×) | {their:.4g} |")


if __name__ == "__main__":
    main()
