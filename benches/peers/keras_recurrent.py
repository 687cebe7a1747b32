#!/usr/bin/env python3
"""The recurrent work in Keras; the environment variable KERAS_BACKEND picks tensorflow (the default) or jax."""

import json
import os
import sys
import time

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np


def main():
    work = json.loads(sys.argv[1])
    batch, samples, steps = (work[name] for name in ("batch", "samples", "steps"))
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(work["threads"])
        tf.config.threading.set_inter_op_parallelism_threads(work["threads"])
    x = np.random.default_rng(0).random((samples, steps, work["features"]), dtype=np.float32)
    y = (np.arange(samples) % 2).astype(np.float32)[:, None]
    for name in ("LSTM", "GRU"):
        layer = getattr(keras.layers, name)(work["units"])
        model = keras.Sequential([keras.Input(x.shape[1:]), layer, keras.layers.Dense(1)])
        model.compile("adam", "mse")
        runs = {
            "predict": lambda: model.predict(x, batch_size=batch, verbose=0),
            "fit": lambda: model.fit(x, y, batch_size=batch, verbose=0),
        }
        for what, run in runs.items():
            run()
            speeds, of_processor = [], []
            for _ in range(work["rounds"]):
                began, before = time.perf_counter(), time.process_time()
                run()
                speeds.append(samples / (time.perf_counter() - began))
                of_processor.append(samples / (time.process_time() - before))
            for unit, values in (("sequences/s", speeds), ("sequences/s of the processor", of_processor)):
                print(json.dumps({"name": f"{name}: {what}", "unit": unit, "values": values}), flush=True)


if __name__ == "__main__":
    main()
