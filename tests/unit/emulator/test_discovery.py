"""The documents of the client's wheel that the service lists."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cropcam.pipeline.emulator import discovery
from cropcam.pipeline.errors import EarthEngineError


def test_the_wheels_discovery_document_is_served_as_v1() -> None:
    """Fails where a new client no longer ships the files, or ships others."""
    document = json.loads(discovery.discovery_document("http://127.0.0.1:1/"))
    assert (document["version"], document["rootUrl"], document["id"]) == ("v1", "http://127.0.0.1:1/", "earthengine:v1")
    methods = document["resources"]["projects"]["resources"]["image"]["methods"]
    assert methods["computePixels"]["path"] == "v1/{+project}/image:computePixels"
    assert "v1alpha" not in json.dumps(document)


def test_maps_and_pictures_take_the_tag_that_the_client_sends_with_them() -> None:
    resources = json.loads(discovery.discovery_document("http://127.0.0.1:1/"))["resources"]["projects"]["resources"]
    for kind in ("maps", "thumbnails", "videoThumbnails", "filmstripThumbnails"):
        assert resources[kind]["methods"]["create"]["parameters"]["workloadTag"] == {"location": "query", "type": "string"}


def test_the_algorithms_of_the_wheel_are_listed() -> None:
    """Fails as above."""
    names = {entry["name"] for entry in json.loads(discovery.algorithms())["algorithms"]}
    assert {"algorithms/ImageCollection.load", "algorithms/reduce.median", "algorithms/Image.remap"} <= names
    assert len(names) > 900


def test_the_error_of_a_client_without_the_files_names_the_pinned_version(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other:
        version = "9.9.9"
        files: tuple[Any, ...] = ()

    monkeypatch.setattr("importlib.metadata.distribution", lambda _: Other())
    with pytest.raises(
        EarthEngineError,
        match=r"earthengine-api 9\.9\.9 does not ship ee/tests/cloud_api_discovery_document\.json.*install earthengine-api==1\.7\.50",
    ):
        discovery.discovery_document("http://127.0.0.1:2/")


def test_a_document_of_another_form_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Shipped:
        name, parts = "cloud_api_discovery_document.json", ("ee", "tests", "cloud_api_discovery_document.json")

        def read_binary(self) -> bytes:
            return b'{"version": "v2", "rootUrl": "https://earthengine.googleapis.com/"}'

    class Other:
        version = "9.9.9"
        files = (Shipped(),)

    monkeypatch.setattr("importlib.metadata.distribution", lambda _: Other())
    with pytest.raises(EarthEngineError, match=r"has another form; install earthengine-api==1\.7\.50"):
        discovery.discovery_document("http://127.0.0.1:3/")
