# SPDX-License-Identifier: MIT
"""Models of ONNX and TFLite go the whole way on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="the runtime is in the `onnx` extra")
pytest.importorskip("ai_edge_litert", reason="the interpreter is in the `tflite` extra")

from fixedpoint_nn import load_model, load_pack
from tests.interchange.onnx.models import INT64, model, node
from tests.support.commands import Capture, found, refused, run
from tests.support.tflite_networks import ds_cnn

RNG = np.random.default_rng(0)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """m.onnx and m.tflite, with last.npz and first.npz (channels), and codes.npz, in the working folder."""
    monkeypatch.chdir(tmp_path)
    weights = {"k": RNG.standard_normal((4, 2, 3, 3)), "w": RNG.standard_normal((4, 3))}
    nodes = [
        node("Conv", "image k", "c"),
        node("Relu", "c", "r"),
        node("GlobalAveragePool", "r", "p"),
        node("Flatten", "p", "f"),
        node("Gemm", "f w", "y"),
    ]
    floats = {name: value.astype(np.float32) for name, value in weights.items()}
    Path("m.onnx").write_bytes(model(nodes, {"image": ["n", 2, 6, 5]}, ["y"], floats))
    x = RNG.standard_normal((60, 6, 5, 2)).astype(np.float32)
    np.savez("last.npz", x=x, y=np.arange(60) % 3)
    np.savez("first.npz", x=x.transpose(0, 3, 1, 2), y=np.arange(60) % 3)
    blob, samples = ds_cnn(size=(10, 6), channels=4, softmax=False)
    Path("m.tflite").write_bytes(blob)
    np.savez("codes.npz", x=samples[:8])


def test_an_onnx_file_is_trained_swept_emitted_and_verified(files: None, capsys: Capture) -> None:
    data = ("--data", "last.npz")
    assert found(capsys, "sweep", "m.onnx", *data, "--words", "4,8", "--out", "s")["points"]
    assert found(capsys, "train", "m.onnx", *data, "--epochs", 1, "--out", "t.safetensors")["epochs"] == 1
    for source in ("m.onnx", "t.safetensors"):
        emit = ("emit", source, *data, "--word", 8, "--vectors", 2, "--corners", 0, "--out", f"pack_{source}")
        assert found(capsys, *emit)["vectors"] == 2
        assert found(capsys, "verify", f"pack_{source}")["passed"]


def test_samples_with_their_channels_first_are_turned_and_that_is_said(files: None, capsys: Capture) -> None:
    emit = ("--word", 8, "--vectors", 2, "--corners", 0)
    assert run("emit", "m.onnx", "--data", "first.npz", *emit, "--out", "a") == 0
    said = "the samples are arranged as in m.onnx, (2, 6, 5); the network takes them as (6, 5, 2)"
    assert said in capsys.readouterr().err
    assert run("emit", "m.onnx", "--data", "last.npz", *emit, "--out", "b") == 0
    assert said not in capsys.readouterr().err
    first, last = load_pack("a"), load_pack("b")
    assert len(first.vectors) == 2
    assert np.array_equal(first.vectors, last.vectors) and np.array_equal(first.expected, last.expected)
    np.savez("wrong.npz", x=np.zeros((4, 5, 5, 2), np.float32))
    assert refused(capsys, "emit", "m.onnx", "--data", "wrong.npz", "--word", 8, "--out", "c") == (
        "m.onnx takes samples of shape (6, 5, 2), and those of wrong.npz have (5, 5, 2)"
    )


def test_a_tflite_file_is_emitted_and_verified_as_it_is(files: None, capsys: Capture) -> None:
    data = ("--data", "codes.npz")
    found(capsys, "emit", "m.tflite", *data, "--vectors", 2, "--corners", 0, "--out", "p")
    assert found(capsys, "verify", "p")["passed"]
    expected = load_model("m.tflite")(np.load("codes.npz")["x"][:2]).ints
    assert np.array_equal(load_pack("p").expected, expected)
    assert refused(capsys, "sweep", "m.tflite", *data, "--words", 4, "--out", "s").startswith(
        "m.tflite is quantised already"
    )


@pytest.mark.parametrize(
    ("file", "data"), [("m.onnx", "first.npz"), ("m.onnx", "last.npz"), ("m.tflite", "codes.npz")]
)
def test_a_model_is_compared_with_its_own_runtime(files: None, file: str, data: str, capsys: Capture) -> None:
    results = found(capsys, "compare", file, "--data", data, "--samples", 5)
    assert results["equal"] and results["samples"] == 5 and len(results["tensors"]) >= 5
    assert results["exact"] == (file == "m.tflite")
    assert all(tensor["differing"] == 0 for tensor in results["tensors"])


def two_inputs(path: str) -> tuple[Any, Any]:
    """A file with an image and a row, and samples of both in the file's order of axes."""
    nodes = [node("GlobalAveragePool", "image", "p"), node("Flatten", "p", "f"), node("Add", "f row", "y")]
    Path(path).write_bytes(model(nodes, {"image": ["n", 2, 6, 5], "row": ["n", 2]}, ["y"]))
    return RNG.standard_normal((9, 2, 6, 5)).astype(np.float32), RNG.standard_normal((9, 2)).astype(
        np.float32
    )


def test_a_model_of_several_inputs_is_compared(files: None, capsys: Capture) -> None:
    image, row = two_inputs("two.onnx")
    np.savez("both.npz", image=image, row=row)
    results = found(capsys, "compare", "two.onnx", "--data", "both.npz", "--samples", 4)
    assert results["equal"] and results["samples"] == 4
    np.savez("turned.npz", image=image.transpose(0, 2, 3, 1), row=row)
    assert found(capsys, "compare", "two.onnx", "--data", "turned.npz")["equal"]
    np.savez("one.npz", x=image, row=row)
    assert refused(capsys, "compare", "two.onnx", "--data", "one.npz") == (
        "one.npz holds x, row, and no image; the network has several inputs, so save an array for each: "
        "np.savez(path, **{'image': ..., 'row': ...})"
    )
    np.savez("wide.npz", image=image, row=image)
    assert refused(capsys, "compare", "two.onnx", "--data", "wide.npz") == (
        "two.onnx takes samples of shape (2,), and those of wide.npz have (2, 6, 5)"
    )
    np.savez("bad.npz", image=image, row=np.float32("nan") * row)
    assert refused(capsys, "compare", "two.onnx", "--data", "bad.npz").startswith("row of bad.npz holds NaN")
    assert refused(capsys, "compare", "two.onnx").startswith("a comparison needs samples: --data samples.npz")


def test_sizes_of_a_model_of_several_inputs_are_listed(files: None, capsys: Capture) -> None:
    two_inputs("two.onnx")
    results = found(capsys, "import", "two.onnx", "--check")
    assert results["engine"] == "fits" and results["shape"] == [[6, 5, 2], [2]]
    assert run("import", "two.onnx", "--check") == 0
    assert "On the engine all inputs of a sample are one row" in capsys.readouterr().out


def test_a_difference_is_a_failure(files: None, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr("fixedpoint_nn.interchange.onnx.runtime.any_kind", shifted)
    assert run("compare", "m.onnx", "--data", "last.npz") == 1
    assert capsys.readouterr().out.startswith("DIFFERENT from onnxruntime, first in c: ")


def shifted(*arguments: Any, **options: Any) -> Any:
    from dataclasses import replace

    from fixedpoint_nn.interchange.onnx.importing import any_kind

    real: Any = any_kind(*arguments, **options)
    parts = {name: replace(part, layer=_plus_one(part.layer)) for name, part in real.net.parts.items()}
    return replace(real, net=replace(real.net, parts=parts))


def _plus_one(layer: Any) -> Any:
    return lambda *x: layer(*x) + 1.0


def test_a_check_says_operators_shapes_and_sizes(files: None, capsys: Capture) -> None:
    assert run("import", "m.onnx", "--check") == 0
    text = capsys.readouterr().out
    assert "operators 1 Conv, 1 Flatten, 1 Gemm, 1 GlobalAveragePool, 1 Relu" in text
    assert "inputs    image float (n, 2, 6, 5)" in text and "(6, 5, 2), channels last" in text
    assert "The engine takes it with words of 8 bits, with 8 lanes" in text
    results = found(capsys, "import", "m.onnx", "--check")
    assert results["engine"] == "fits" and results["multiply_accumulates"] >= 4 * 3 * 4 * 18 + 12
    assert not Path("m.safetensors").exists()
    assert found(capsys, "import", "m.tflite", "--check")["operators"]["DEPTHWISE_CONV_2D"] >= 1


def test_all_that_cannot_be_read_is_named(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "r.onnx"
    nodes = [node("Det", "x", "d", "first"), node("Sinh", "x", "e", "second"), node("Foo", "x", "f", "third")]
    path.write_bytes(model(nodes, {"x": ["n", 4, 4]}, ["d", "e", "f"]))
    assert run("import", path, "--check") == 1
    text = capsys.readouterr().out
    assert "operators 1 Det, 1 Foo, 1 Sinh" in text
    assert "3 operators cannot be read:" in text
    assert all(name in text for name in ("'first' (Det)", "'second' (Sinh)", "'third' (Foo)"))
    assert run("import", path, "--out", tmp_path / "r.safetensors") == 1
    assert not (tmp_path / "r.safetensors").exists()


def test_what_does_not_fit_the_engine_is_said(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "softmax.tflite"
    path.write_bytes(ds_cnn(size=(10, 6), channels=4, softmax=True)[0])
    assert run("import", path, "--check") == 0
    text = capsys.readouterr().out
    assert "The engine does not take it: " in text and "softmax" in text.split("does not take it")[1]


def test_sizes_that_the_file_leaves_open_are_given(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "open.onnx"
    path.write_bytes(model([node("GlobalAveragePool", "x", "y")], {"x": ["n", 3, "h", "w"]}, ["y"]))
    assert run("import", path, "--check") == 1
    assert "'h'" in capsys.readouterr().out
    assert found(capsys, "import", path, "--check", "--shape", "x=1,3,8,8")["shape"] == [8, 8, 3]
    assert (
        refused(capsys, "import", path, "--check", "--shape", "x=a")
        == "--shape 'x=a' is not like image=1,3,32,32"
    )


def test_tokens_are_tried_within_their_embedding(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "tokens.onnx"
    weights = {
        "e": RNG.standard_normal((5, 4)).astype(np.float32),
        "w": RNG.standard_normal((12, 2)).astype(np.float32),
    }
    nodes = [node("Gather", "e x", "g"), node("Flatten", "g", "f"), node("Gemm", "f w", "y")]
    path.write_bytes(model(nodes, {"x": ["n", 3]}, ["y"], weights, kinds={"x": INT64}))
    assert found(capsys, "import", path, "--check")["engine"] == "fits"


def test_an_imported_network_is_a_file_like_any_other(files: None, capsys: Capture) -> None:
    assert found(capsys, "import", "m.onnx", "--out", "o.safetensors")["file"] == "o.safetensors"
    emit = ("--data", "last.npz", "--word", 8, "--vectors", 1, "--corners", 0)
    assert run("emit", "o.safetensors", *emit, "--out", "o") == 0
    assert run("import", "m.tflite", "--out", "t.safetensors") == 0
    assert (
        run("emit", "t.safetensors", "--data", "codes.npz", "--vectors", 1, "--corners", 0, "--out", "t") == 0
    )
    assert refused(capsys, "import", "m.onnx") == (
        "import takes either --check, or --out, the .safetensors file of the network"
    )
    assert refused(capsys, "import", "m.onnx", "--out", "x.npz") == (
        "--out is a file that ends in .safetensors, unlike x.npz"
    )
    assert refused(capsys, "import", "none.onnx", "--check") == "there is no file none.onnx"
    assert refused(capsys, "compare", "o.safetensors", "--data", "last.npz").endswith(
        "no other runtime reads it"
    )


def test_a_softmax_at_the_end_is_left_out_for_the_engine(files: None, capsys: Capture) -> None:
    blob, samples = ds_cnn(size=(10, 6), channels=4, softmax=True)
    Path("s.tflite").write_bytes(blob)
    np.savez("s.npz", x=samples[:4])
    emit = ("emit", "s.tflite", "--data", "s.npz", "--vectors", 2, "--corners", 0, "--out", "p")
    assert run(*emit) == 1
    hint = "--without-softmax leaves a softmax at the end out, and the argmax is the same."
    assert capsys.readouterr().err.rstrip().endswith(hint)
    assert found(capsys, *emit, "--without-softmax")["vectors"] == 2
    assert found(capsys, "verify", "p")["passed"]
    floats = ("emit", "m.onnx", "--data", "last.npz", "--word", 8, "--without-softmax", "--out", "q")
    assert refused(capsys, *floats) == "--without-softmax is for quantised files, and m.onnx is over floats"


def test_a_file_is_read_up_to_one_of_its_values(files: None, capsys: Capture) -> None:
    inside = ("--output", "p")
    assert found(capsys, "import", "m.onnx", "--check", *inside)["outputs"] == ["p  ()"]
    assert found(capsys, "compare", "m.onnx", "--data", "last.npz", *inside)["equal"]
    emit = ("--data", "last.npz", "--word", 8, "--vectors", 2, "--corners", 0, *inside)
    assert found(capsys, "emit", "m.onnx", *emit, "--out", "p")["vectors"] == 2
    assert found(capsys, "verify", "p")["passed"]
    assert refused(capsys, "emit", "moons", *inside, "--out", "q") == (
        "moons is a network of this project; --output is for .onnx and .tflite files"
    )
