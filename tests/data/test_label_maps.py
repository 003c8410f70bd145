"""Label maps read: numbers, colours, polygons, and what cannot be one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crnn.data.label_maps import Legend, Painted, Polygons, find_legend, read_legend, read_map, size_of_map
from crnn.errors import DataError

NUMBERS = np.array([[0, 1, 2], [2, 1, 255]], np.uint8)
COLOURS = ((0, 0, 0), (200, 10, 10), (10, 200, 10))
LEGEND = Legend(("ground", "car", "tree"), COLOURS)


def painted(path: Path, x: np.ndarray, mode: str | None = None) -> Path:
    picture = Image.fromarray(x)
    (picture.convert(mode) if mode else picture).save(path)
    return path


def test_numbers_are_read_as_they_are_stored(tmp_path: Path) -> None:
    for name, x in (("a.png", NUMBERS), ("b.png", NUMBERS.astype(np.uint16) * 100), ("c.png", NUMBERS > 1)):
        assert np.array_equal(read_map(painted(tmp_path / name, x)), x.astype(int))
    palette = Image.fromarray(NUMBERS)
    palette.putpalette([v for colour in COLOURS for v in colour] + [9] * 759)
    palette.save(tmp_path / "p.png")
    assert np.array_equal(read_map(tmp_path / "p.png"), NUMBERS)
    assert np.array_equal(read_map(NUMBERS.tolist()), NUMBERS) and size_of_map(NUMBERS.tolist()) == (3, 2)


def test_colours_are_those_of_the_legend_or_stand_for_themselves(tmp_path: Path) -> None:
    numbers = np.array([[0, 1], [2, 2]])
    file = painted(tmp_path / "a.png", np.array(COLOURS, np.uint8)[numbers])
    assert np.array_equal(read_map(Painted(file, LEGEND)), numbers)
    assert read_map(file).tolist() == [[0, 0xC80A0A], [0x0AC80A, 0x0AC80A]]
    odd = painted(tmp_path / "odd.png", np.array([[COLOURS[1], (1, 2, 3)]], np.uint8))
    with pytest.raises(DataError, match=r"odd.png: has the colour \(1, 2, 3\) at 1,0; expected one of the 3 colours"):
        read_map(Painted(odd, LEGEND))


def test_polygons_are_filled_the_later_over_the_earlier() -> None:
    parts = ((1, (0.0, 0.0, 7.0, 0.0, 7.0, 5.0, 0.0, 5.0)), (2, (2.0, 2.0, 4.0, 2.0, 4.0, 3.0, 2.0, 3.0)))
    x = read_map(Polygons(Path("a.json"), (10, 8), parts, LEGEND))
    assert x.shape == (8, 10) and x[0, 0] == 1 and x[2, 3] == 2 and x[7, 9] == 0
    assert (x == 2).sum() == 6


def test_what_is_no_label_map(tmp_path: Path) -> None:
    Image.fromarray(NUMBERS).save(tmp_path / "a.jpg")
    with pytest.raises(DataError, match=r"a.jpg: is a label map in JPEG; expected a PNG. Save"):
        read_map(tmp_path / "a.jpg")
    (tmp_path / "b.png").write_bytes(b"rubbish")
    with pytest.raises(DataError, match=r"b.png: is not a picture"):
        read_map(tmp_path / "b.png")
    for x in (np.zeros((2, 2)), np.zeros((2, 2, 3), int)):
        with pytest.raises(DataError, match="expected whole numbers"):
            read_map(x)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("classes.txt", "0 0 0 ground\n200 10 10\tcar\n10 200 10 tree\n"),
        ("class_dict.csv", "name,r,g,b\nground,0,0,0\ncar,200,10,10\ntree,10,200,10\n"),
        ("classes.json", '{"ground": [0, 0, 0], "car": [200, 10, 10], "tree": [10, 200, 10]}'),
        ("colors.json", '[{"name": "ground", "color": [0, 0, 0]}, {"name": "car", "color": [200, 10, 10]},'
         ' {"name": "tree", "color": [10, 200, 10]}]'),
    ],
)  # fmt: skip
def test_legends(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    assert find_legend(tmp_path) == LEGEND


@pytest.mark.parametrize(
    "text",
    [
        "0 0 0 Zone 1\n9 9 9 Zone 2\n",
        "1 0 0 0 Zone 1\n2 9 9 9 Zone 2\n",
        "name,r,g,b\nZone 1,0,0,0\nZone 2,9,9,9\n",
        "1,Zone 1,0,0,0\n2,Zone 2,9,9,9\n",
    ],
)
def test_names_may_have_numbers(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(text)
    assert read_legend(tmp_path / "a.txt") == Legend(("Zone 1", "Zone 2"), ((0, 0, 0), (9, 9, 9)))
    (tmp_path / "a.txt").write_text("Zone 1\n3: Zone 2\n")
    assert read_legend(tmp_path / "a.txt") == Legend(("Zone 1", "Zone 2")), "and another text is read anew"


def test_legends_of_names_alone_and_broken_ones(tmp_path: Path) -> None:
    assert find_legend(tmp_path) is None
    for text in ("ground\ncar\ntree\n", "0: ground\n1: car\n2: tree\n", "0 ground\n1 car\n2 tree"):
        path = tmp_path / f"{len(text)}.txt"
        path.write_text(text)
        assert read_legend(path) == Legend(LEGEND.names)
    for i, text in enumerate(("a\na\n", "", "0 0 0 ground\ncar\n", "1 2 3 a\n1 2 3 b\n")):
        (tmp_path / f"x{i}.txt").write_text(text)
        with pytest.raises(DataError, match=f"x{i}.txt: .*expected a legend"):
            read_legend(tmp_path / f"x{i}.txt")
    (tmp_path / "y.json").write_text('{"a": 3}')
    with pytest.raises(DataError, match=r"y.json: is no legend"):
        read_legend(tmp_path / "y.json")
