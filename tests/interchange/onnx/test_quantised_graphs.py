# SPDX-License-Identifier: MIT
"""What graphs of quantised files do around their products: constants of each place, other sizes, batches of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import RtlModel, from_onnx
from fixedpoint_nn.interchange.comparison import compare
from fixedpoint_nn.interchange.unsupported import UnsupportedModel
from tests.interchange.onnx.models import INT64, model, node

RNG = np.random.default_rng(12)
INT8 = np.int8


class File:
    """A chain of operators; each value is rounded to a scale that is a power of two, so floats are exact."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.constants: dict[str, Any] = {}
        self.nodes: list[Any] = []
        self.last = "x"
        self.rounded(-5)

    def constant(self, value: Any) -> str:
        name = f"k{len(self.constants)}"
        self.constants[name] = np.asarray(value)
        return name

    def codes(self, shape: tuple[int, ...], power: int) -> str:
        """Random codes of a constant, dequantised."""
        ints = self.constant(RNG.integers(-90, 90, shape).astype(INT8))
        scale, zero = self.constant(np.float32(2.0**power)), self.constant(INT8(0))
        self.nodes.append(node("DequantizeLinear", f"{ints} {scale} {zero}", f"{ints}_real"))
        return f"{ints}_real"

    def rounded(self, power: int, zero: int = 3) -> None:
        scale, place = self.constant(np.float32(2.0**power)), self.constant(INT8(zero))
        number = len(self.nodes)
        self.nodes.append(node("QuantizeLinear", f"{self.last} {scale} {place}", f"q{number}"))
        self.nodes.append(node("DequantizeLinear", f"q{number} {scale} {place}", f"d{number}"))
        self.last = f"d{number}"

    def add(self, op: str, inputs: str, power: int | None = None, **about: Any) -> None:
        number = len(self.nodes)
        self.nodes.append(node(op, inputs, f"v{number}", **about))
        self.last = f"v{number}"
        if power is not None:
            self.rounded(power)

    def write(self, path: Path) -> Path:
        path.write_bytes(model(self.nodes, {"x": ["n", *self.shape]}, [self.last], self.constants))
        return path

    def samples(self) -> Any:
        return RNG.normal(size=(12, *self.shape)).astype(np.float32)


def check(file: File, path: Path) -> None:
    """Every tensor is the runtime's, and the engine gives the words of the network."""
    found = from_onnx(file.write(path))
    x = file.samples()
    x = x.transpose(0, 2, 3, 1) if len(file.shape) == 3 and found.shape != file.shape else x
    compared = compare(path, x)
    assert compared.equal and compared.exact, str(compared)
    assert np.array_equal(RtlModel(found)(x[:2]).ints, found(x[:2]).ints)


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul"])
@pytest.mark.parametrize("first", [True, False])
def test_a_constant_of_each_place_joins_a_value(op: str, first: bool, tmp_path: Path) -> None:
    file = File((3, 4))
    constant = file.codes((1, 3, 4), -6)
    file.add(op, f"{file.last} {constant}" if first else f"{constant} {file.last}", -4)
    check(file, tmp_path / "m.onnx")


def test_a_constant_is_put_before_a_sequence(tmp_path: Path) -> None:
    """As the token of a class: it is repeated for each sample, and rounded with the rest."""
    file = File((3, 4))
    constant, rest = file.codes((1, 1, 4), -5), file.constant(np.array([1, 4]))
    file.nodes += [
        node("Shape", "x", "all"),
        node("Slice", f"all {file.constant([0])} {file.constant([1])}", "batch"),
        node("Concat", f"batch {rest}", "sizes", axis=0),
        node("Expand", f"{constant} sizes", "token"),
    ]
    file.add("Concat", f"token {file.last}", -4, axis=1)
    check(file, tmp_path / "m.onnx")


def test_the_largest_of_an_axis_and_a_root(tmp_path: Path) -> None:
    file = File((3, 4))
    file.add("ReduceMax", file.last, -5, axes=[1], keepdims=0)
    file.add("Relu", file.last, -5)
    file.add("Sqrt", file.last, -5)
    check(file, tmp_path / "m.onnx")


def test_values_are_repeated_and_spread(tmp_path: Path) -> None:
    file = File((3, 4))
    file.add("ReduceMean", file.last, -5, axes=[1], keepdims=1)
    file.add("Expand", f"{file.last} {file.constant(np.array([1, 3, 4]))}", -5)
    file.add("Tile", f"{file.last} {file.constant(np.array([1, 1, 2]))}", -5)
    check(file, tmp_path / "m.onnx")


def test_a_row_is_normalised_by_its_squares_step_by_step(tmp_path: Path) -> None:
    """As exporters write an RMSNorm: each step has a quantiser of its own but the square."""
    file = File((3, 4))
    x = file.last
    file.add("Pow", f"{x} {file.constant(np.float32(2))}")
    file.add("ReduceMean", file.last, -3, axes=[-1], keepdims=1)
    file.add("Relu", file.last, -3)
    file.add("Add", f"{file.last} {file.constant(np.float32(0.125))}", -3)
    file.add("Sqrt", file.last, -5)
    file.add("Reciprocal", file.last, -4)
    file.add("Mul", f"{x} {file.last}", -5)
    check(file, tmp_path / "m.onnx")


@pytest.mark.parametrize("power", [2.0, 3.0, -2.0])
def test_powers_of_codes(power: float, tmp_path: Path) -> None:
    file = File((5,))
    file.add("Pow", f"{file.last} {file.constant(np.float32(power))}", -4)
    check(file, tmp_path / "m.onnx")


def test_roots_of_negative_codes_are_refused(tmp_path: Path) -> None:
    file = File((5,))
    file.add("Pow", f"{file.last} {file.constant(np.float32(0.5))}", -4, name="root")
    reason = r"'root' \(Pow\): it raises negative numbers to the power 0.5"
    with pytest.raises(UnsupportedModel, match=reason):
        from_onnx(file.write(tmp_path / "m.onnx"))


def token_file(path: Path, table: Any, nodes: list[Any], constants: dict[str, Any]) -> Path:
    """Whole numbers choose rows of a dequantised table, which is rounded again; then come more nodes, from d to y."""
    known = {"table": table, "s": np.float32(2.0**-4), "z": INT8(3), **constants}
    first = [
        node("DequantizeLinear", "table s z", "real"),
        node("Gather", "real ids", "row"),
        node("QuantizeLinear", "row s z", "q"),
        node("DequantizeLinear", "q s z", "d"),
    ]
    path.write_bytes(model([*first, *nodes], {"ids": ["n", 6]}, ["y"], known, kinds={"ids": INT64}))
    return path


def test_ids_choose_rows_of_a_table(tmp_path: Path) -> None:
    table = RNG.integers(-90, 90, (20, 4)).astype(INT8)
    positions = RNG.integers(-90, 90, (6, 4)).astype(INT8)
    nodes = [
        node("DequantizeLinear", "positions s z", "place"),
        node("Add", "d place", "sum"),
        node("QuantizeLinear", "sum t z", "yq"),
        node("DequantizeLinear", "yq t z", "y"),
    ]
    path = token_file(tmp_path / "m.onnx", table, nodes, {"positions": positions, "t": np.float32(0.125)})
    ids = RNG.integers(0, 20, (9, 6))
    compared = compare(path, ids)
    assert compared.equal and compared.exact, str(compared)
    found = from_onnx(path)
    assert np.array_equal(RtlModel(found)(ids[:2]).ints, found(ids[:2]).ints)


def test_what_ids_cannot_choose_is_refused(tmp_path: Path) -> None:
    table = RNG.integers(-90, 90, (20, 4)).astype(INT8)
    path = token_file(tmp_path / "m.onnx", table, [node("Gather", "d ids", "y", name="twice")], {})
    with pytest.raises(UnsupportedModel, match=r"'twice' \(Gather\)"):
        from_onnx(path)


def test_a_last_logsoftmax_is_left_out(tmp_path: Path) -> None:
    file = File((5,))
    file.add("LogSoftmax", file.last)
    path = file.write(tmp_path / "m.onnx")
    with pytest.raises(UnsupportedModel, match=r"or, at the end, leave it out: softmax=False"):
        from_onnx(path)
    x = file.samples()
    assert np.array_equal(from_onnx(path, softmax=False)(x).ints, np.clip(np.rint(x * 32) + 3, -128, 127))


@pytest.mark.parametrize("op", ["Tanh", "Exp", "Erf"])
def test_a_function_of_codes_may_be_the_output(op: str, tmp_path: Path) -> None:
    file = File((5,))
    file.add(op, file.last)
    found = from_onnx(file.write(tmp_path / "m.onnx"))
    x = file.samples()
    compared = compare(tmp_path / "m.onnx", x)
    assert compared.equal and not compared.exact  # within the error of the runtime's own floats
    assert np.array_equal(RtlModel(found)(x[:2]).ints, found(x[:2]).ints)


def test_a_value_whose_shape_is_taken_is_rounded_before_it_is_moved(tmp_path: Path) -> None:
    """As torch.nn.MultiheadAttention behind a normalisation is exported."""
    file = File((3, 4))
    gain, bias = (file.constant(RNG.normal(size=4).astype(np.float32)) for _ in range(2))
    file.add("LayerNormalization", f"{file.last} {gain} {bias}", axis=-1)
    file.add("Transpose", file.last, perm=[1, 0, 2])
    moved = file.last
    file.rounded(-4)
    file.nodes += [
        node("Shape", moved, "all"),
        node("Gather", f"all {file.constant(np.array([0, 2]))}", "sizes"),
        node("Concat", f"{file.constant(np.array([-1]))} sizes", "wanted", axis=0),
    ]
    file.add("Transpose", file.last, perm=[1, 0, 2])
    file.add("Reshape", f"{file.last} wanted", -4)
    check(file, tmp_path / "m.onnx")


def test_constants_of_infinity_are_refused(tmp_path: Path) -> None:
    file = File((2, 2))
    file.add(
        "Add", f"{file.last} {file.constant(np.array([[0, -np.inf], [0, 0]], np.float32))}", -4, name="mask"
    )
    reason = (
        r"'mask' \(Add\): its constant holds infinity or nan, which no scale rounds; mask with a large finite"
    )
    with pytest.raises(UnsupportedModel, match=reason):
        from_onnx(file.write(tmp_path / "m.onnx"))


@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_images_are_interpolated(mode: str, tmp_path: Path) -> None:
    """To twice the size: weights are multiples of 1/4, or of 1/256 for cubic ones, and their floats are exact."""
    file = File((2, 4, 3))
    where = {"coordinate_transformation_mode": "half_pixel", "cubic_coeff_a": -0.5}
    file.add(
        "Resize", f"{file.last} _ {file.constant(np.array([1, 1, 2, 2], np.float32))}", -4, mode=mode, **where
    )
    check(file, tmp_path / "m.onnx")


def test_other_ratios_are_whole_numbers_over_one_denominator(tmp_path: Path) -> None:
    """From corner to corner, 4 rows to 7 have weights of halves, and 3 columns to 6 of fifths, which no float holds."""
    file = File((2, 4, 3))
    scales = file.constant(np.array([1, 1, 7 / 4, 2], np.float32))
    where = {"coordinate_transformation_mode": "align_corners"}
    file.add("Resize", f"{file.last} _ {scales}", -4, mode="linear", **where)
    x = file.samples()
    network = from_onnx(file.write(tmp_path / "m.onnx"))
    codes = np.clip(np.rint(x * 32), -131, 124).astype(np.int64)  # less the zero point
    halves = np.array(
        [[2, 0, 0, 0], [1, 1, 0, 0], [0, 2, 0, 0], [0, 1, 1, 0], [0, 0, 2, 0], [0, 0, 1, 1], [0, 0, 0, 2]]
    )
    fifths = np.array([[5, 0, 0], [3, 2, 0], [1, 4, 0], [0, 4, 1], [0, 2, 3], [0, 0, 5]])
    tenths = halves @ codes @ fifths.T
    rounded = np.rint(
        tenths / 20
    )  # of 10 for the weights, and 2 for the scale; exact in doubles, ties to even
    assert np.array_equal(network(x.transpose(0, 2, 3, 1)).ints, np.clip(rounded, -131, 124) + 3)


def resized_codes(path: Path, dtype: type, sizes: list[float], **about: Any) -> Path:
    """Codes of a zero point of 5 that are resized without being dequantised."""
    constants = {"s": np.float32(0.25), "z": dtype(5), "size": np.array([1, 1, *sizes], np.float32)}
    nodes = [
        node("QuantizeLinear", "x s z", "q"),
        node("Resize", "q _ size", "r", name="larger", mode="linear", **about),
        node("DequantizeLinear", "r s z", "y"),
    ]
    path.write_bytes(model(nodes, {"x": ["n", 2, 5, 6]}, ["y"], constants))
    return path


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
@pytest.mark.parametrize("times", [2.0, 4.0])
@pytest.mark.parametrize("where", ["half_pixel", "asymmetric"])
def test_interpolated_codes_are_cut_off_towards_zero(
    dtype: type, times: float, where: str, tmp_path: Path
) -> None:
    """As onnxruntime's tool leaves a Resize between integer kernels."""
    about = {"coordinate_transformation_mode": where}
    path = resized_codes(tmp_path / "m.onnx", dtype, [times, times], **about)
    x = RNG.normal(0, 20, (9, 5, 6, 2)).astype(np.float32)
    compared = compare(path, x)
    assert compared.equal and compared.exact, str(compared)
    found = from_onnx(path)
    assert np.array_equal(RtlModel(found)(x[:2]).ints, found(x[:2]).ints)


def test_interpolated_codes_that_floats_round_are_refused(tmp_path: Path) -> None:
    about = {"coordinate_transformation_mode": "align_corners"}
    path = resized_codes(tmp_path / "m.onnx", np.int8, [1, 5 / 3], **about)
    with pytest.raises(UnsupportedModel, match=r"'larger' \(Resize\): it cuts off sums of codes over 9"):
        from_onnx(path)


def test_sizes_that_fix_the_batch_are_refused(tmp_path: Path) -> None:
    file = File((1, 4, 3))
    file.add(
        "Resize", f"{file.last} _ _ {file.constant(np.array([1, 1, 8, 6]))}", -4, mode="linear", name="larger"
    )
    reason = r"'larger' \(Resize\): it makes 1 samples of batch; where the file has a batch of 1, say so by `shapes`"
    with pytest.raises(UnsupportedModel, match=reason):
        from_onnx(file.write(tmp_path / "m.onnx"))
    assert from_onnx(tmp_path / "m.onnx", shapes={"x": (1, 1, 4, 3)}).shape == (4, 3, 1)


def test_a_ratio_of_no_small_denominator_is_refused(tmp_path: Path) -> None:
    file = File((1, 5000, 1))
    scales = file.constant(np.array([1, 1, 5003 / 5000, 1], np.float32))
    file.add("Resize", f"{file.last} _ {scales}", -4, mode="linear")
    with pytest.raises(
        UnsupportedModel, match=r"interpolates 5000 elements to 500. along axis 2, which is too much"
    ):
        from_onnx(file.write(tmp_path / "m.onnx"))


@pytest.mark.parametrize("heads", [1, 2])
def test_attention_that_joins_the_batch_with_its_heads_is_read_for_one_sample(
    heads: int, tmp_path: Path
) -> None:
    """As torch.nn.MultiheadAttention is exported: (time, batch * heads, features)."""
    file = File((3, 4))
    file.add("Transpose", file.last, perm=[1, 0, 2])
    file.add("Reshape", f"{file.last} {file.constant(np.array([3, -1, 4 // heads]))}")
    file.add("Transpose", file.last, perm=[1, 0, 2])
    rows = file.last
    file.add("Transpose", rows, perm=[0, 2, 1])
    file.add("MatMul", f"{rows} {file.last}", -3)
    file.add("MatMul", f"{file.last} {rows}", -1)
    file.add("Transpose", file.last, perm=[1, 0, 2])
    file.add("Reshape", f"{file.last} {file.constant(np.array([3, -1, 4]))}")
    file.add("Transpose", file.last, perm=[1, 0, 2])
    check(file, tmp_path / "m.onnx")
