#!/usr/bin/env python3
"""Convolutional networks in Keras on TensorFlow, as its guide to transfer learning writes them."""

import os
import time
from fnmatch import fnmatch

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np
import tensorflow as tf

from convnets_common import CLASSES, SIZE, calls, data, print_convolution, print_speeds, timed, work

class Clock(keras.callbacks.Callback):
    """Seconds of each epoch, the first from the call of `fit` on."""

    def __init__(self):
        super().__init__()
        self.seconds, self.began = [], time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        now = time.perf_counter()
        self.seconds.append(now - self.began)
        self.began = now


def backbone(name):
    return getattr(keras.applications, name)(include_top=False, weights=None, input_shape=(SIZE, SIZE, 3), pooling="avg")


def with_head(name, frozen, but=None):
    """`but` is a pattern of layers that are trained all the same."""
    base = backbone(name)
    base.trainable = not frozen
    for layer in base.layers if but else []:
        layer.trainable = fnmatch(layer.name, but)
    model = keras.Model(base.input, keras.layers.Dense(CLASSES, name="head")(base.output))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
    return model


def fit(model, x, y, batch, epochs):
    clock = Clock()
    model.fit(x, y, batch_size=batch, epochs=epochs, verbose=0, callbacks=[clock])
    return clock.seconds


def on_frozen(model, what, name, x, y, given):
    batch, first, later = given["batch"], [], []
    fit(model, x[:batch], y[:batch], batch, 1)
    for _ in range(given["rounds"]):
        seconds = fit(model, x, y, batch, 2)
        first.append(seconds[0])
        later.append(seconds[1])
    print_speeds(name, f"{what}, first epoch", len(x), first)
    print_speeds(name, f"{what}, later epochs", len(x), later)


def one_convolution(batch, rounds):
    """As a compiled function, which is how a layer runs it; backward is both gradients."""
    shape = (batch, 56, 56, 64)
    rng = np.random.default_rng(0)
    x, dy = (tf.constant(rng.random(shape, dtype=np.float32)) for _ in range(2))
    kernel = tf.constant(rng.random((3, 3, 64, 64), dtype=np.float32))
    how = {"strides": [1, 1, 1, 1], "padding": "SAME"}

    @tf.function
    def forward(x, kernel):
        return tf.nn.conv2d(x, kernel, **how)

    @tf.function
    def backward(x, kernel, dy):
        return (
            tf.raw_ops.Conv2DBackpropInput(input_sizes=shape, filter=kernel, out_backprop=dy, **how),
            tf.raw_ops.Conv2DBackpropFilter(input=x, filter_sizes=kernel.shape, out_backprop=dy, **how),
        )

    print_convolution("forward", timed(rounds, lambda: forward(x, kernel)))
    print_convolution("backward", timed(rounds, lambda: backward(x, kernel, dy)))


def main():
    given = work()
    batch, rounds = given["batch"], given["rounds"]
    tf.config.threading.set_intra_op_parallelism_threads(given["threads"])
    tf.config.threading.set_inter_op_parallelism_threads(given["threads"])
    one_convolution(batch, given["convolution_rounds"])
    for network in given["networks"]:
        name, images, few = network["name"], network["images"], network["train_images"]
        x, y = data(images)
        model = backbone(name)
        predict = lambda: model.predict(x, batch_size=batch, verbose=0)
        print_speeds(name, "predict", images, timed(rounds, predict))
        one_by_one = lambda: [model.predict_on_batch(x[at : at + 1]) for at in range(calls(images))]
        print_speeds(name, "predict, one picture a call", calls(images), timed(rounds, one_by_one))
        if few == 0:
            continue
        on_frozen(with_head(name, True), "head", name, x, y, given)
        if "last_block" in network:
            on_frozen(with_head(name, True, network["last_block"]), "last block", name, x, y, given)
        model = with_head(name, False)
        seconds = fit(model, x[:few], y[:few], batch, 1 + rounds)
        print_speeds(name, "all layers", few, seconds[1:])
        del model
        keras.backend.clear_session()


if __name__ == "__main__":
    main()
