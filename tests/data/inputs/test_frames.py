"""Frames of a quantity: scales and their inverses, gaps, sizes, variations that move frames seen and foretold alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crnn.data.inputs import INPUTS
from crnn.data.inputs._frame_files import read_stored
from crnn.errors import DataError
from crnn.types import Clip, Sample

Kind = INPUTS["frames"]


def learned(x: np.ndarray, **settings: object) -> Kind:
    return Kind.learn(Kind.Settings(**settings), [Sample("a", x)])


@pytest.mark.parametrize("scale", ["unit", "rain", "learned", "none"])
def test_physical_is_the_inverse_of_finish(scale: str) -> None:
    x = np.random.default_rng(0).random((3, 1, 4, 5)).astype(np.float32) * (1 if scale == "unit" else 60)
    kind = learned(x, scale=scale)
    y = kind.finish(kind.decode(x))
    np.testing.assert_allclose(
        kind.physical(y), np.where(x < 0.04, 0, x) if scale == "rain" else x, rtol=1e-3, atol=1e-4
    )
    if scale in ("unit", "rain"):
        assert kind.bounded and y.min() >= 0 and y.max() <= 1


def test_rain_is_that_of_marshall_and_palmer() -> None:
    kind = Kind(Kind.Settings(scale="rain"), {"scale": "rain", "shape": [1, 1, 3]})
    x = np.array([0, 1, 100], np.float32).reshape(1, 1, 1, 3)
    assert (60 * kind.finish(x)).ravel().tolist() == pytest.approx([0, 23.01, 55.01], abs=0.01)
    assert kind.physical(np.zeros((1, 1, 1, 1), np.float32)) == 0, "no rain is no rain"


def test_the_scale_is_found() -> None:
    grey = np.arange(48, dtype=np.uint8).reshape(3, 4, 4)
    assert learned(grey).scale == "unit" and learned(grey).decode(grey).max() == pytest.approx(47 / 255)
    degrees = np.linspace(-5, 30, 48).reshape(3, 4, 4)
    kind = learned(degrees)
    assert kind.scale == "learned" and kind.finish(kind.decode(degrees)).std() == pytest.approx(1, abs=1e-5)
    assert learned(np.full((3, 4, 4), 10, np.uint16), factor=0.1).scale == "unit"


def test_what_was_not_measured_is_taken_from_before() -> None:
    x = np.arange(12.0).reshape(3, 2, 2)
    x[0, 0, 0] = x[1, 1, 1] = x[2, 1, 1] = np.nan
    x[2, 0, 0] = -99
    kind = learned(x, missing=-99)
    y = kind.decode(x)[:, 0]
    assert y[0, 0, 0] == 0 and y[1, 1, 1] == y[2, 1, 1] == 3 and y[2, 0, 0] == 4
    assert np.isnan(kind.measured(x)).sum() == 4 and np.isnan(kind.measured(x)[2, 0, 0, 0]), "as a truth, nothing"
    (finding,) = [f for f in kind.look(x).findings if f.kind == "missing values"]
    assert "4 values of 12" in finding.sentence


def test_frames_of_another_size_are_named(tmp_path: Path) -> None:
    kind = learned(np.zeros((3, 4, 6)))
    np.save(tmp_path / "other.npy", np.zeros((3, 4, 5)))
    with pytest.raises(DataError, match=r"other.npy: has frames of 4 x 5 .* expected 4 x 6 .* Cut or scale"):
        kind.decode(tmp_path / "other.npy")
    for i, size in enumerate(((6, 4), (6, 5))):
        Image.new("L", size).save(tmp_path / f"{i}.png")
    with pytest.raises(DataError, match=r"1.png: is a picture of 5 x 6 .* expected frames like 0.png, of 4 x 6"):
        kind.decode(Clip(tmp_path, 0, 2))
    with pytest.raises(DataError, match=r"9 x 9 pixels; expected at least one, at most 8"):
        Kind(Kind.Settings(largest=8)).decode(np.zeros((2, 9, 9)))


def test_frames_can_be_shrunk() -> None:
    x = np.arange(2 * 5 * 7.0).reshape(2, 5, 7)
    y = learned(x, shrink=2).decode(x)
    assert y.shape == (2, 1, 2, 3) and y[0, 0, 0, 0] == x[0, :2, :2].mean()


def test_pictures_keep_all_their_bits(tmp_path: Path) -> None:
    x = np.array([[0, 300], [40000, 65535]], np.uint16)
    Image.fromarray(x).save(tmp_path / "0.png")
    Image.fromarray(x).save(tmp_path / "1.pgm")
    assert learned(np.stack([x, x])).decode(tmp_path)[:, 0].tolist() == [x.tolist()] * 2


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((3, 4, 5), (3, 1, 4, 5)),
        ((3, 2, 4, 5), (3, 2, 4, 5)),
        ((3, 4, 5, 3), (3, 3, 4, 5)),
        ((3, 4, 5, 1), (3, 1, 4, 5)),
    ],
)
def test_axes_of_arrays(shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    assert Kind(Kind.Settings()).decode(np.zeros(shape, np.float32)).shape == expected


@pytest.mark.parametrize("source", [np.zeros((4, 5)), np.zeros((2, 0, 3)), 7, np.array([["a"]])])
def test_what_is_no_source(source: object) -> None:
    with pytest.raises(DataError, match=r"expected .*frames \(time, height, width\)"):
        Kind(Kind.Settings()).decode(source)  # type: ignore[arg-type]


def test_frames_seen_and_foretold_are_varied_alike() -> None:
    x, y = (np.random.default_rng(i).random((2, 1, 6, 6)).astype(np.float32) for i in range(2))
    kind = learned(x)
    augment = Kind.Augment(flip=0.5, turn=0.5, strength=0.3)
    both = np.concatenate([x, y])
    for seed in range(8):
        a, b = kind.vary(x, y, augment, np.random.default_rng(seed))
        whole, _ = kind.vary(both, None, augment, np.random.default_rng(seed))
        assert b is not None and np.array_equal(np.concatenate([a, b]), whole)


# files


@pytest.mark.parametrize("ending", ["npz", "npy", "h5", "nc"])
def test_files_of_frames(ending: str, tmp_path: Path) -> None:
    rain = np.arange(24.0, dtype=np.float32).reshape(2, 3, 4)
    path = tmp_path / f"a.{ending}"
    if ending == "npz":
        np.savez(path, rain=rain, times=["202010310730", "202010310740"], split=np.array(["train"]))
    elif ending == "npy":
        np.save(path, rain)
    elif ending == "h5":
        h5py = pytest.importorskip("h5py")
        with h5py.File(path, "w") as file:
            file["radar/rain"] = rain
            file["radar/times"] = [b"202010310730", b"202010310740"]
    else:
        netcdf = pytest.importorskip("netCDF4")
        with netcdf.Dataset(path, "w") as file:
            for name, size in zip(("time", "y", "x"), rain.shape, strict=True):
                file.createDimension(name, size)
            file.createVariable("rain", "i2", ("time", "y", "x"), fill_value=-1).scale_factor = 0.5
            file["rain"][:] = np.ma.masked_equal(rain, 5)
            time = file.createVariable("time", "f8", ("time",))
            time.units, time[:] = "minutes since 2020-10-31 07:30", [0, 10]
    stored = read_stored(path)
    if ending == "nc":
        assert np.isnan(stored.frames[0, 1, 1])
        stored.frames[0, 1, 1] = 5
        assert stored.times is not None and str(stored.times[1]) == "2020-10-31T07:40:00"
    elif ending != "npy":
        assert stored.times is not None and len(stored.times) == 2
    assert np.array_equal(stored.frames, rain)


def test_what_may_be_masked_makes_the_type_not_what_is(tmp_path: Path) -> None:
    netcdf = pytest.importorskip("netCDF4")
    for name, corner in (("a.nc", 100), ("b.nc", 255)):
        with netcdf.Dataset(tmp_path / name, "w") as file:
            for side, size in zip(("time", "y", "x"), (2, 3, 4), strict=True):
                file.createDimension(side, size)
            x = np.full((2, 3, 4), 100, np.uint8)
            x[0, 0, 0] = corner
            file.createVariable("rain", "u1", ("time", "y", "x"), fill_value=255)[:] = x
    one, other = (read_stored(tmp_path / name).frames for name in ("a.nc", "b.nc"))
    assert one.dtype == other.dtype == np.float32 and one[1, 2, 3] == other[1, 2, 3] == 100


def test_files_that_hold_no_frames(tmp_path: Path) -> None:
    np.savez(tmp_path / "flat.npz", a=np.zeros((3, 4)), b=np.zeros(2))
    np.savez(tmp_path / "two.npz", a=np.zeros((3, 4, 5)), b=np.zeros((3, 4, 5)))
    np.save(tmp_path / "flat.npy", np.zeros((3, 4)))
    (tmp_path / "bad.npz").write_bytes(b"PK not really")
    (tmp_path / "bad.npy").write_bytes(b"")
    for name, words in {
        "flat.npz": "holds the arrays a, b; expected frames",
        "two.npz": "holds the arrays a, b; expected .* Name the array of the frames frames",
        "flat.npy": r"holds an array of shape \(3, 4\)",
        "bad.npz": "cannot be read",
        "bad.npy": "cannot be read",
        "gone.npz": "is not there",
    }.items():
        with pytest.raises(DataError, match=words):
            read_stored(tmp_path / name)


def test_damaged_hdf5_and_netcdf(tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    pytest.importorskip("netCDF4")
    for name in ("a.h5", "a.nc"):
        (tmp_path / name).write_bytes(b"nothing")
        with pytest.raises(DataError, match="cannot be read"):
            read_stored(tmp_path / name)
