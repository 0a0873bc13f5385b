# SPDX-License-Identifier: MIT
"""TFLite models of Keras' own networks, written by TensorFlow's converter: `PYTHON benchmarks/keras_models.py FOLDER`.

PYTHON is an interpreter that has `tensorflow`; this file imports nothing of fixedpoint_nn. Weights are random, and
batch normalisations have random statistics. `--kinds int8 int16 float` chooses the quantisation after training, for
which 8 random samples are the data. `python -m benchmarks.other_models FOLDER` compares the files.
"""

import argparse
from pathlib import Path

import numpy as np


def applications(keras):
    """Keras' applications at 64 x 64 pixels, by name: (model, largest pixel)."""
    made = keras.applications
    small = {"input_shape": (64, 64, 3), "weights": None, "classes": 10}
    large = {**small, "input_shape": (75, 75, 3)}
    return {
        "mobilenet": lambda: (made.MobileNet(alpha=0.25, **small), 1),
        "mobilenetv2": lambda: (made.MobileNetV2(alpha=0.35, **small), 1),
        "mobilenetv3_small": lambda: (made.MobileNetV3Small(**small), 255),
        "efficientnet_b0": lambda: (made.EfficientNetB0(**small), 255),
        "efficientnetv2_b0": lambda: (made.EfficientNetV2B0(**small), 255),
        "resnet50v2": lambda: (made.ResNet50V2(**small), 1),
        "densenet121": lambda: (made.DenseNet121(**small), 1),
        "inception_v3": lambda: (made.InceptionV3(**large), 1),
        "xception": lambda: (made.Xception(**large), 1),
        "convnext_tiny": lambda: (made.ConvNeXtTiny(**small), 255),
    }


def small_networks(keras):
    """Small networks of other layers, by name."""
    layers = keras.layers

    def convolutions_over_time():
        """Dilated causal convolutions with layer normalisation."""
        x = given = layers.Input((64, 6))
        for dilation in (1, 2, 4, 8):
            y = layers.Conv1D(12, 3, padding="causal", dilation_rate=dilation, activation="relu")(x)
            x = layers.Add()([layers.Conv1D(12, 1)(x), layers.LayerNormalization()(y)])
        return keras.Model(given, layers.Dense(4)(layers.GlobalAveragePooling1D()(x)))

    def transformer():
        """An encoder's block."""
        given = layers.Input((16, 24))
        x = layers.Dense(32)(given)
        y = layers.LayerNormalization()(x)
        x = layers.Add()([x, layers.MultiHeadAttention(4, 8)(y, y)])
        y = layers.Dense(64, activation="gelu")(layers.LayerNormalization()(x))
        x = layers.Add()([x, layers.Dense(32)(y)])
        return keras.Model(given, layers.Dense(5, activation="softmax")(layers.GlobalAveragePooling1D()(x)))

    def text():
        """Token ids, an embedding, a convolution."""
        given = layers.Input((12,), dtype="int32")
        x = layers.Conv1D(16, 3, activation="relu", padding="same")(layers.Embedding(256, 16)(given))
        return keras.Model(given, layers.Dense(3, activation="softmax")(layers.GlobalMaxPooling1D()(x)))

    def unet():
        """An encoder and a decoder with a transposed convolution."""
        given = layers.Input((32, 32, 3))
        a = layers.Conv2D(8, 3, padding="same", activation="relu")(given)
        b = layers.Conv2D(16, 3, padding="same", activation="relu")(layers.MaxPooling2D()(a))
        u = layers.Conv2DTranspose(8, 3, strides=2, padding="same")(b)
        return keras.Model(given, layers.Conv2D(2, 1, activation="sigmoid")(layers.Concatenate()([a, u])))

    def gated():
        """Squeeze and excitation, PReLU, a channel multiplier, a dilation."""
        given = layers.Input((24, 24, 3))
        x = layers.ReLU(6.0)(
            layers.BatchNormalization()(layers.Conv2D(16, 3, strides=2, padding="same")(given))
        )
        s = layers.Conv2D(4, 1, activation="relu")(layers.GlobalAveragePooling2D(keepdims=True)(x))
        x = layers.Multiply()([x, layers.Conv2D(16, 1, activation="hard_sigmoid")(s)])
        x = layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same")(layers.LeakyReLU()(x))
        x = layers.Conv2D(8, 3, dilation_rate=2)(layers.ZeroPadding2D()(layers.PReLU(shared_axes=[1, 2])(x)))
        return keras.Model(given, layers.Dense(10, activation="softmax")(layers.Flatten()(x)))

    def recurrent(layer):
        """A recurrent layer, whose loop over time is unrolled."""
        given = layers.Input((20, 8), batch_size=1)
        return keras.Model(given, layers.Dense(4)(layer(16, unroll=True)(given)))

    return {
        "convolutions_over_time": convolutions_over_time,
        "transformer": transformer,
        "text": text,
        "unet": unet,
        "gated": gated,
        "lstm": lambda: recurrent(layers.LSTM),
        "gru": lambda: recurrent(layers.GRU),
        "rnn": lambda: recurrent(layers.SimpleRNN),
    }


def converted(tensorflow, model, kind, most):
    """The file's bytes."""
    shape, dtype = [1, *model.inputs[0].shape[1:]], model.inputs[0].dtype
    rng = np.random.default_rng(0)

    def samples():
        for _ in range(8):
            if dtype == "int32":
                yield [rng.integers(0, 256, shape).astype(np.int32)]
            else:
                low = -1 if most == 1 else 0
                yield [rng.uniform(low, most, shape).astype(np.float32)]

    signature = tensorflow.TensorSpec(shape, dtype)
    function = tensorflow.function(lambda x: model(x, training=False)).get_concrete_function(signature)
    converter = tensorflow.lite.TFLiteConverter.from_concrete_functions([function])
    if kind != "float":
        sets = tensorflow.lite.OpsSet
        short = sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        converter.optimizations = [tensorflow.lite.Optimize.DEFAULT]
        converter.representative_dataset = samples
        converter.target_spec.supported_ops = [short if kind == "int16" else sets.TFLITE_BUILTINS_INT8]
        whole = getattr(tensorflow, kind)
        if dtype != "int32":
            converter.inference_input_type = whole
        converter.inference_output_type = whole
    return converter.convert()


def main():
    """Write the files that are not there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kinds", nargs="+", default=["int8"], choices=["int8", "int16", "float"])
    parser.add_argument("--only", nargs="+", help="names of networks")
    options = parser.parse_args()
    import keras
    import tensorflow

    options.folder.mkdir(parents=True, exist_ok=True)
    networks = {name: lambda make=make: (make(), 1) for name, make in small_networks(keras).items()}
    networks |= applications(keras)
    for name in options.only or networks:
        for kind in options.kinds:
            path = options.folder / f"{name}_{kind}.tflite"
            if path.exists():
                continue
            keras.utils.set_random_seed(1)
            model, most = networks[name]()
            _spread(keras, model)
            try:
                path.write_bytes(converted(tensorflow, model, kind, most))
            except (RuntimeError, ValueError) as error:  # what the converter has no 16-bit operator for
                print(f"{path.name}: not written, {str(error).splitlines()[0]}")
            else:
                print(f"{path.name}: {path.stat().st_size} bytes", flush=True)


def _spread(keras, model):
    """Give batch normalisations random parameters and statistics."""
    rng = np.random.default_rng(3)
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            *others, variance = layer.get_weights()
            moved = [array + rng.normal(0, 0.1, array.shape) for array in others]
            layer.set_weights([*moved, variance * rng.uniform(0.05, 0.3, variance.shape)])


if __name__ == "__main__":
    main()
