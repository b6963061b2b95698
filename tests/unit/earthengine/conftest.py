"""A client that can send nothing; an archive of scenes, and a client whose graphs the embedded engine evaluates over it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import ee
import pytest

from cropcam.pipeline.earthengine.destinations import Drive
from cropcam.pipeline.earthengine.plan import Plan, plan
from cropcam.pipeline.study.study import load_study
from support import scenes
from support.engines import Offline, offline


@pytest.fixture(scope="module")
def transport() -> Iterator[Offline]:
    """The transport of an initialised client; any request but those of Initialize fails."""
    with offline() as one:
        yield one


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scenes.write_archive(tmp_path_factory.mktemp("archive"))


@pytest.fixture
def client(archive: Path, transport: Offline) -> scenes.Client:  # noqa: ARG001 - graphs need an initialised client
    return scenes.Client(archive)


@pytest.fixture
def made() -> Plan:
    return plan(load_study("demo"), Drive("folder"), cell_px=1024)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "demo.exports.json"


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A user without any credentials."""
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    yield
    ee.Reset()
