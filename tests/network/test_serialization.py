# SPDX-License-Identifier: MIT
from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save as save_tensors

from fixedpoint_nn import Tensor, layers
from fixedpoint_nn.files.whole import write_whole
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.network.serialization import KEY, FileError, load, load_metadata, save


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save(Initialiser(0).dense(3, 2), path, {"command": "train", "seed": 0, "result": {"accuracy": 0.9}})
    return path


def foreign(path: Path, header: object) -> Path:
    """A well-formed safetensors file whose description is ours to choose."""
    path.write_bytes(save_tensors({"weight": np.zeros((1, 1))}, {KEY: json.dumps(header)}))
    return path


def test_what_is_told_beside_a_network_comes_back(model: Path) -> None:
    assert load_metadata(model) == {"command": "train", "seed": 0, "result": {"accuracy": 0.9}}


def test_the_same_network_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        save(Initialiser(3).lstm(4, 5), tmp_path / name, {"one": 1, "two": 2})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_an_interrupted_save_leaves_the_old_file(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = model.read_bytes()

    def fail(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="no space left"):
        save(Initialiser(1).dense(30, 20), model)
    assert model.read_bytes() == before
    assert list(model.parent.iterdir()) == [model]


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=f"^there is no file {re.escape(str(tmp_path / 'x'))}$"):
        load(tmp_path / "x")


def test_a_safetensors_file_of_somebody_else_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    path.write_bytes(save_tensors({"weight": np.zeros(3)}))
    sentence = f"{path} is a safetensors file, but not a network saved by fixedpoint_nn; name another file"
    with pytest.raises(FileError, match=f"^{re.escape(sentence)}$"):
        load(path)


def test_a_file_of_another_version_is_told_apart(tmp_path: Path) -> None:
    path = foreign(tmp_path / "m", {"version": 99, "net": None})
    sentence = f"{path} has file version 99, this release reads 1; use the release that wrote it"
    with pytest.raises(FileError, match=f"^{re.escape(sentence)}$"):
        load(path)


def deep(levels: int) -> object:
    code: object = None
    for _ in range(levels):
        code = {"items": [code]}
    return code


@pytest.mark.parametrize(
    "net",
    [
        {"class": "os.system", "fields": {}},
        {"class": "Path", "fields": {}},
        {"class": "Dense", "fields": {"weight": {"tensor": "nothing"}}},
        {"class": "Dense", "fields": {"surprise": 1}},
        {"class": "Dense"},
        {"fixed": "weight", "format": "Q(99, 99)"},
        {"fixed": "weight", "format": "__import__('os')"},
        {"enum": "Rounding", "name": "UPWARDS"},
        {"enum": "Exception", "name": "mro"},
        {"parts": 3},
        {"items": 3},
        {"unknown": 1},
        {"items": []},
        None,
        deep(400),
    ],
    ids=lambda net: str(net)[:40],
)
def test_a_hostile_description_makes_nothing(tmp_path: Path, net: object) -> None:
    path = foreign(tmp_path / "m.safetensors", {"version": 1, "net": net})
    with pytest.raises(FileError, match=f"^{re.escape(str(path))} [^\n]*$"):
        load(path)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_a_damaged_file_is_one_sentence_or_still_a_network(model: Path, data: st.DataObject) -> None:
    blob = bytearray(model.read_bytes())
    damage = data.draw(st.sampled_from(["flip", "truncate", "insert"]))
    place = data.draw(st.integers(0, len(blob) - 1))
    if damage == "flip":
        blob[place] ^= 1 << data.draw(st.integers(0, 7))
    elif damage == "truncate":
        del blob[place:]
    else:
        blob[place:place] = data.draw(st.binary(min_size=1, max_size=8))
    damaged = model.parent / "damaged.safetensors"
    damaged.write_bytes(blob)
    try:
        net = load(damaged)
    except FileError as error:
        assert "\n" not in str(error)
        assert str(damaged) in str(error)
    else:
        assert isinstance(net, layers.Dense)


def test_a_layer_of_somebody_else_is_refused_by_name(tmp_path: Path) -> None:
    class Mine:
        pass

    with pytest.raises(TypeError, match=r"^the network holds a Mine, which a file cannot hold; layers that"):
        save(Mine(), tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_whole_and_readable_by_all(tmp_path: Path) -> None:
    write_whole(tmp_path / "f", b"abc")
    assert (tmp_path / "f").read_bytes() == b"abc"
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o644


def test_integers_are_stored_in_the_smallest_type(tmp_path: Path) -> None:
    from fixedpoint_nn import UQ, FixedArray, Q
    from fixedpoint_nn.network.encoding import _smallest

    for value, dtype in ((127, np.int8), (128, np.int16), (-(2**15) - 1, np.int32), (2**62, np.int64)):
        assert _smallest(np.array([value])).dtype == dtype
    array = FixedArray.from_ints([[1, 2]], UQ(2, 0))
    save(layers.Dense(array, FixedArray.from_ints([3], Q(3, 1))), tmp_path / "m")
    assert np.array_equal(load(tmp_path / "m").weight.ints, [[1, 2]])
    assert isinstance(load(tmp_path / "m").weight, FixedArray)
    assert not isinstance(load(tmp_path / "m").weight, Tensor)


@pytest.mark.parametrize("order", ["C", "F"])
def test_every_array_keeps_its_shape_and_a_single_number_stays_one(tmp_path: Path, order: str) -> None:
    weight = np.array(np.arange(6.0).reshape(2, 3), order=order)
    net = layers.Sequential(pool=layers.AvgPool2D(Tensor(np.array(0.25))), fc=layers.Dense(Tensor(weight)))
    save(net, tmp_path / "net")
    again = load(tmp_path / "net")
    assert again["pool"].reciprocal.shape == ()
    assert np.array_equal(again["fc"].weight.data, weight)
