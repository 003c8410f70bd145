"""Pictures with a label for each pixel: folders of pictures and of label maps of the same names.

``images/a.jpg`` goes with ``labels/a.png`` (also masks, annotations, ...), ``train/a.png`` with ``trainannot/a.png``,
and ``a.jpg`` with ``a_mask.png`` beside it. A file such as ``classes.txt`` in the folder names the labels, with their
colours if the maps are drawn in colours. Of films, the frames that are seen for an answer become a clip that ends at
its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from crnn.data.formats._asked import Asked
from crnn.data.formats._files import is_picture, name_in, root_of, split_of, walk
from crnn.data.formats._frames_before import FramesBefore
from crnn.data.label_maps import Painted, find_legend
from crnn.errors import CrnnError, DataError
from crnn.types import Sample

WANTED = "pictures and their label maps in two folders (images and labels, masks or annotations), named alike"
ANSWERS = ("map",)
IMAGES = frozenset({"images", "image", "imgs", "img", "jpegimages", "pictures", "photos", "frames", "input", "inputs"})
MAPS = frozenset(
    (
        *("labels", "label", "masks", "mask", "annotations", "annotation", "annot", "label_maps", "maps", "gt"),
        *("segmentation", "segmentationclass", "segmentations", "ground_truth", "targets", "target"),
    )
)
ENDS = ("annot", "_labels", "_masks", "_mask", "_label", "_annotations", "_gt", "_l", "_seg", "_p")
"""What stands behind the name of a picture, or of its folder, in that of its map; the longest that fits counts."""
Key = tuple[tuple[str, ...], str]


def recognise(path: Path) -> bool:
    """Whether ``path`` is a folder in which a picture has a label map."""
    if not path.is_dir():
        return False
    pictures, maps, _ = _sorted(path)
    return not pictures.keys().isdisjoint(maps)


def recognise_for(path: Path, asked: Asked) -> bool:
    """The same; where several frames are seen for an answer, and no truth is wanted, also pictures without any map,
    whose films nobody else would find."""
    return recognise(path) or (asked.frames > 1 and not asked.truths and any(map(is_picture, walk(path))))


def read(path: Path, left_out: list[CrnnError]) -> Iterator[Sample]:
    """A sample for each picture that has a label map."""
    return read_for(path, left_out, Asked(answer="map"))


def read_for(path: Path, left_out: list[CrnnError], asked: Asked) -> Iterator[Sample]:
    """The same; where several frames are asked for, of clips that end at the picture. What has no partner goes to
    ``left_out``, unless there are no maps at all."""
    root = root_of(path)
    alone: dict[Key, Path] = {((), path.stem): path} if is_picture(path) else {}
    pictures, maps, doubles = _sorted(path) if path.is_dir() else (alone, {}, {})
    for picture, first in doubles.items():
        do = "Keep one of them, or name them apart."
        given = f"has the name of {name_in(root, first)}, but for its ending or capitals"
        left_out.append(DataError(given, expected="one picture for a label map", do=do, file=picture))
    legend = find_legend(root)
    clips = FramesBefore(asked.frames)
    for key, picture in pictures.items():
        if maps and key not in maps:
            do = "Draw it, or take the picture away."
            left_out.append(DataError("has no label map", expected="one of its name", do=do, file=picture))
            continue
        x = clips.ending_at(picture)
        y = Painted(maps[key], legend) if maps else None
        yield Sample(name_in(root, picture), x, y, split=split_of(root, picture))
    for key in sorted(maps.keys() - pictures.keys()):
        do = "Copy the picture there, or take the map away."
        left_out.append(DataError("has no picture", expected="one of its name", do=do, file=maps[key]))


def _sorted(path: Path) -> tuple[dict[Key, Path], dict[Key, Path], dict[Path, Path]]:
    """Pictures and label maps, by what tells partners; and further pictures, with the first of their name."""
    files = [file for file in walk(path) if is_picture(file)]
    parts = {file: tuple(part.lower() for part in file.relative_to(path).parts[:-1]) for file in files}
    stems = {(file.parent, file.stem.lower()) for file in files}
    named = any(IMAGES.intersection(folders) for folders in parts.values())
    folders_there = {folder for folders in parts.values() for folder in folders}
    pictures: dict[Key, Path] = {}
    maps: dict[Key, Path] = {}
    doubles: dict[Path, Path] = {}
    for file in files:
        folders, stem = parts[file], file.stem.lower()
        bare = _bare(stem)
        short = tuple(_bare(folder) if _bare(folder) in folders_there else folder for folder in folders)
        if MAPS.intersection(folders):
            maps[tuple(f for f in folders if f not in MAPS), stem] = file
            maps.setdefault((tuple(f for f in folders if f not in MAPS), bare), file)
        elif short != folders:
            maps[short, stem] = file
            maps.setdefault((short, bare), file)
        elif bare != stem and (file.parent, bare) in stems:
            maps[folders, bare] = file
        elif not named or IMAGES.intersection(folders):
            first = pictures.setdefault((tuple(f for f in folders if f not in IMAGES), stem), file)
            if first != file:
                doubles[file] = first
    return pictures, _once(maps, pictures), doubles


def _once(maps: dict[Key, Path], pictures: dict[Key, Path]) -> dict[Key, Path]:
    """Each map under one name, that of a picture if there is one."""
    used = {file for key, file in maps.items() if key in pictures}
    return {key: file for key, file in maps.items() if key in pictures or file not in used}


def _bare(name: str) -> str:
    """``name`` without what marks a map."""
    ends = [end for end in ENDS if name.endswith(end) and len(name) > len(end)]
    return name[: -len(max(ends, key=len))] if ends else name
