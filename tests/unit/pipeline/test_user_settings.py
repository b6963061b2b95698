"""Settings that are said once: options before variables before the file, and what is refused."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import pytest

from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.user_settings import FILE, SETTINGS, find_file, leave_open, settle, user_settings, variable


def parsed(words: list[str], environment: dict[str, str], folder: Path) -> tuple[dict[str, object], list[str]]:
    parser = argparse.ArgumentParser()
    parser.add_argument("--project", help="P (default: %(default)s)")
    parser.add_argument("--api-url")
    parser.add_argument("--archive", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    settings = user_settings(environment, folder)
    leave_open([parser], settings)
    assert "(default: None)" in parser.format_help()
    args = parser.parse_args(words)
    used = settle(args, settings)
    return vars(args), used


def test_an_option_comes_before_a_variable_before_the_file(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('# daily\nproject = "of-file"\nworkers = 8\narchive = "scenes"\ndevice = "cpu"\n')
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    environment = {"CROPCAM_PROJECT": "of-variable", "CROPCAM_WORKERS": " "}
    values, used = parsed(["--workers", "2"], environment, deep)
    assert values == {"project": "of-variable", "api_url": None, "archive": tmp_path / "scenes", "workers": 2, "seed": 0}
    assert used == [
        "project = of-variable (the variable CROPCAM_PROJECT)",
        f"archive = {tmp_path / 'scenes'} ({tmp_path / FILE}, line 4)",
    ]
    values, _ = parsed([], {}, deep)
    assert (values["project"], values["workers"]) == ("of-file", 8)


def test_defaults_stay_where_nothing_is_set_and_what_is_required_stays_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values, used = parsed(["--archive", "x"], {}, tmp_path)
    assert (values["workers"], values["project"], used) == (40, None, [])
    with pytest.raises(SystemExit, match="2"):
        parsed([], {}, tmp_path)
    assert "--archive" in capsys.readouterr().err


def test_one_endpoint_replaces_the_other(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('api_url = "high-volume"\n')
    values, _ = parsed(["--archive", "x"], {}, tmp_path)
    assert (values["archive"], values["api_url"]) == (Path("x"), None)
    values, _ = parsed([], {"CROPCAM_ARCHIVE": "y"}, tmp_path)
    assert (values["archive"], values["api_url"]) == (Path("y"), None)
    with pytest.raises(ConfigError, match="CROPCAM_API_URL and the variable CROPCAM_ARCHIVE: api_url and archive both name an endpoint"):
        parsed([], {"CROPCAM_ARCHIVE": "y", "CROPCAM_API_URL": "z"}, tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('a = 1\nprojekt = "p"\n', r"cropcam\.toml, line 1: unknown key a; known: project, api_url"),
        ('\n\nprojekt = "p"\n', r"cropcam\.toml, line 3: unknown key projekt; did you mean project\?"),
        ("[worker]\nx = 1\n", r"line 1: unknown key worker; did you mean workers\?"),
        ("workers = 0\n", r"line 1: workers = 0 is not possible; give a whole number above 0"),
        ("workers = true\n", r"workers = True is not possible"),
        ("workers = 2.5\n", r"workers = 2.5 is not possible"),
        ('\ndevice = "gpu"\n', r"line 2: device = 'gpu' is not possible; give one of auto, cpu, cuda"),
        ("project = 3\n", r"project = 3 is not possible; give a text"),
        ("project = \n", r"cropcam\.toml, line 1, column 11: not TOML"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(ConfigError, match=message):
        user_settings({}, tmp_path)


def test_a_variable_that_is_refused_and_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"CROPCAM_WORKERS=many: give a whole number above 0, or unset the variable"):
        user_settings({"CROPCAM_WORKERS": "many"}, tmp_path)
    for environment, config in (({}, "none.toml"), ({"CROPCAM_CONFIG": "none.toml"}, None)):
        with pytest.raises(ConfigError, match=r"none\.toml: no such file; name a cropcam\.toml with --config, or leave the option out"):
            user_settings(environment, tmp_path, config)


def test_the_search_ends_at_home_and_at_a_file_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    (home / "work").mkdir(parents=True)
    (tmp_path / FILE).write_text("")
    assert find_file(home / "work", home) is None
    assert find_file(home / "work") == tmp_path / FILE
    monkeypatch.setattr(os, "getuid", lambda: 12_345)
    os.chown(tmp_path / FILE, 54_321, -1) if os.geteuid() == 0 else None
    with pytest.raises(ConfigError, match=r"belongs to another user; to use it all the same, give --config .*cropcam\.toml"):
        find_file(home / "work")
    assert user_settings({}, home, str(tmp_path / FILE)) == {}


def test_variables_are_named_after_the_settings() -> None:
    assert [variable(name) for name in SETTINGS] == [
        "CROPCAM_PROJECT",
        "CROPCAM_API_URL",
        "CROPCAM_ARCHIVE",
        "CROPCAM_DEVICE",
        "CROPCAM_WORKERS",
        "CROPCAM_LOG_FILE",
    ]
