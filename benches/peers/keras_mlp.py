#!/usr/bin/env python3
"""The work in Keras; the environment variable KERAS_BACKEND picks tensorflow (the default) or jax."""

import os
import time

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

from common import arguments, data, print_epochs, print_process, since_start


def build(frozen, weights):
    model = keras.Sequential(
        [
            keras.Input((784,)),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(10),
        ]
    )
    model.load_weights(weights)
    if frozen:
        for layer in model.layers[:-1]:
            layer.trainable = False
    model.compile(
        optimizer="adam",
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


class Clock(keras.callbacks.Callback):
    """Seconds per epoch, and the end of the first step."""

    def __init__(self):
        super().__init__()
        self.seconds, self.first_step = [], None

    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.perf_counter() - self.began)


class FirstStep(keras.callbacks.Callback):
    """Apart from Clock: a callback for batches makes Keras wait for each batch's logs."""

    def on_train_batch_end(self, batch, logs=None):
        if not hasattr(self, "seconds"):
            self.seconds = since_start()


def main():
    given = arguments()
    x, y = data(given.directory)
    weights = given.directory / "base.weights.h5"
    if given.mode == "process":
        model, first = build(True, weights), FirstStep()
        model.fit(x, y, batch_size=32, epochs=given.epochs, verbose=0, callbacks=[first])
        loss, accuracy = model.evaluate(x, y, batch_size=256, verbose=0)
        print_process(first.seconds, loss, accuracy)
        return
    for name, frozen, batch_size in (
        ("frozen_batch32", True, 32),
        ("frozen_batch256", True, 256),
        ("full_batch32", False, 32),
    ):
        model, clock = build(frozen, weights), Clock()
        model.fit(x[: 2 * batch_size], y[: 2 * batch_size], batch_size=batch_size, verbose=0)
        model.fit(x, y, batch_size=batch_size, epochs=given.epochs, verbose=0, callbacks=[clock])
        print_epochs(name, clock.seconds)


if __name__ == "__main__":
    main()
