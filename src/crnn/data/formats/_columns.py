"""Columns of tables: which one plays which part, by its usual names or as the recipe says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from crnn.data.formats._asked import Asked
from crnn.data.formats._files import SPLITS, Split, exists, inside
from crnn.errors import DataError

IMAGES = (
    *("image", "file", "filename", "file_name", "path", "picture", "img", "image_path", "image_file"),
    *("image_name", "img_path", "file_path", "filepath"),
)
SOURCES = (
    *IMAGES,
    *("audio", "wav", "clip", "sound", "recording", "video", "film", "series", "csv", "source", "audio_path", "slice"),
)
TEXTS = (
    *("text", "transcription", "transcript", "label", "ground_truth", "words", "gt", "gt_text", "labels"),
    *("sentence", "line_text"),
)
NAMES: dict[str, dict[str, tuple[str, ...]]] = {
    "text": {"image": SOURCES, "text": TEXTS},
    "label": {"source": SOURCES, "label": ("label", "class", "category", "target", "y", "labels", "class_name", "tag")},
    "numbers": {"source": SOURCES, "number": ("target", "value", "y", "number", "score", "label", "age", "rating")},
    "events": {
        "source": SOURCES,
        "label": ("event_label", "label", "event", "class", "category", "tag"),
        "start": ("onset", "start", "begin", "start_time", "onset_time", "from"),
        "stop": ("offset", "stop", "end", "end_time", "offset_time", "to"),
    },
    "map": {
        "source": IMAGES,
        "map": ("label_map", "map", "mask", "annotation", "labels", "label", "segmentation", "target", "mask_path"),
    },
    "boxes": {
        "source": IMAGES,
        "label": ("label", "class", "category", "name", "class_name", "target", "tag"),
        "left": ("left", "xmin", "x_min", "x1", "bbox_x1"),
        "top": ("top", "ymin", "y_min", "y1", "bbox_y1"),
        "right": ("right", "xmax", "x_max", "x2", "bbox_x2"),
        "bottom": ("bottom", "ymax", "y_max", "y2", "bbox_y2"),
        "x": ("x", "bbox_x"),
        "y": ("y", "bbox_y"),
        "width": ("width", "w", "bbox_width", "bbox_w"),
        "height": ("height", "h", "bbox_height", "bbox_h"),
    },
    "picture": {
        "source": (*IMAGES, "noisy", "input", "degraded"),
        "clean": ("clean", "target", "original", "ground_truth", "gt", "clean_path", "target_path"),
    },
    "sentences": {
        "source": SOURCES,
        "sentences": (
            *(
                "captions",
                "sentences",
                "caption",
                "descriptions",
                "description",
                "caption_text",
                "raw_caption",
                "comment",
            ),
            *("comment", "answers", "answer", "target", "translation", "sentence", "text"),
        ),
    },
}
"""For each kind of answer its parts and the usual names of their columns; where a table has several, the first here is
taken. Spelling: lower case, ``_``."""
SHARED: dict[str, tuple[str, ...]] = {
    "group": (
        *("group", "writer", "writer_id", "author", "document", "document_id", "page", "page_id", "speaker"),
        *("speaker_id", "client_id", "volunteer", "patient", "patient_id", "subject", "subject_id", "person", "fold"),
    ),
    "split": ("split", "part", "subset"),
}
REGIONS: dict[str, tuple[str, ...]] = {"boxes": ("boxes", "bboxes", "regions"), "phrases": ("phrases", "entities")}
"""Parts of pictures that sentences speak of."""
SENTENCES = ("text", "sentence", "review", "question", "sentence_text")
"""Columns that hold the source itself, where no column names files."""

Shared: TypeAlias = tuple[str | None, Split | None]
"""Group and split of a source."""


def roles_of(names: Sequence[str], table: Path, asked: Asked) -> dict[str, str]:
    """Which column plays which part; columns of several inputs and answers stand under ``input:NAME`` and
    ``answer:NAME``. Raises ``DataError`` listing the columns if one that is needed is not among them."""
    spelled = {spell(name): name for name in reversed(names)}
    usual = NAMES[asked.answer] | SHARED | (REGIONS if asked.regions else {})
    roles = {role: next((spelled[n] for n in words if n in spelled), None) for role, words in usual.items()}
    first, answer = list(NAMES[asked.answer])[:2]
    if asked.group is not None and spell(asked.group) in spelled:
        roles["group"] = spelled[spell(asked.group)]
    needed = {name: f"input:{name}" for name in asked.inputs} | {name: f"answer:{name}" for name in asked.columns}
    for name, role in needed.items():
        if spell(name) not in spelled:
            raise missing(names, f"one named {name!r}", table)
        roles[role] = spelled[spell(name)]
    if asked.inputs:
        roles[first] = None
    elif roles[first] is None and asked.answer != "text":
        roles["sentence"] = next((spelled[n] for n in SENTENCES if n in spelled), None)
        if roles["sentence"] is None:
            raise missing(names, f"one for the {first}, named {', '.join(usual[first])}", table)
    elif roles[first] is None:
        raise missing(names, f"one for the {first}, named {', '.join(usual[first])}", table)
    if asked.columns:
        roles[answer] = None
    elif roles[answer] is None and asked.answer == "text":
        raise missing(names, f"one for the {answer}, named {', '.join(usual[answer])}", table)
    return {role: name for role, name in roles.items() if name is not None}


def label_roles_of(names: Sequence[str], table: Path, asked: Asked) -> dict[str, str]:
    """The same of a table with a label in each row: the column that is asked for, if one is, plays it. Raises
    ``DataError``, also if several are asked for."""
    if len(asked.columns) > 1:
        given = f"is asked for the columns {', '.join(map(repr, asked.columns))}"
        do = "Name one column with --answer."
        raise DataError(given, expected="one column of labels", do=do, file=table)
    roles = roles_of(names, table, asked)
    return {"label" if role.startswith("answer:") else role: name for role, name in roles.items()}


def spell(name: str) -> str:
    """``name`` as columns are compared."""
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def source_of(name: Any, table: Path, where: str) -> Path:
    """The file that a cell names. Raises ``DataError``, which names the row by ``where``."""
    if isinstance(name, (dict, bytes)):
        raise DataError(
            f"{where}holds the picture itself",
            expected="the path of a picture file",
            do="Write the pictures into files beside the table.",
            file=table,
        )
    if not isinstance(name, str) or not name.strip():
        raise DataError(f"{where}names no picture", expected="its path", do="Write it, or delete the row.", file=table)
    try:
        path = inside(table.parent, name)
    except DataError as error:
        raise DataError(where + error.given, expected=error.expected, do=error.do, file=table) from error
    if not exists(path):
        raise DataError(
            f"{where}names {name!r}, which is not there",
            expected=f"a file in the folder of {table.name}",
            do="Copy the file there, or delete the row.",
            file=table,
        )
    return path


def word_of(value: Any, where: str, table: Path) -> str:
    """A cell as text, ``""`` for none. A whole number is meant as written; another value is not a text."""
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise DataError(f"{where} is a {type(value).__name__}", expected="a text", do="Put it in quotes.", file=table)
    return value


def number_of(value: Any, where: str, table: Path) -> float:
    """A cell as a number. Raises ``DataError``, which names the row by ``where``."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if number - number != 0:  # neither infinite nor NaN
        do = "Correct it, or delete the row."
        raise DataError(f"{where}says {value!r}", expected="a finite number", do=do, file=table)
    return number


def missing(names: Sequence[str], expected: str, table: Path, do: str = "Rename the column.") -> DataError:
    """What to raise where a table has but the columns ``names``."""
    columns = ", ".join(map(repr, names[:20]))
    return DataError(f"has the columns {columns}", expected=expected, do=do, file=table)


def agreed(before: Shared, now: Shared, table: Path, where: str, *, grouped: bool) -> Shared:
    """What the rows of one source say together. Raises ``DataError`` where they contradict each other; about the group
    where it is ``grouped`` by a column that was asked for: one that is only named like a group may be of each row, as
    speakers of one recording are, and the first counts."""
    for word, first, second in zip(("group", "split"), before, now, strict=True):
        if first and second and first != second and (grouped or word == "split"):
            raise DataError(
                f"{where}puts its source into the {word} {second!r}, a row before it into {first!r}",
                expected=f"one {word} for all rows of a source",
                do="Correct those rows.",
                file=table,
            )
    return before[0] or now[0], before[1] or now[1]


def shared_of(row: Mapping[str, Any], roles: Mapping[str, str], table: Path, where: str) -> Shared:
    """Group and split of a row. Raises ``DataError``."""
    group = word_of(row.get(roles["group"]), where + "has a group that", table) if "group" in roles else ""
    split = word_of(row.get(roles["split"]), where + "has a split that", table) if "split" in roles else ""
    if split and split.lower() not in SPLITS:
        raise DataError(
            f"{where}has the split {split!r}", expected="train, valid or test", do="Correct that row.", file=table
        )
    return group or None, SPLITS.get(split.lower())
