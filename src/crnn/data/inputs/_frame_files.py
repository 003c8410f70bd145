"""Frames as programs store them: arrays in .npy, .npz, HDF5 and NetCDF files, with the time of each frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crnn.data.arrays import BROKEN, check_unpacked, open_npz, read_npy
from crnn.errors import DataError, MissingExtra

SUFFIXES = frozenset({".npy", ".npz", ".h5", ".hdf5", ".nc"})
NAMES = ("frames", "rain", "precipitation", "rainfall", "rain_rate", "reflectivity", "film", "video", "data", "x")
TIMES = ("times", "time", "timestamps", "stamps", "dates")
SPLITS = ("split", "splits")
MASKS = frozenset({"_FillValue", "missing_value", "valid_min", "valid_max", "valid_range"})
"""Attributes of NetCDF by which values are masked."""
WANTED = "frames: an array (time, height, width) or (sequence, time, height, width)"
AGAIN = "Copy it again or take it out of the data."


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """What a file holds: ``frames`` with three axes or more, the ``times`` of the frames and the ``split`` of each
    sequence, if it says them."""

    frames: np.ndarray
    times: np.ndarray | None = None
    split: tuple[str, ...] | None = None


def read_stored(path: Path) -> Stored:
    """The frames of a file. Raises ``DataError`` for one that is damaged, or holds no frames or several arrays that
    could be them, and ``MissingExtra``."""
    if not path.is_file():
        raise DataError("is not there", expected=WANTED, do="Check the path.", file=path)
    readers: Mapping[str, Callable[[Path], Stored]] = {".npy": _npy, ".npz": _npz, ".nc": _netcdf}
    read = readers.get(path.suffix.lower(), _hdf5)
    try:
        stored = read(path)
    except BROKEN as error:
        raise DataError(f"cannot be read ({error})", expected=WANTED, do=AGAIN, file=path) from error
    if stored.frames.ndim < 3 or stored.frames.dtype.kind not in "fiub" or not stored.frames.size:
        given = f"holds an array of shape {stored.frames.shape} and type {stored.frames.dtype}"
        raise DataError(given, expected=WANTED, do="Write the frames as one array of numbers.", file=path)
    return stored


def _npy(path: Path) -> Stored:
    return Stored(read_npy(path))


def _npz(path: Path) -> Stored:
    with open_npz(path) as arrays:
        name = _chosen({name: arrays.shape(name) for name in arrays.names}, path)
        return Stored(arrays[name], _of(TIMES, arrays, arrays.names), _words(_of(SPLITS, arrays, arrays.names)))


def _hdf5(path: Path) -> Stored:
    try:
        import h5py
    except ImportError as error:
        raise MissingExtra("h5py", "frames") from error
    with h5py.File(path, "r") as file:
        found = _checked(file, path)
        name = _chosen({key: item.shape for key, item in found.items()}, path)
        return Stored(found[name][()], _of(TIMES, found, found), _words(_of(SPLITS, found, found)))


def _checked(file: Any, path: Path) -> dict[str, Any]:
    """The data sets of an open HDF5 file. Raises ``DataError`` for one that lies in another file, or claims more than
    this one can hold."""
    found: dict[str, Any] = {}
    file.visititems(lambda name, item: found.update({name: item}) if hasattr(item, "dtype") else None)
    for name, item in found.items():
        if not hasattr(item, "shape"):  # a type that was given a name
            continue
        if item.external or item.is_virtual:
            do = "Write it into the file itself."
            raise DataError(f"names another file for {name}", expected="data of its own", do=do, file=path)
        if item.shape is not None:
            check_unpacked(int(item.nbytes), path)
    return {name: item for name, item in found.items() if hasattr(item, "shape")}


def _netcdf(path: Path) -> Stored:
    """What is masked becomes NaN; scale and offset are applied."""
    try:
        import netCDF4
    except ImportError as error:
        raise MissingExtra("netCDF4", "frames") from error
    with path.open("rb") as raw:
        newer = raw.read(4) == b"\x89HDF"
    if newer:  # NetCDF 4 is HDF5, and is looked at as such before its own library opens it
        import h5py  # in the same extra

        with h5py.File(path, "r") as same:
            _checked(same, path)
    with netCDF4.Dataset(path) as file:
        found = file.variables
        for item in found.values():
            check_unpacked(int(item.size) * getattr(item.dtype, "itemsize", 1), path)
        name = _chosen({key: item.shape for key, item in found.items()}, path)
        x = found[name][...]
        # by what may be masked, so that all files of a set are of one type, whatever is masked in each
        gaps = not MASKS.isdisjoint(found[name].ncattrs()) or np.ma.is_masked(x)
        frames = np.ma.filled(x.astype(np.float32), np.nan) if gaps else np.asarray(x)
        time = next((found[key] for key in TIMES if key in found), None)
        if time is None:
            return Stored(frames)
        if "units" not in time.ncattrs():
            return Stored(frames, np.asarray(time[...]))
        dates = netCDF4.num2date(time[...], time.units, only_use_cftime_datetimes=False, only_use_python_datetimes=True)
        return Stored(frames, np.array([np.datetime64(date, "s") for date in np.asarray(dates).ravel()]))


def _chosen(shapes: Mapping[str, Sequence[int]], path: Path) -> str:
    """The array that holds the frames: one of a usual name, or the only one with three axes or more."""
    able = [name for name, shape in shapes.items() if len(shape) >= 3]
    usual = [name for known in NAMES for name in able if name.lower().rsplit("/", 1)[-1] == known]
    if usual or len(able) == 1:
        return (usual or able)[0]
    given = f"holds the arrays {', '.join(able)}" if able else f"holds the arrays {', '.join(shapes) or 'none'}"
    raise DataError(given, expected=WANTED, do="Name the array of the frames frames.", file=path)


def _of(names: Sequence[str], arrays: Any, there: Any) -> np.ndarray | None:
    """The first array of these names, if there is one."""
    name = next((name for name in there if name.lower().rsplit("/", 1)[-1] in names), None)
    return None if name is None else np.asarray(arrays[name][()])


def _words(array: np.ndarray | None) -> tuple[str, ...] | None:
    if array is None:
        return None
    return tuple(value.decode() if isinstance(value, bytes) else str(value) for value in array.tolist())
