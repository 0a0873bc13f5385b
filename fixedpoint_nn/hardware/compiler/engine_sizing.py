# SPDX-License-Identifier: MIT
"""The smallest engine for a network: widths and depths from formats, images and proven bounds."""

from __future__ import annotations

from collections.abc import Sequence

from fixedpoint_nn.hardware.compiler.errors import LoweringError
from fixedpoint_nn.hardware.compiler.kernel import Kernel
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.images import Images
from fixedpoint_nn.hardware.isa.instructions import OVERFLOWS, ROUNDINGS, AssemblyError
from fixedpoint_nn.numerics.arrays import Ints
from fixedpoint_nn.numerics.qformat import QFormat

MAX_WIDTH = 32
MAX_ACCUMULATOR = 63


def stored_format(kernel: Kernel) -> QFormat:
    """The format of the words a kernel writes."""
    return kernel.table.output.format if kernel.table is not None else kernel.quantizer.format


# The accumulator holds the product of two words.
WIDEST_WORD = min(MAX_WIDTH, MAX_ACCUMULATOR // 2)


def _word_bits(format: QFormat) -> int:
    """The bits of a signed word that holds the format."""
    return format.bits + (not format.signed)


def _bits(low: int, high: int) -> int:
    return max((low if low >= 0 else ~low).bit_length(), (high if high >= 0 else ~high).bit_length()) + 1


def _range_bits(array: Ints) -> int:
    return _bits(int(array.min()), int(array.max())) if array.size else 2


def smallest_engine(
    lanes: int,
    drain: int,
    images: Images,
    kernels: Sequence[Kernel],
    source: QFormat,
    depth: int,
    words: int = 1,
    window: int = 0,
) -> EngineConfig:
    """The smallest engine that holds every format, weight and bias, and the proven bounds of every sum."""
    formats = [source, *map(stored_format, kernels)]
    for kernel in kernels:
        f = max((stored_format(kernel), kernel.quantizer.format), key=_word_bits)
        if _word_bits(f) > WIDEST_WORD:
            raise LoweringError(
                f"Layer {kernel.name!r} does not fit the engine: its result {f} needs words of "
                f"{_word_bits(f)} bits, and {WIDEST_WORD} is the most; "
                f"cast it to {WIDEST_WORD - (not f.signed)} bits or fewer."
            )
        if kernel.weights is not None and (bits := _range_bits(kernel.weights)) > MAX_WIDTH:
            raise LoweringError(
                f"Layer {kernel.name!r} does not fit the engine: its weights, aligned, need {bits} "
                f"bits, and {MAX_WIDTH} "
                f"is the most; give its operands fraction bits that differ by {bits - MAX_WIDTH} less."
            )
    widths = [_word_bits(f) for f in formats]
    activation = max(
        [2, *widths, _range_bits(images.activations), *(_word_bits(k.quantizer.format) for k in kernels)]
    )
    weight = max([2, _range_bits(images.weights), _range_bits(images.stream)])
    sums = max([_bits(*kernel.bound) for kernel in kernels], default=2)
    accumulator = max(8, activation + max(activation, weight), sums)
    if accumulator > MAX_ACCUMULATOR:
        worst = max(kernels, key=lambda kernel: _bits(*kernel.bound))
        excess = accumulator - MAX_ACCUMULATOR
        raise LoweringError(
            f"Layer {worst.name!r} does not fit the engine: its sums need {accumulator} bits, and "
            f"{MAX_ACCUMULATOR} is the most; take {excess} bit{'s' * (excess > 1)} from its input or its weights."
        )
    needed: dict[str, int] = dict(
        lanes=lanes,
        drain=drain,
        words=words,
        activation_width=activation,
        weight_width=weight,
        accumulator_width=accumulator,
        bias_width=max(2, _range_bits(images.parameters[:, 1])),
        multiplier_width=max(2, _range_bits(images.parameters[:, 2]))
        if images.parameters.shape[1] > 2
        else 0,
        **_model(kernels),
        activation_depth=max(depth, 2 * lanes),
        weight_depth=max(2, len(images.weights) + window),
        parameter_depth=max(2, -(-len(images.parameters) // drain)),
        table_depth=max(2, len(images.tables)),
        program_depth=max(2, len(images.program)),
        weight_window=window,
    )
    try:
        return EngineConfig(**needed)
    except AssemblyError as error:
        raise LoweringError(f"The network does not fit any engine: {error}.") from None


def _model(kernels: Sequence[Kernel]) -> dict[str, int]:
    """The engine's parameters of the modelled accumulator; raises if kernels need different ones."""
    chosen: dict[str, int] = {}
    first = ""
    for kernel in kernels:
        accumulator = kernel.accumulator
        if accumulator is None:
            continue
        model = {
            "model_width": accumulator.format.bits,
            "model_saturate": OVERFLOWS.index(accumulator.overflow.name),
        }
        if accumulator.product is not None:
            product = accumulator.product
            model |= {
                "product_bits": product.format.bits,
                "product_shift": kernel.product_shift,
                "product_signed": int(product.format.signed),
                "product_rounding": ROUNDINGS.index(product.rounding.name),
                "product_overflow": OVERFLOWS.index(product.overflow.name),
            }
        if chosen and model != chosen:
            raise LoweringError(
                f"Layer {kernel.name!r} does not fit the engine: its modelled accumulator differs from "
                f"that of {first!r}, "
                "and one engine has one; give both the same width, overflow and products."
            )
        chosen, first = model, first or kernel.name
    return chosen
