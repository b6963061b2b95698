"""The endpoint of a command that speaks to Earth Engine: its options, the session, the manifest of the study. Heavy modules are imported inside."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.runtime.console import detail


def endpoint_options(sub: argparse.ArgumentParser) -> None:
    """Options that name the endpoint: the service, a URL, or an archive."""
    sub.add_argument("--project", metavar="P", help="Google Cloud project (CROPCAM_PROJECT; default: the credentials' own)")
    sub.add_argument("--api-url", metavar="URL", help="high-volume, or an engine on loopback: cropcam emulate (CROPCAM_API_URL)")
    sub.add_argument(
        "--archive", type=Path, metavar="DIR", help="the embedded engine over this archive, no account needed (CROPCAM_ARCHIVE)"
    )


def same_endpoint(args: argparse.Namespace) -> list[Any]:
    """The options of the endpoint, for a command that a user may copy."""
    given = (("--project", args.project), ("--api-url", args.api_url), ("--archive", args.archive))
    return [word for option, value in given if value for word in (option, value)]


@contextmanager
def session_of(args: argparse.Namespace, study: Any, *, exports: bool = True) -> Iterator[Any]:  # noqa: ANN401 - a Study
    """An open session for a study with the endpoint of `open_endpoint`."""
    from cropcam.pipeline.earthengine.cost import workload_tag
    from cropcam.pipeline.earthengine.session import open_session

    with open_endpoint(args, exports=exports) as (url, name):
        detail(f"endpoint: {name or url or 'Earth Engine'}, project {args.project or 'of the credentials'}")
        yield open_session(args.project, url, name=name, workload_tag=workload_tag(study.name))


@contextmanager
def open_endpoint(args: argparse.Namespace, *, exports: bool = True) -> Iterator[tuple[str | None, str]]:
    """URL and name of the endpoint: the service's (None), --api-url, or an embedded engine over --archive that ends with the command.

    Only with `exports` does that engine write: beside the archive, where one engine at a time may.
    """
    from cropcam.pipeline.earthengine.session import EMBEDDED

    if not args.archive:
        yield args.api_url, ""
        return
    if args.api_url is not None:
        raise ConfigError("--archive starts an endpoint of its own; leave out --api-url")
    from cropcam.pipeline.emulator import serve

    folder: Path = args.archive.resolve()
    with serve(folder, out=folder.with_name(f"{folder.name}-exports") if exports else None) as server:
        yield server.url, f"{EMBEDDED}{folder}"


def manifest_of(args: argparse.Namespace) -> Path:
    """Where the manifest of the study lies."""
    from cropcam.pipeline.earthengine.manifest import manifest_path
    from cropcam.pipeline.study.changes import changed_name

    return manifest_path(args.study, changed_name(args.changes))


def check_feasible_at(args: argparse.Namespace, study: Any) -> None:  # noqa: ANN401 - a Study
    """Refuse what the service can never deliver; an engine on this machine has what its archive has."""
    from datetime import date

    from cropcam.pipeline.earthengine.feasible import check_feasible

    if args.api_url:
        from cropcam.pipeline.earthengine.session import is_loopback, url_of

        if is_loopback(url_of(args.api_url)):
            return
    if not args.archive:
        check_feasible(study, date.today(), args.study, is_exported=True)
