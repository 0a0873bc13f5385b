# SPDX-License-Identifier: MIT
"""HGQ2's own training of a multi-layer perceptron, for `precision --hgq`; run by an interpreter that has HGQ2.

It begins with the same float weights as ours and with words of 4 bits, and trains until its processor time is used up,
while beta rises; after every epoch the network is a candidate with its EBOPs and its share of right answers. It imports
nothing of fixedpoint_nn.
"""

import argparse
import json
import os
import time

import numpy as np

FIRST_BETA, LAST_BETA = 1e-8, 1e-5


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "data", help="an .npz file with x, y, held_x, held_y, test_x, test_y, w0, b0, w1, b1, ..."
    )
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
    from hgq.layers import QDense
    from hgq.utils.sugar import FreeEBOPs

    data = np.load(options.data)
    layers = sum(name.startswith("w") for name in data.files)
    keras.utils.set_random_seed(0)
    with (
        QuantizerConfigScope(place="all", default_q_type="kbi", b0=3, overflow_mode="SAT_SYM"),
        QuantizerConfigScope(place="datalane", default_q_type="kif", i0=1, f0=3, overflow_mode="WRAP"),
        LayerConfigScope(enable_ebops=True, beta0=FIRST_BETA),
    ):
        model = keras.Sequential(
            [
                QDense(data[f"w{i}"].shape[1], activation="relu" if i + 1 < layers else None)
                for i in range(layers)
            ]
        )
        model.build((None, data["x"].shape[1]))
    for i, layer in enumerate(model.layers):
        layer._kernel.assign(data[f"w{i}"])
        layer.bias.assign(data[f"b{i}"])
    rising = _Rising(keras, options.seconds, options.rate)
    found = _Candidates(keras, data)
    model.compile(
        optimizer=keras.optimizers.Adam(options.rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(
        data["x"],
        data["y"],
        batch_size=options.batch,
        epochs=1000,
        verbose=0,
        callbacks=[rising.callback, FreeEBOPs(), found.callback],
    )
    with open(options.out, "w") as file:
        json.dump({"candidates": found.rows, "cpu": rising.used(), "epochs": len(found.rows)}, file)


class _Rising:
    """beta grows and the rate falls with the processor time that is used; at its end the training stops."""

    def __init__(self, keras, seconds, rate):
        self.seconds, self.begin = seconds, None
        outer = self

        class Callback(keras.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                if outer.begin is None:
                    outer.begin = time.process_time()  # the first step is compiled
                if batch % 32:
                    return
                passed = min(outer.used() / outer.seconds, 1.0)
                beta = FIRST_BETA * (LAST_BETA / FIRST_BETA) ** passed
                for layer in self.model.layers:
                    layer._beta.assign(beta)
                self.model.optimizer.learning_rate.assign(
                    rate * (0.05 + 0.95 * (1 + np.cos(np.pi * passed)) / 2)
                )

            def on_epoch_end(self, epoch, logs=None):
                if outer.used() >= outer.seconds:
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
