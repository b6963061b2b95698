"""`make live PROJECT=... [BUCKET=...] [FOLDER=...]`: the live test from the command line.

It asks Earth Engine some twenty questions, starts some six small export tasks, and writes live-report.json.
"""

from __future__ import annotations

import argparse
import datetime
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cropcam.pipeline.earthengine.access import check_destination
from cropcam.pipeline.earthengine.cost import in_hours, workload_tag
from cropcam.pipeline.earthengine.destinations import Destination, parse_destination
from cropcam.pipeline.earthengine.session import open_session
from cropcam.pipeline.emulator import serve
from cropcam.pipeline.errors import CropcamError
from live.archive import iowa, iowa_many
from live.report import Report
from live.run import run
from live.side import Budget, Side

HELP = """make live PROJECT=my-project [BUCKET=my-bucket] [FOLDER=my-drive-folder]

Asks the real Earth Engine the questions that no test without an account can answer, and writes live-report.json, which can
be attached to an issue: it holds no secrets, no addresses and no names of projects, buckets or folders.

Needed:  an Earth Engine account (earthengine authenticate) and a Cloud project registered for it: PROJECT.
Wanted:  a bucket that the project may write to: BUCKET. Without it the questions about Cloud Storage are left out.
         A Drive folder: FOLDER, by default cropcam-live. A service account has no Drive: its questions go to the bucket.
Costs:   at most 15 minutes and 0.5 EECU-hours; some six tasks of 300 x 300 px; files of a few MB stay in the bucket and the folder.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the live test; 0 where everything that was asked holds, 1 where something does not or had no answer, 2 without a project."""
    parser = argparse.ArgumentParser(prog="make live", description=HELP, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--project", default="")
    parser.add_argument("--bucket", default="")
    parser.add_argument("--folder", default="")
    parser.add_argument("--out", type=Path, default=Path("live-report.json"))
    args = parser.parse_args(argv)
    if not args.project:
        print(HELP)
        return 2
    try:
        return _live(args)
    except CropcamError as error:
        print(f"live: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"interrupted; running tasks are cancelled, and {args.out} has what was answered", file=sys.stderr)
        return 130


def _live(args: argparse.Namespace) -> int:
    began = datetime.datetime.now(datetime.UTC)
    stamp = f"{began:%Y%m%d-%H%M%S}"
    session = open_session(args.project, workload_tag=workload_tag("live"))
    wanted: list[str] = [f"gs://{args.bucket}/cropcam-live"] if args.bucket else []
    if not session.account.is_service_account:
        wanted.insert(0, f"drive:{args.folder or 'cropcam-live'}")
    destinations: list[Destination] = []
    for text in wanted:
        check_destination(session.account, text)
        where = parse_destination(text)
        assert not isinstance(where, Path)
        destinations.append(where)
    report = Report(session.api_url, f"{began:%Y-%m-%dT%H:%M:%SZ}", (args.project, args.bucket, args.folder, str(Path.home())))
    with tempfile.TemporaryDirectory(prefix="cropcam-live-") as scratch:
        folder = Path(scratch)
        service = Side(session, iowa(f"live-{stamp}"), iowa_many(), tuple(destinations), folder / "service", Budget(), stamp)

        @contextmanager
        def embedded() -> Iterator[Side]:
            with serve(folder / "archive", out=folder / "exports") as server:
                own = open_session("local", server.url)
                yield Side(own, iowa(f"live-{stamp}"), iowa_many(), tuple(destinations), folder / "embedded", Budget(), stamp, poll_s=0.2)

        run(service, embedded, folder / "archive", report, args.out, lambda line: print(line, flush=True))
    for name, points in report.summary().items():
        print(f"{name}: {', '.join(points) or 'none'}")
    print(f"{report.spent['seconds']:.0f} s, {in_hours(report.spent['eecu_s'] / 3600)} EECU-hours; report: {args.out}")
    return 0 if report.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
