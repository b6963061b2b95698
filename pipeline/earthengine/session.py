"""Credentials, project and endpoint: one initialised client per process, and the requests the pipeline makes with it.

Source: Earth Engine guides "Authentication and initialization", "Service accounts", "High-volume endpoint".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol
from urllib.parse import SplitResult, urlsplit

import ee
from google.auth.credentials import AnonymousCredentials

from cropcam.pipeline.earthengine import answers
from cropcam.pipeline.earthengine.access import Account, account_of
from cropcam.pipeline.earthengine.answers import understood
from cropcam.pipeline.earthengine.credentials import find_credentials, project_of
from cropcam.pipeline.earthengine.crs_texts import grid_crs
from cropcam.pipeline.earthengine.error_messages import Backoff, ServiceError
from cropcam.pipeline.earthengine.transport import Transport, is_loopback_host
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.grid import PixelGrid

STANDARD_URL = "https://earthengine.googleapis.com"
HIGH_VOLUME_URL = "https://earthengine-highvolume.googleapis.com"
LOOPBACK_PROJECT = "embedded"  # of six letters at least, or the client takes its assets for those of users
EMBEDDED = "archive:"  # how the name of an engine begins that a command starts for itself, on any free port
NAMED_URLS = {"standard": STANDARD_URL, "high-volume": HIGH_VOLUME_URL}  # words that --api-url takes besides URLs
CLIENT_RETRIES = 5  # retries of the client, before `Backoff` begins


class _Sends(Protocol):
    def request(self, uri: str, method: str = ..., body: Any = ..., headers: Any = ...) -> Any: ...  # noqa: ANN401 - httplib2's


@dataclass(frozen=True)
class Session:
    """An initialised client: where it points and the few requests made with it. Holds no credential."""

    project: str
    api_url: str
    is_loopback: bool
    backoff: Backoff = field(default_factory=Backoff)
    name: str = ""
    account: Account = field(default_factory=Account)

    @property
    def endpoint(self) -> str:
        """What a manifest calls the place: its name, which stays the same where a port does not, or its URL."""
        return self.name or self.api_url

    def with_backoff(self, backoff: Backoff) -> Session:
        """The same session with another backoff."""
        return replace(self, backoff=backoff)

    def with_log(self, log: Callable[[str], object]) -> Session:
        """The same session, with a line for each request that is tried again."""
        return self.with_backoff(replace(self.backoff, log=log))

    def value(self, computed: ee.ComputedObject, request_name: str) -> Any:  # noqa: ANN401 - any JSON
        """The value of an object (`value:compute`)."""
        return self.backoff.call(understood(computed.getInfo, request_name), request_name)

    def pixels(self, image: ee.Image, grid: PixelGrid, request_name: str) -> bytes:
        """An image on a grid (`image:computePixels`) as the bytes of one .npy file: a structured array (y, x)."""
        a, b, c, d, e, f = grid.transform
        affine = {"scaleX": a, "shearX": b, "translateX": c, "shearY": d, "scaleY": e, "translateY": f}
        size = {"width": grid.width, "height": grid.height}
        request = {"expression": image, "fileFormat": "NPY", "grid": {"dimensions": size, "affineTransform": affine, **grid_crs(grid.crs)}}
        content: bytes = self.backoff.call(understood(lambda: ee.data.computePixels(request), request_name), request_name)
        return content

    def export(self, request_id: str, request: Mapping[str, Any], request_name: str) -> dict[str, Any]:
        """Start an image export (`image:export`); the operation. One request id starts at most one task."""
        return self._operation(lambda: ee.data.exportImage(request_id, dict(request)), request_name)

    def operations(self) -> list[dict[str, Any]]:
        """All operations of this project in the service's list."""
        asked = understood(lambda: answers.operations(ee.data.listOperations()), "listing tasks")
        return self.backoff.call(asked, "listing tasks")

    def operation(self, name: str) -> dict[str, Any]:
        """One operation by its full name."""
        return self._operation(lambda: ee.data.getOperation(name), f"asking for {name}")

    def cancel(self, name: str) -> None:
        """Ask for an operation to be cancelled."""
        self.backoff.call(understood(lambda: ee.data.cancelOperation(name), f"cancelling {name}"), f"cancelling {name}")

    def asset(self, name: str) -> dict[str, Any] | None:
        """The description of an asset by its full name (`assets.get`); None where there is none."""
        try:
            asked = understood(lambda: dict(ee.data.getAsset(name)), f"asking for {name}")
            found: dict[str, Any] = self.backoff.call(asked, f"asking for {name}")
        except ServiceError as error:
            if error.kind in ("asset", "absent"):
                return None
            raise
        return found

    def tile_url(self, image: ee.Image, visualisation: Mapping[str, Any], request_name: str) -> str:
        """URL template of map tiles, with {z}, {x} and {y}."""

        def ask() -> str:
            return answers.tile_url(ee.data.getMapId({"image": image, **visualisation})["tile_fetcher"].url_format)

        return self.backoff.call(understood(ask, request_name), request_name)

    def _operation(self, ask: Callable[[], Any], request_name: str) -> dict[str, Any]:
        return self.backoff.call(understood(lambda: answers.operation(ask()), request_name), request_name)


def open_session(
    project: str | None = None,
    api_url: str | None = None,
    *,
    backoff: Backoff | None = None,
    client_retries: int = CLIENT_RETRIES,
    name: str = "",
    workload_tag: str = "",
    credentials: Any = None,  # noqa: ANN401 - any of google.auth's
    transport: _Sends | None = None,
) -> Session:
    """Initialise the client of this process and return its session.

    Credentials are searched as by Earth Engine's tools: the key file that GOOGLE_APPLICATION_CREDENTIALS names, the file
    of `earthengine authenticate`, application default credentials. A loopback URL gets none.

    Args:
        project: Google Cloud project; else the credentials' own, else GOOGLE_CLOUD_PROJECT.
        api_url: another endpoint: "high-volume", "standard" or a URL, such as that of a loopback server.
        backoff: with a busy service; a default that lasts about ten minutes.
        client_retries: retries of the client before the backoff begins.
        name: of the endpoint, where its URL changes with each process.
        workload_tag: of all requests that compute, until the next session (`cost.workload_tag`).
        credentials: in place of the search.
        transport: an httplib2-style object that sends requests.

    Raises:
        ConfigError: the URL is none.
        EarthEngineError: no credentials, no project, or the service does not let them in.
    """
    url = url_of(api_url)
    is_local = is_loopback(url)
    if urlsplit(url).scheme == "http" and not is_local:
        raise ConfigError(f"--api-url {url}: credentials would travel unencrypted; write https")
    if credentials is None:
        credentials = AnonymousCredentials() if is_local else find_credentials()  # type: ignore[no-untyped-call]
    project = project or project_of(credentials) or (LOOPBACK_PROJECT if is_local else None)
    if not project:
        raise ServiceError("no Google Cloud project; give --project, or run: earthengine set_project PROJECT", "project")
    session = Session(project, url, is_local, backoff or Backoff(), name, account_of(credentials))

    def initialise() -> None:
        with _without_catalogue(is_local):
            ee.Initialize(credentials=credentials, url=url, project=project, http_transport=transport or Transport())

    ee.Reset()
    ee.data.setMaxRetries(min(client_retries, 1))  # a wrong URL should fail within seconds
    opening = replace(session.backoff, attempts=min(session.backoff.attempts, 3))
    opening.call(understood(initialise, f"project {project} at {url}"), f"project {project} at {url}")
    ee.data.setMaxRetries(client_retries)
    ee.data.setDefaultWorkloadTag(workload_tag)
    return session


def url_of(api_url: str | None) -> str:
    """The URL that --api-url stands for: a name's, the given one, or the standard endpoint's."""
    return NAMED_URLS.get(api_url, api_url).rstrip("/") if api_url is not None else STANDARD_URL


def is_one_place(first: str, second: str) -> bool:
    """Whether exports through two endpoints may land side by side: through any URLs of the service, or any ports of this machine.

    Engines that commands start over two archives write to two places.
    """

    def is_local(endpoint: str) -> bool:
        return endpoint.startswith(EMBEDDED) or is_loopback(endpoint)

    if first.startswith(EMBEDDED) and second.startswith(EMBEDDED):
        return first == second
    return is_local(first) == is_local(second)


def is_loopback(url: str) -> bool:
    """Whether a URL is of this machine.

    Raises:
        ConfigError: it is no plain URL of an endpoint.
    """
    return is_loopback_host(str(_parts_of(url).hostname))


def _parts_of(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
        raise ConfigError("--api-url: not a plain URL of an endpoint; write high-volume, standard or a URL such as " + HIGH_VOLUME_URL)
    return parts


@contextmanager
def _without_catalogue(is_local: bool) -> Iterator[None]:
    """On loopback, keep Initialize from fetching the public list of deprecated assets, a request to the internet without timeout."""
    name = "_FetchDataCatalogStac"
    fetch = getattr(ee.deprecation, name, None)
    if is_local and fetch:
        setattr(ee.deprecation, name, dict)
    try:
        yield
    finally:
        if is_local and fetch:
            setattr(ee.deprecation, name, fetch)
