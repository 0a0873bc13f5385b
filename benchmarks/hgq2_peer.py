# SPDX-License-Identifier: MIT
"""HGQ2's own training of a feed-forward network, for `precision --hgq`; run by an interpreter that has HGQ2.

It begins with the same float weights as ours and with words of 4 bits, and trains until its processor time is used up,
while beta rises; after every epoch the network is a candidate with its EBOPs and its share of right answers. It imports
nothing of fixedpoint_nn.
"""

import argparse
import json
import os
import time

import numpy as np

FIRST_BITS = 3  # of a weight to begin with, and a sign
FIRST_PRESSURE, LAST_PRESSURE = 0.15, 150.0  # beta times the EBOPs of the network with words of 8 bits


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "data",
        help="an .npz file with train_x, train_y, held_x, ..., test_y, kinds, and the weights w0, b0, ...",
    )
    parser.add_argument("ebops", type=float, help="of the network with words of 8 bits")
    parser.add_argument("seconds", type=float, help="of processor time, after the first step")
    parser.add_argument(
        "out", help="a JSON file of [EBOPs, held-back accuracy, test accuracy], one for each epoch"
    )
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--batch", type=int, default=128)
    options = parser.parse_args()
    os.environ["KERAS_BACKEND"] = "jax"
    import keras
    from hgq.config import LayerConfigScope, QuantizerConfigScope
    from hgq.utils.sugar import FreeEBOPs

    data = np.load(options.data)
    keras.utils.set_random_seed(0)
    with (
        QuantizerConfigScope(place="all", default_q_type="kbi", b0=FIRST_BITS, overflow_mode="SAT_SYM"),
        QuantizerConfigScope(place="datalane", default_q_type="kif", i0=1, f0=3, overflow_mode="WRAP"),
        LayerConfigScope(enable_ebops=True, beta0=FIRST_PRESSURE / options.ebops),
    ):
        model = built(keras, data)
    rising = _Rising(keras, options)
    found = _Candidates(keras, data)
    model.compile(
        optimizer=keras.optimizers.Adam(options.rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(
        data["train_x"],
        data["train_y"],
        batch_size=options.batch,
        epochs=1000,
        verbose=0,
        callbacks=[rising.callback, FreeEBOPs(), found.callback],
    )
    with open(options.out, "w") as file:
        json.dump({"candidates": found.rows, "cpu": rising.used(), "epochs": len(found.rows)}, file)


def int_bits(weight):
    """The range of words of FIRST_BITS bits and a sign with the least squared error; HGQ2's own makes all zero."""
    errors = {}
    for bits in range(-8, 4):
        step = 2.0 ** (bits - FIRST_BITS)
        codes = np.clip(np.rint(weight / step), 1 - 2**FIRST_BITS, 2**FIRST_BITS - 1)
        errors[bits] = np.square(codes * step - weight).sum()
    return min(errors, key=errors.get)


def built(keras, data):
    """The network, layer by layer, with its float weights; a ReLU belongs to the layer before it."""
    from hgq.layers import QConv2D, QDense
    from hgq.quantizer import QuantizerConfig

    kinds = [str(kind) for kind in data["kinds"]]
    pools = {"max": keras.layers.MaxPooling2D, "mean": keras.layers.AveragePooling2D}
    layers, weights = [], []
    for number, kind in enumerate(kinds):
        if kind in ("conv", "dense"):
            words = QuantizerConfig("kbi", "weight", i0=int_bits(data[f"w{number}"]))
        activation = "relu" if kinds[number + 1 : number + 2] == ["relu"] else None
        if kind == "conv":
            rows, columns, _, outputs = data[f"w{number}"].shape
            layers.append(
                QConv2D(outputs, (rows, columns), padding="same", activation=activation, kq_conf=words)
            )
        elif kind == "dense":
            layers.append(QDense(data[f"w{number}"].shape[1], activation=activation, kq_conf=words))
        elif kind == "flatten":
            layers.append(keras.layers.Flatten())
        elif kind in pools:
            layers.append(pools[kind](2))
        if kind in ("conv", "dense"):
            weights.append((layers[-1], data[f"w{number}"], data[f"b{number}"]))
    model = keras.Sequential(layers)
    model.build((None, *data["train_x"].shape[1:]))
    for layer, weight, bias in weights:
        layer._kernel.assign(weight)
        layer.bias.assign(bias)
    return model


class _Rising:
    """beta grows and the rate falls with the processor time that is used; at its end the training stops."""

    def __init__(self, keras, options):
        self.begin = None
        outer = self

        class Callback(keras.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                if outer.begin is None:
                    outer.begin = time.process_time()  # the first step is compiled
                if batch % 32:
                    return
                passed = min(outer.used() / options.seconds, 1.0)
                pressure = FIRST_PRESSURE * (LAST_PRESSURE / FIRST_PRESSURE) ** passed
                for layer in self.model.layers:
                    if hasattr(layer, "_beta"):
                        layer._beta.assign(pressure / options.ebops)
                self.model.optimizer.learning_rate.assign(
                    options.rate * (0.05 + 0.95 * (1 + np.cos(np.pi * passed)) / 2)
                )

            def on_epoch_end(self, epoch, logs=None):
                if outer.used() >= options.seconds:
                    self.model.stop_training = True

        self.callback = Callback()

    def used(self):
        """Seconds of the processor since the first step."""
        return 0.0 if self.begin is None else time.process_time() - self.begin


class _Candidates:
    """The network after every epoch."""

    def __init__(self, keras, data):
        self.rows = []
        outer = self

        class Callback(keras.callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None):
                right = [
                    float(
                        self.model.evaluate(data[f"{part}_x"], data[f"{part}_y"], batch_size=1000, verbose=0)[
                            1
                        ]
                    )
                    for part in ("held", "test")
                ]
                outer.rows.append([float(logs["ebops"]), *right])
                print(f"epoch {epoch + 1}: {logs['ebops']:.3g} EBOPs, {right[1]:.4f}", flush=True)

        self.callback = Callback()


if __name__ == "__main__":
    main()
