"""The client's first requests: the API's description and the algorithms' signatures, from the wheel of the client.

Both are files of the wheel's test data, not a public interface, so the version is pinned and their absence is an
error. The client is located, never imported.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import metadata
from typing import Any

from cropcam.pipeline.errors import EarthEngineError

CLIENT = "earthengine-api"
CLIENT_VERSION = "1.7.50"  # the wheel of this version has both files
_SERVICE_ROOT = "https://earthengine.googleapis.com/"
_SHIPPED_VERSION = "v1alpha"


@lru_cache(maxsize=16)
def discovery_document(root_url: str, version: str = "v1") -> bytes:
    """The discovery document of the API at `root_url` ("http://host:port/"), as JSON.

    Raises:
        EarthEngineError: the installed client lacks the file, or has another version.
    """
    document = json.loads(_shipped("cloud_api_discovery_document.json"))
    if document.get("version") != _SHIPPED_VERSION or document.get("rootUrl") != _SERVICE_ROOT:
        raise EarthEngineError(f"the discovery document of the installed {CLIENT} has another form; install {CLIENT}=={CLIENT_VERSION}")
    text = json.dumps(document)
    text = text.replace(f'"{_SHIPPED_VERSION}/', f'"{version}/').replace(f'"{_SERVICE_ROOT}"', json.dumps(root_url))
    described = json.loads(text) | {"version": version, "id": f"earthengine:{version}"}
    _complete(described["resources"]["projects"], version)
    return json.dumps(described).encode()


@lru_cache(maxsize=1)
def algorithms() -> bytes:
    """The signatures of every algorithm, as the service lists them, as JSON.

    Raises:
        EarthEngineError: the installed client ships no such file.

    Source: Earth Engine REST reference, projects.algorithms/list.
    """
    return _shipped("algorithms.json")


def _complete(projects: dict[str, Any], version: str) -> None:
    """Add methods that the client calls and the document, older than the client, lacks."""
    for resource in (projects, projects["resources"]["assets"]):
        listing = resource["methods"]["listAssets"]["parameters"]
        for name in ("filter", "view"):
            listing.setdefault(name, {"location": "query", "type": "string"})
    for kind in ("maps", "thumbnails", "videoThumbnails", "filmstripThumbnails"):
        create = projects["resources"][kind]["methods"]["create"]["parameters"]
        create.setdefault("workloadTag", {"location": "query", "type": "string"})
    config = {
        "httpMethod": "GET",
        "id": "earthengine.projects.getConfig",
        "path": f"{version}/{{+name}}",
        "parameterOrder": ["name"],
        "response": {},
        "parameters": {"name": {"location": "path", "required": True, "type": "string", "pattern": "^projects/[^/]+/config$"}},
    }
    projects["methods"].setdefault("getConfig", config)


def _shipped(name: str) -> bytes:
    try:
        shipped = metadata.distribution(CLIENT)
    except metadata.PackageNotFoundError:
        raise EarthEngineError(
            f"{CLIENT} is not installed; install {CLIENT}=={CLIENT_VERSION}, whose files the embedded engine serves"
        ) from None
    for file in shipped.files or ():
        if file.name == name and file.parts[:2] == ("ee", "tests"):
            try:
                return file.read_binary()
            except OSError:
                break
    raise EarthEngineError(
        f"{CLIENT} {shipped.version} does not ship ee/tests/{name}, which the embedded engine serves; install {CLIENT}=={CLIENT_VERSION}"
    )
