"""Every module has a unit test of its name, in the folder of its package."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_module_has_a_test_of_its_name() -> None:
    modules = [path for plane in ("pipeline", "model") for path in sorted((ROOT / plane).rglob("*.py"))]
    assert len(modules) > 100, f"few modules below {ROOT}: is the layout another one?"
    missing = []
    for path in modules:
        package, name = path.parent.relative_to(ROOT), path.stem
        exempt = name == "__init__" or "presets" in package.parts
        folder = Path(*package.parts[1:]) if len(package.parts) > 1 else package
        test = Path("tests/unit") / folder / f"test_{name}.py"
        if not (exempt or (ROOT / test).is_file()):
            missing.append(f"{path.relative_to(ROOT)}: {test}")
    assert not missing, "modules without a test of their name:\n" + "\n".join(missing)
