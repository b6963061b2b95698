"""The tables of docs/emulator.md, made from the embedded engine itself. `python tests/support/emulator_page.py` writes them into the page."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from cropcam.pipeline import emulator
from cropcam.pipeline.emulator import engine  # noqa: F401 - fills the registry
from cropcam.pipeline.emulator.limits import Limits
from cropcam.pipeline.emulator.registry import ALGORITHMS, Algorithm, Parameter
from cropcam.pipeline.emulator.routes import FILE_ROUTES, MEDIA_ROUTES, ROUTES, Route
from cropcam.pipeline.emulator.service_texts import TEXTS

PAGE = Path(__file__).parents[2] / "docs" / "emulator.md"
SOURCE = Path(emulator.__file__).parent
_FIELD = re.compile(r"^    (\w+): [^=]+? = [^#]+?(?:  # (.*))?$", re.MULTILINE)
_GROUP = re.compile(r"\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)")


def algorithms_table() -> str:
    """Every algorithm by the class before its dot: arguments, optional ones in brackets, and those without effect."""
    lines = []
    for group, names in groupby(sorted(ALGORITHMS), key=lambda name: name.partition(".")[0]):
        lines += [f"### {group}", "", "| algorithm | arguments | |", "|---|---|---|"]
        lines += [_algorithm(ALGORITHMS[name]) for name in names]
        lines.append("")
    return "\n".join(lines).rstrip()


def refusals_list() -> str:
    """Everything that ends with "is not implemented by the embedded engine", and arguments that are refused."""
    found = {text for path in sorted(SOURCE.rglob("*.py")) for text in _refusals(ast.parse(path.read_text("utf-8")))}
    arguments = [f"{name}: argument '{argument}'" for name, entry in ALGORITHMS.items() for argument in entry.refused]
    return "\n".join(f"- {_escaped(text)}" for text in sorted(found | set(arguments), key=str.lower))


def limits_table() -> str:
    """Every limit with its default and its remark."""
    values = Limits()
    rows = [
        f"| `{name}` | {_shown(getattr(values, name))} | {_escaped(remark)} |" for name, remark in _FIELD.findall(inspect.getsource(Limits))
    ]
    return "\n".join(["| limit | default | |", "|---|---|---|", *rows])


def routes_table() -> str:
    """Every route: the method and path, and the name by which faults are ordered for it."""
    rows = [f"| `{route.name}` | {_path(route)} |" for route in (*ROUTES, *FILE_ROUTES, *MEDIA_ROUTES)]
    return "\n".join(["| name | route |", "|---|---|", *rows])


def texts_table() -> str:
    """Every text of the service by the name of its fault: the code and status of the response, and the words."""
    rows = []
    for name, text in TEXTS.items():
        error = text.error(project="PROJECT", name="NAME", waiting=3000)
        rows.append(f"| `{name}` | {error.code} {error.status} | {_escaped(error.message.replace(chr(10), ' '))} |")
    return "\n".join(["| name | response | text |", "|---|---|---|", *rows])


TABLES = {"texts": texts_table, "algorithms": algorithms_table, "refusals": refusals_list, "limits": limits_table, "routes": routes_table}


def with_tables(page: str) -> str:
    """The page with every table as the engine gives it."""
    for name, table in TABLES.items():
        begin, end = f"<!-- {name}: made by tests/support/emulator_page.py -->", f"<!-- end of {name} -->"
        head, _, rest = page.partition(begin)
        _, _, tail = rest.partition(end)
        page = f"{head}{begin}\n{table()}\n{end}{tail}"
    return page


def _algorithm(entry: Algorithm) -> str:
    arguments = ", ".join(_argument(parameter) for parameter in entry.parameters.values() if not parameter.injected)
    line = (inspect.getdoc(entry.function) or "").partition("\n")[0]
    remark = "" if re.fullmatch(r"[\w.]+\.", line) else line
    ignored = f" No effect: {', '.join(sorted(entry.ignored))}." if entry.ignored else ""
    return f"| `{entry.name}` | {arguments} | {_escaped(f'{remark}{ignored}'.strip())} |"


def _argument(parameter: Parameter) -> str:
    return f"[{parameter.name}]" if parameter.optional else parameter.name


def _refusals(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "unimplemented" and node.args:
            yield _text(node.args[0])


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else "…" for part in node.values)
    return "…"


def _path(route: Route) -> str:
    documented = re.match(r"`([^`]+)`(?: and `([^`]+)`)?", inspect.getdoc(route.call) or "")
    return f"`{documented[0].strip('`')}`" if documented and not documented[2] else f"`{route.method} {_plain(route.pattern.pattern)}`"


def _plain(pattern: str) -> str:
    return _GROUP.sub(r"{\1}", pattern).replace("(?:/download)?", "[/download]").replace("\\", "")


def _shown(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "none" if value is None or value == frozenset() else str(value)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text("utf-8")), "utf-8")
