"""The service's known error texts, as data: what happened, what to do next, and where the text is documented or reported.

The first entry whose pattern is found in the text counts, so special texts come before general ones.

Sources: GUIDE = Earth Engine guides (developers.google.com/earth-engine/guides), REST = REST reference, CLOUD = Google
Cloud and Workspace documentation; else a public repository whose code or issues quote the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

DISK = "engine_disk"  # the kind of an error that is no fault of the service
LOG_IN = "run: earthengine authenticate --force, or set GOOGLE_APPLICATION_CREDENTIALS to a service account's key file"
_CONSOLE = "https://console.cloud.google.com"
_FEWER = "fewer scenes (image.cloud_cover_max_pct, image.seasons)"
_SECRETS = re.compile(
    r"ya29\.[\w.~+/=-]+|1//[\w-]{10,}|AIza[\w-]{20,}|eyJ[\w-]{10,}(\.[\w-]+)*|-----BEGIN[^-]*-----.*?(-----END[^-]*-----|$)|GOCSPX-[\w-]+"
    r"|(?<=bearer )\S+|(?<=bearer%20)\S+|(?<=key=)[\w-]+|(?<=token=)[^\s&\"']+",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True)
class KnownError:
    """One known error: its kind, the pattern of its text, its cause, the next step, the source of the text.

    Attributes:
        kind: what callers decide by; several entries may share one.
        pattern: regular expression, searched without regard to case.
        cause: what happened.
        next_step: what to do; "" for a transient error, which is tried again.
        source: where the text is documented or quoted.
        task_step: the next step for a failed task, where it differs from a pixel request's.
        is_transient: a later try can succeed.
    """

    kind: str
    pattern: str
    cause: str
    next_step: str
    source: str
    task_step: str = ""
    is_transient: bool = False

    def matches(self, text: str) -> bool:
        """Whether the pattern is found in a text."""
        return re.search(self.pattern, text, re.IGNORECASE | re.DOTALL) is not None


KNOWN: tuple[KnownError, ...] = (
    # the embedded engine's own disk, which is this machine's
    KnownError(DISK, r"embedded engine cannot write",
        "its disk is full or read-only", "free space there, then run the same command again", "docs/emulator.md"),
    # the login
    KnownError("clock", r"\biat\b.*\bexp\b|short-lived token|token used too (early|late)|certificate (is not yet valid|has expired)",
        "the clock of this machine is wrong", "set date, time and time zone, then run the same command again", "CLOUD oauth2/service-account, invalid_grant"),
    KnownError("scopes", r"insufficient (authentication )?scopes?|scope_insufficient|invalid_scope|not all requested scopes",
        "the login does not cover this service", "run: earthengine authenticate --force, and allow all that the page asks for", "csaybar/EarthEngineMasterGIS issue 5"),
    KnownError("credentials", r"invalid jwt signature|account not found",
        "the key of the service account was deleted or replaced", "make a new key, and point GOOGLE_APPLICATION_CREDENTIALS at its file", "CLOUD oauth2/service-account, error codes"),
    KnownError("credentials", r"invalid_grant|reauth|(invalid|missing required) authentication credential|unauthenticated|token has been expired|unauthorized_client|deleted_client",
        "the credentials are not valid (any more)", LOG_IN, "CLOUD oauth2, error codes"),
    # the project
    KnownError("project", r"permission to use project|user_project_denied|roles/serviceusage",
        "the credentials may not use this project", "check --project, or ask its owner for the role Service Usage Consumer", "earthrise-media/mining-detector issue 14"),
    KnownError("api_disabled", r"(drive|cloud storage|storage json) api has not been used",
        "this service is switched off in the project", f"enable it at {_CONSOLE}/apis/library and run the same command again", "CLOUD service-usage, SERVICE_DISABLED"),
    KnownError("registration", r"not registered|has not been used in project|(is )?not signed up|service_disabled|it is disabled",
        "the project is not registered for Earth Engine", f"register it at {_CONSOLE}/earth-engine, or give another --project", "GUIDE access"),
    KnownError("project", r"project .*(not found|has been deleted)|invalid project|consumer_invalid",
        "there is no such project", "check --project", "CLOUD service-usage, CONSUMER_INVALID"),
    KnownError("billing", r"billing",
        "the project has no active billing account, which Cloud Storage needs", f"link one at {_CONSOLE}/billing, or export to drive:FOLDER or a local folder", "CLOUD storage, accountDisabled"),
    # quotas
    KnownError("daily_quota", r"daily_eecu_usage_time|daily ?limit ?exceeded|quota metric.*per day",
        "the project's quota of the day is used up", f"run the same command again tomorrow, or raise the quota at {_CONSOLE}/iam-admin/quotas", "GUIDE cost_controls"),
    KnownError("quota", r"eecu|non-?commercial|monthly quota",
        "the project's compute quota of the month is used up", "wait for the next month, or choose another tier of the project", "GUIDE noncommercial_tiers"),
    KnownError("queue", r"too many tasks",
        "3,000 tasks wait already", "run the same command again when some have ended", "GUIDE processing_environments"),
    KnownError("memory", r"memory capacity exceeded",
        "the computation needs more memory than was free", f"use smaller windows (--window-px), or {_FEWER}", "openearth/hydro-engine issue 35",
        task_step=f"use smaller tiles (--shard-size 128, then 64), or {_FEWER}"),
    KnownError("busy", r"rate ?limit ?exceeded|user ?rate ?limit|request rate or concurrency|too many (requests|concurrent)|quota metric.*per (minute|second)|engine capacity exceeded",
        "more requests than the service takes at once", "", "GUIDE usage; CLOUD drive/api/guides/handle-errors", is_transient=True),
    # the destination
    KnownError("service_account", r"service accounts do not have storage quota",
        "a service account has no space on Drive", "export to gs://BUCKET/PREFIX or a local folder, or log in as a user: earthengine authenticate --force", "Jumbo810/Upload_Github_Artifacts_TO_GDrive issue 22"),
    KnownError("storage", r"storage ?quota|drive.*full|insufficient.*storage|asset (count|storage).*(limit|quota)",
        "the destination has no room left", "free space there and run the same command again", "CLOUD drive/api/guides/handle-errors; GUIDE usage"),
    KnownError("bucket", r"bucket.*(does not exist|not found)|specified bucket|storage\.(objects|buckets)",
        "the bucket does not exist or may not be written to", "check gs://BUCKET and the role Storage Object Admin of the credentials", "CLOUD storage, HTTP status and error codes"),
    KnownError("asset_exists", r"cannot overwrite asset|asset .*already exists",
        "the asset is there already, and stays", "choose another name, or give --overwrite", "GUIDE manage_assets"),
    KnownError("asset_folder", r"\bparent\b.*(not found|does not exist)",
        "the folder of the asset does not exist", "make it: earthengine create folder projects/PROJECT/assets/FOLDER", "GUIDE manage_assets"),
    # one request, sent twice
    KnownError("duplicate", r"byte for byte identical|already[ _](exists|been|started)|already_exists|duplicate request|request ?id.*(used|taken|differ)",
        "a task with this request id was submitted before", "look at it with: cropcam tasks", "REST projects.image/export; google/earthengine-api encodable.js"),
    KnownError("ended", r"(has|have|already) (ended|completed|finished)",
        "the task has ended", "look at it with: cropcam tasks", "google.rpc.Code, FAILED_PRECONDITION; wording unconfirmed"),
    KnownError("absent", r"operation\b.*not found|no such operation",
        "the service does not know this task (any more)", "look at what is there with: cropcam tasks", "REST projects.operations/get"),
    # too much for one request or task; a smaller one succeeds
    KnownError("memory", r"user memory limit|out of memory|computed value is too large",
        "the computation needs more memory than Earth Engine gives one request", f"use smaller windows (--window-px), or {_FEWER}", "GUIDE debugging",
        task_step=f"use smaller tiles (--shard-size 128, then 64), or {_FEWER}"),
    KnownError("memory", r"output of image computation is too large|reprojection output too large",
        "one computation holds more than 80 MiB of pixels", "use smaller windows (--window-px), or fewer bands or seasons", "leftfield-geospatial/geedim collection.py",
        task_step="use smaller tiles (--shard-size 128, then 64), or fewer bands or seasons"),
    KnownError("timeout", r"(computation|execution|request) timed out",
        "the computation took longer than Earth Engine allows", f"use smaller windows (--window-px), or {_FEWER}", "GUIDE debugging; GUIDE processing_environments",
        task_step=f"use smaller cells (--cell-px) and another destination, or {_FEWER}"),
    KnownError("request_size", r"total request size|grid dimensions .* must be less",
        "one request asks for more than 48 MB or 32,768 px a side", "use smaller windows (--window-px)", "REST projects.image/computePixels"),
    KnownError("pixels", r"too many pixels|maxpixels|export too large",
        "one task holds more pixels than its maxPixels", "use smaller cells (--cell-px) and another destination", "GUIDE exporting_images"),
    KnownError("file_size", r"file ?dimensions",
        "files of this side are too large, or no multiple of the tiles", "choose another side (--file-px) and another destination", "GUIDE exporting_images; REST ImageFileExportOptions"),
    KnownError("elements", r"aborted after accumulating",
        "more than 5,000 scenes or features in one answer", "use a smaller area (area.bounds) or shorter seasons (image.seasons)", "GUIDE debugging"),
    KnownError("payload", r"payload size exceeds",
        "the request is longer than 10 MB", "use a region with fewer corners (area.region)", "text that users with large polygons quote"),
    # the study
    KnownError("crs", r"crs of a map projection could not be parsed|(unknown|invalid|unsupported) (crs|projection|epsg)",
        "Earth Engine does not know this CRS", "use an EPSG code (area.crs)", "REST PixelGrid; GUIDE projections"),
    KnownError("edge", r"unable to transform (edge|the geometry)",
        "the area reaches beyond what a projection can hold", "use a smaller area (area.bounds) or another CRS (area.crs)", "users of MODIS collections, Image.clip"),
    KnownError("band_types", r"compatible data types|incompatible bands|incompatible types|pixel ?type",
        "the bands or scenes have several data types", "check image.collections, and choose bands of one type (image.bands)", "GUIDE debugging; texts of exports that users quote"),
    KnownError("bands", r"did not match any bands|no bands|at least one band|band pattern",
        "no scene was left, or the collection has other bands", "check image.collections, image.bands and image.seasons, or labels.band and labels.weight", "GUIDE debugging"),
    KnownError("asset", r"(asset|collection|image)[^.]*(not found|does not exist)|does not exist or (caller|does)",
        "an asset is absent, or not shared with these credentials", "check image.collections and labels.asset of the study (the labels of a year appear after it: CDL early in the next)", "GUIDE debugging"),
    # the rest
    KnownError("service", r"internal error|backend error|deadline exceeded|try again|please retry|retry later|temporarily|unavailable|connection reset",
        "a failure inside the service", "", "GUIDE debugging", is_transient=True),
    KnownError("permission", r"permission|forbidden|access denied|not authorized",
        "the credentials may not do this", "check --project and its roles (Earth Engine Resource Writer)", "GUIDE access_control"),
)  # fmt: skip


def known_error(text: str) -> KnownError | None:
    """The first entry that a text matches."""
    return next((entry for entry in KNOWN if entry.matches(text)), None)


def without_secrets(text: str) -> str:
    """The text with tokens, keys and other secrets replaced; its lines stay."""
    return _SECRETS.sub("[secret]", text)


def redacted(text: str) -> str:
    """The text on one line, with tokens, keys and other secrets replaced."""
    return " ".join(without_secrets(text).split())
