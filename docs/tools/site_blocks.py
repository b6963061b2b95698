"""The code blocks of a page, run in order in an empty folder as a reader would, and the outputs that the page shows.

What counts on a page:

    ```bash and ```python      run, in one shell and one interpreter per page; a failing command fails the page
    ```text behind such a one  its output. "..." stands for any text of a line or, alone, for any lines; numbers may differ a little
    ```toml, ```csv, ...       a file, of the name in backticks at the end of the line above, as in "`study.toml`:"; also a script
    *Not run: REASON.*         above a block that is not run
    <!-- run: bash             hidden blocks, up to -->
    <!-- needs: NAME ... -->   files of the tutorial that the page begins with
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[1]
RUN, FILES, OUTPUT = ("bash", "python"), ("toml", "csv", "json", "ini"), "text"
_FENCE = re.compile(r"^```(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HIDDEN = re.compile(r"^<!-- run: (\w+)\n(.*?)^-->$", re.MULTILINE | re.DOTALL)
_NEEDS = re.compile(r"^<!-- needs: (.+) -->$", re.MULTILINE)
_NOT_RUN = re.compile(r"^\*Not run: (.+)\.\*$")
_NAME = re.compile(r"`([^`]+)`:$")
_END = "end-of-block"
# reads the name of a file, runs it in the namespace of the page, writes the mark
_INTERPRETER = f"""
import sys
scope = {{"__name__": "__main__"}}
for line in sys.stdin:
    exec(compile(open(line.strip()).read(), line.strip(), "exec"), scope)
    print("\\n{_END}", flush=True)
"""


@dataclass(frozen=True)
class Block:
    """A code block of a page."""

    kind: str
    text: str
    line: int  # of the page, from 1
    name: str = ""  # of a file
    not_run: str = ""  # why
    span: tuple[int, int] = (0, 0)  # of the text in the page


def blocks(page: str) -> list[Block]:
    """The blocks of a page's source in order, hidden ones too."""
    found = [*_FENCE.finditer(page), *_HIDDEN.finditer(page)]
    return [_block(page, each) for each in sorted(found, key=lambda each: each.start())]


def needs(page: str) -> list[str]:
    """The files of the tutorial that a page begins with."""
    return [name for line in _NEEDS.findall(page) for name in line.split()]


def _block(page: str, found: re.Match[str]) -> Block:
    above = page[: found.start()].rstrip().rpartition("\n")[2]
    name, reason = _NAME.search(above), _NOT_RUN.match(above)
    return Block(
        found[1], found[2], page.count("\n", 0, found.start()) + 1, name[1] if name else "", reason[1] if reason else "", found.span(2)
    )


class PageError(AssertionError):
    """A block failed, or the page shows another output than the real one."""


def run(path: Path, folder: Path, tutorial: Path | None = None) -> list[tuple[Block, str]]:
    """Run a page's blocks in `folder`, which is emptied first.

    Args:
        path: the page.
        folder: where its blocks run.
        tutorial: the folder of the tutorial's files; copied from what the page needs.

    Returns:
        The shown outputs of the page, each with the real one.

    Raises:
        PageError: a block fails, or is of no known kind.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    page = path.read_text("utf-8")
    for name in needs(page):
        source, target = Path(tutorial or "", name), folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    shown, real = [], ""
    with Session(folder) as session:
        for number, block in enumerate(blocks(page)):
            where = f"{path.relative_to(DOCS.parent)}, line {block.line}"
            if block.not_run:
                continue
            if block.kind in RUN and not block.name:
                real = session.run(block, number, where)
            elif block.kind == OUTPUT:
                shown.append((block, real))
            elif block.name:
                (folder / block.name).parent.mkdir(parents=True, exist_ok=True)
                (folder / block.name).write_text(block.text, "utf-8")
            else:
                raise PageError(
                    f"{where}: a block of the kind {block.kind!r}; {' '.join(RUN)} are run, {' '.join(FILES)} need the file's name above"
                )
    return shown


class Session:
    """One shell and one Python interpreter in a folder, without the machine's own settings and logins."""

    def __init__(self, folder: Path) -> None:
        (folder / ".home").mkdir()
        kept = {name: value for name, value in os.environ.items() if name in {"PATH", "LANG", "TMPDIR", "LD_LIBRARY_PATH"}}
        self.folder = folder
        self.environment = {**kept, "HOME": str(folder / ".home"), "COLUMNS": "160", "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}
        self.commands = {"bash": ["bash", "-eo", "pipefail"], "python": ["python", "-u", "-c", _INTERPRETER]}
        self.processes: dict[str, subprocess.Popen[str]] = {}

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes.values():
            process.communicate()

    def run(self, block: Block, number: int, where: str) -> str:
        """The output of a block, both streams.

        Raises:
            PageError: it failed; with its output.
        """
        if block.kind not in self.processes:
            self.processes[block.kind] = subprocess.Popen(
                self.commands[block.kind],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        process = self.processes[block.kind]
        file = Path(".home", f"block-{number}.{block.kind}")
        (self.folder / file).write_text(block.text, "utf-8")
        command = f"source {file} </dev/null\nprintf '\\n{_END}\\n'\n" if block.kind == "bash" else f"{file}\n"
        process.stdin.write(command)
        process.stdin.flush()
        lines = list(_until_end(process.stdout))
        output = "".join(lines).replace(f"{self.folder}/", "").strip("\n")
        if process.poll() is not None or not lines or lines[-1] != "\n":
            process.wait()
            raise PageError(f"{where}: exit code {process.returncode}\n{block.text}\n{output}")
        return output


def _until_end(stream: Iterator[str]) -> Iterator[str]:
    for line in stream:
        if line == f"{_END}\n":
            return
        yield line
    yield "the program ended"


_NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
_UNDER_WAY = re.compile(r"\w+ +\d+/\d+, .* to go\b")
# times, costs, ids and ports: other ones in each run
_VARYING = re.compile(
    r"\b\d+(?:\.\d+)? ?s\b|\b\d+(?:\.\d+)?/s\b|\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z?|[\d.]+ EECU-s|\b[A-Z0-9]{24}\b|folders/\S+|127\.0\.0\.1:\d+"
)


def differs(shown: str, real: str) -> str:
    """What is wrong: the first shown line that the real output does not have there; empty where the page is right."""
    lines, free = iter(_plain(real)), False
    for line in _plain(shown.rstrip("\n")):
        if line.strip() == "...":
            free = True
            continue
        found = any(same(line, each) for each in lines) if free else same(line, next(lines, ""))
        if not found:
            return f"shows {line!r}"
        free = False
    return "" if free or not any(line.strip() for line in lines) else "the end of the output is missing: write ... there"


def _plain(text: str) -> list[str]:
    """The lines, without those of a progress under way, which a terminal overwrites."""
    return [line.rstrip() for line in text.split("\n") if not _UNDER_WAY.match(line)]


def same(shown: str, real: str) -> bool:
    """Whether two lines are the same but for times and a little in numbers: training differs in the last digits between machines."""
    parts = [re.escape(part) for part in _NUMBER.sub("\0", _VARYING.sub("\1", shown.rstrip())).split("...")]
    pattern = "(?:.*)".join(parts).replace(re.escape("\0"), f"({_NUMBER.pattern})").replace("\0", f"({_NUMBER.pattern})")
    pattern = pattern.replace(re.escape("\1"), "\1")
    pattern = re.sub(r"(?:\\ )+", r"\\s+", pattern)
    found = re.fullmatch(pattern, _VARYING.sub("\1", real))
    numbers = _NUMBER.findall(_VARYING.sub("", shown))
    return bool(found) and all(_near(*pair) for pair in zip(numbers, (found.groups() if found else ()), strict=True))


def _near(shown: str, real: str) -> bool:
    first, second = (float(each.replace(",", "")) for each in (shown, real))
    return abs(first - second) <= max(0.15, 0.15 * max(first, second))


def rewritten(page: str, shown: list[tuple[Block, str]]) -> str:
    """The page with the outputs as they are: what is shown with its new numbers, or all of it where that is not what a reader would see."""
    for block, real in reversed(shown):
        lines = iter(_plain(real))
        new = [
            line if "..." in line else next((each for each in lines if _words(each) == _words(line)), None)
            for line in _plain(block.text)[:-1]
        ]
        text = "\n".join(each for each in new if each is not None) + "\n"
        if None in new or differs(text, real):
            text = "\n".join(_plain(real)) + "\n"
        page = page[: block.span[0]] + text + page[block.span[1] :]
    return page


def _words(line: str) -> list[str]:
    return _NUMBER.sub("0", line).split()


if __name__ == "__main__":
    made = DOCS.parent / "build" / "docs-run"
    for argument in map(Path, sys.argv[1:]):
        outputs = run(argument.resolve(), made / argument.stem, made / "tutorial")
        argument.write_text(rewritten(argument.read_text("utf-8"), outputs), "utf-8")
