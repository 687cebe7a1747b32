#!/usr/bin/env python3
"""Predicts and trains with an LSTM and a GRU in Regraft and in Keras, in turn, and prints their ratios.

    python benches/peers/recurrent.py [--rounds N] [--samples N] [--threads N] [--python-keras FILE] [--binary FILE]

README.md says what the work is. Needs nothing but Python itself; Keras in the interpreter that is named.
"""

import argparse
import os
import statistics
import sys

from drive import HERE, build_example, need
from lora import call


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=2, help="how often each program runs, in turn")
    parser.add_argument("--python-keras", default=sys.executable, help="an interpreter that has Keras and TensorFlow")
    parser.add_argument("--binary", help="our program, already built, instead of building bench_recurrent")
    sizes = {"batch": 32, "steps": 100, "features": 64, "units": 128, "samples": 512, "rounds": 3, "threads": 2}
    for name, default in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    need(given.python_keras, "keras", "tensorflow", "numpy")
    programs = {
        "regraft": [given.binary or build_example("bench_recurrent")],
        "Keras": [given.python_keras, str(HERE / "keras_recurrent.py")],
    }
    work = {name: getattr(given, name) for name in sizes}
    results = {name: {} for name in programs}
    for _ in range(given.turns):
        for name, command in programs.items():
            for measure, values in call(command, work).items():
                results[name].setdefault(measure, []).extend(values)
            print(name, results[name], file=sys.stderr, flush=True)
    ours, theirs = results.values()
    print(
        f"{given.units} units over {given.steps} steps of {given.features} features, batch {given.batch}; "
        f"{given.threads} threads, {os.cpu_count()} cores; medians"
    )
    print("\n| | regraft | Keras |\n|---|---|---|")
    for (measure, unit), values in theirs.items():
        our, their = statistics.median(ours[measure, unit]), statistics.median(values)
        print(f"| {measure} ({unit}) | {our:.4g} ({our / their:.2f}×) | {their:.4g} |")


if __name__ == "__main__":
    main()
