"""What ``crnn predict`` answers for: samples of files, folders and texts, and what becomes of their answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from crnn.cli.options import names_piped
from crnn.errors import CrnnError, SettingsError
from crnn.files import FreeNames, folder_for, make_folder


class Job:
    """The samples of a command, and what had to be left out of them."""

    def __init__(self, sources: list[str], format: str, asked: Any, source: Any) -> None:
        self.sources, self.format, self.asked, self.source = sources, format, asked, source
        self.left_out: list[Any] = []

    def samples(self) -> Iterator[Any]:
        from crnn.data.formats import located, open_data
        from crnn.types import Sample

        names = names_piped() if self.sources == ["-"] else iter(self.sources)
        for name in names:
            text = self.source(name)
            if not isinstance(text, Path) and not _is_there(name):
                yield Sample(name, text)
                continue
            try:
                given = Path(name) if self.sources == ["-"] else located(name)  # a list names no address
                for sample in open_data(given, self.format, self.left_out, asked=self.asked):
                    yield replace(sample, id=_name(given if given.is_dir() else given.parent, sample.id))
            except CrnnError as error:
                if error not in self.left_out:  # the only one of a source is raised as well as told
                    self.left_out.append(error)

    def answers(self, predictor: Any) -> Iterator[Any]:
        for answer in predictor.stream(self.samples()):
            if isinstance(answer, CrnnError):
                self.left_out.append(answer)
            else:
                yield answer

    def explained(self, predictor: Any, page: Path, of: str | None) -> Iterator[Any]:
        """The same, with a page that says why."""
        from crnn.deploy.explain import shown
        from crnn.train.evaluate import write_answers

        fragments, task = dict[str, str](), predictor.task
        for sample in self.samples():
            try:
                why = predictor.explain(sample, of=of)
                picture = shown(predictor, sample, why)
            except SettingsError:  # of what was asked for, and not of one source
                raise
            except CrnnError as error:
                self.left_out.append(error)
                continue
            fragments[sample.id] = task.show(why.prediction, task.so_far(sample), picture)
            yield why.prediction
        summary = {"bundle": predictor.name, "samples": len(fragments)}
        write_answers(page, fragments, title=f"{task.name}: why", summary=summary)

    def write_files(self, predictor: Any, out: Path) -> None:
        """The files of each answer in the folder ``out``, named as its source."""
        sources: dict[str, Any] = {}

        def noted() -> Iterator[Any]:
            for sample in self.samples():
                sources[sample.id] = sample.x
                yield sample

        make_folder(out)
        names = FreeNames()
        for answer in predictor.stream(noted()):
            if isinstance(answer, CrnnError):
                self.left_out.append(answer)
                continue
            x = predictor.kind.decode(sources.pop(answer.id))
            predictor.task.write_into(answer, x, out, names.of(Path(answer.id)))

    def write_pages(self, answers: Iterator[Any], out: Path) -> None:
        """A copy of each PAGE or ALTO file with the texts that were read, in the folder ``out``."""
        from crnn.data.formats import alto, page, split_id
        from crnn.errors import DataError

        with folder_for(out):
            pages: dict[str, dict[str, Any]] = {}
            for answer in answers:
                file, line = split_id(answer.id)
                if line is None:
                    raise DataError(
                        "is a picture, not a line of a page",
                        expected="PAGE or ALTO files, where the answers go to a folder",
                        do="Write the answers to a file: --out texts.txt, .jsonl or .csv.",
                        file=answer.id,
                    )
                pages.setdefault(file, {})[line] = answer
            for file, lines in pages.items():
                source = Path(file)
                try:
                    (page if page.recognise(source) else alto).write(source, lines, out / source.name)
                except CrnnError as error:
                    self.left_out.append(error)


def _name(folder: Path, id: str) -> str:
    """The path of a sample of ``folder``, which may be the sample itself: a film whose frames lie in it."""
    own = id.partition(":")[0] == folder.name and not (folder / folder.name).exists()
    return str((folder.parent if own else folder) / id)


def _is_there(name: str) -> bool:
    try:
        return Path(name).exists()
    except OSError:  # too long for a name
        return False
