"""The table of known error texts: each text as the service or its users quote it, its kind, and the next step to take."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from ee.cli import commands as ee_commands

from cropcam.cli import _parser
from cropcam.pipeline.earthengine.error_messages import classify_error
from cropcam.pipeline.earthengine.error_texts import KNOWN, LOG_IN, known_error, redacted, without_secrets
from support.answers import answered
from support.scenes import study

# status (None: the message of a failed task), text, kind, part of the advice, source
TEXTS = [
    # too much for one request or task
    (400, "User memory limit exceeded.", "memory", "--window-px", "GUIDE debugging"),
    (None, "User memory limit exceeded.", "memory", "--shard-size 128", "GUIDE debugging; Export.image docs: memory goes by tile"),
    (None, "Execution failed; out of memory.", "memory", "--shard-size 128", "GUIDE debugging"),
    (400, "Computed value is too large.", "memory", "--window-px", "Cloud-Based Remote Sensing with Google Earth Engine"),
    (400, "Output of image computation is too large (20 bands for 851968 pixels = 126.8 MiB > 80.0 MiB).\n    If this is a reduction, try specifying a larger 'tileScale' parameter.", "memory", "--window-px", "many repositories; geedim collection.py"),
    (503, "Earth Engine memory capacity exceeded.", "memory", "--window-px", "openearth/hydro-engine issue 35"),
    (400, "Reprojection output too large (12800x12800 pixels).", "memory", "--window-px", "users of reduceResolution"),
    (400, "Computation timed out.", "timeout", "--window-px", "GUIDE debugging"),
    (None, "Execution timed out.", "timeout", "--cell-px", "GUIDE processing_environments"),
    (400, "Total request size (58720256 bytes) must be less than or equal to 50331648 bytes.", "request_size", "--window-px", "REST image:computePixels"),
    (400, "Pixel grid dimensions (103439x55072) must be less than or equal to 32768.", "request_size", "--window-px", "REST image:computePixels"),
    (400, "Export too large: specified 495650445 pixels (max: 100000000). Specify higher maxPixels value if you intend to export a large area.", "pixels", "--cell-px", "GUIDE exporting_images"),
    (400, "Image.reduceRegion: Too many pixels in the region. Found 80300348117, but maxPixels allows only 10000000.", "pixels", "--cell-px", "GUIDE debugging"),
    (400, "File dimensions are too large for the number of bands and data type: the total file size requested is 20000000000 bytes before compression (14 bytes per pixel), but must be less than 17179869184 bytes.", "file_size", "--file-px", "exports that users quote"),
    (400, "Collection query aborted after accumulating over 5000 elements.", "elements", "area.bounds", "GUIDE debugging"),
    (400, "Request payload size exceeds the limit: 10485760 bytes.", "payload", "area.region", "users of large polygons"),
    # the study
    (404, "Image.load: Image asset 'USDA/NASS/CDL/2031' not found (does not exist or caller does not have access).", "asset", "labels.asset", "GUIDE debugging"),
    (400, "Collection.load: ImageCollection asset 'LANDSAT/X' not found.", "asset", "image.collections", "GUIDE debugging"),
    (404, "Asset 'projects/x/assets/y' does not exist or doesn't allow this operation.", "asset", "labels.asset", "users of getAsset"),
    (400, "Image.select: Band pattern 'SR_B1' did not match any bands. Available bands: []", "bands", "image.seasons", "GUIDE debugging"),
    (400, "Expected a homogeneous image collection, but an image with incompatible bands was encountered: First image type: 1 band ([B4]).", "band_types", "image.bands", "GUIDE debugging"),
    (None, "Exported bands must have compatible data types; found inconsistent types: Int16 and Byte.", "band_types", "image.bands", "failed tasks that users quote"),
    (400, "Projection: The CRS of a map projection could not be parsed.", "crs", "area.crs", "users of EPSG:102009, EPSG:6933"),
    (400, "Image.clip: Unable to transform edge (86400.000000, 1.0) from SR-ORG:6974 to EPSG:4326.", "edge", "area.bounds", "users of MODIS collections"),
    (400, "The embedded engine cannot write /data/out/operations: No space left on device.", "engine_disk", "free space there", "docs/emulator.md"),
    # the login
    (403, "Request had insufficient authentication scopes.", "scopes", "earthengine authenticate --force", "csaybar/EarthEngineMasterGIS issue 5"),
    (401, "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.", "credentials", "earthengine authenticate", "CLOUD oauth2"),
    (401, "Request is missing required authentication credential. Expected OAuth 2 access token, login cookie or other valid authentication credential.", "credentials", "earthengine authenticate", "CLOUD oauth2"),
    (400, "invalid_grant: Token has been expired or revoked.", "credentials", "earthengine authenticate", "CLOUD oauth2"),
    (400, "invalid_grant: Invalid JWT Signature.", "credentials", "new key", "CLOUD oauth2/service-account"),
    (400, "invalid_grant: Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.", "clock", "clock of this machine", "CLOUD oauth2/service-account"),
    # the project
    (403, "Caller does not have required permission to use project p. Grant the caller the roles/serviceusage.serviceUsageConsumer role, or a custom role with the serviceusage.services.use permission, by visiting https://console.developers.google.com/iam-admin/iam/project?project=p and then retry.", "project", "Service Usage Consumer", "earthrise-media/mining-detector issue 14"),
    (403, "Earth Engine API has not been used in project 123 before or it is disabled. Enable it by visiting https://console.developers.google.com/apis/api/earthengine.googleapis.com/overview?project=123 then retry.", "registration", "register it", "CLOUD service-usage"),
    (403, "Google Drive API has not been used in project 123 before or it is disabled.", "api_disabled", "apis/library", "CLOUD service-usage"),
    (403, "Project p is not registered to use Earth Engine. Visit https://console.cloud.google.com/earth-engine/configuration?project=p to register your project.", "registration", "register it", "GUIDE access"),
    (403, "Permission 'earthengine.exports.create' denied on resource 'projects/p' (or it may not exist).", "permission", "Earth Engine Resource Writer", "GUIDE access_control"),
    (403, "This API method requires billing to be enabled.", "billing", "drive:FOLDER", "CLOUD storage"),
    # quotas
    (429, "Your usage exceeded the custom quota for 'earthengine.googleapis.com/daily_eecu_usage_time', which is adjustable by your administrator in the Google Cloud console: https://console.cloud.google.com/quotas/?project=_.", "daily_quota", "tomorrow", "GUIDE cost_controls"),
    (429, "Your usage exceeded the quota for 'earthengine.googleapis.com/monthly_eecu_usage_time'.", "quota", "next month", "GUIDE noncommercial_tiers: the metric; its text is unconfirmed"),
    (400, "Too many tasks already in the queue (3000). Please wait for some of them to complete.", "queue", "3,000", "GUIDE processing_environments"),
    # the destination
    (403, "Service Accounts do not have storage quota. Leverage shared drives, or use OAuth delegation instead.", "service_account", "gs://BUCKET", "Jumbo810/Upload_Github_Artifacts_TO_GDrive issue 22"),
    (None, "The user's Drive storage quota has been exceeded.", "storage", "free space", "CLOUD drive/api/guides/handle-errors"),
    (404, "The specified bucket does not exist.", "bucket", "gs://BUCKET", "CLOUD storage"),
    (403, "x@y.iam.gserviceaccount.com does not have storage.objects.create access to the Google Cloud Storage object. Permission 'storage.objects.create' denied on resource (or it may not exist).", "bucket", "Storage Object Admin", "CLOUD storage"),
    (None, "Cannot overwrite asset 'projects/p/assets/a'.", "asset_exists", "--overwrite", "GUIDE manage_assets; failed tasks that users quote"),
    (404, "The parent of asset 'projects/p/assets/new/a' does not exist.", "asset_folder", "earthengine create folder", "wording unconfirmed"),
    # one request, sent twice
    (409, "A task with this request ID already exists.", "duplicate", "submitted before", "ee.data.startProcessing docs"),
    (409, "ALREADY_EXISTS", "duplicate", "submitted before", "google.rpc.Code"),
    (400, "The request is not byte for byte identical to an earlier one with the same requestId.", "duplicate", "submitted before", "google/earthengine-api encodable.js"),
    (400, "A different Operation was already started with the given request_id.", "duplicate", "submitted before", "several repositories, after a second start of one task"),
    (400, "Operation 'projects/p/operations/ABC' has ended and can not be cancelled.", "ended", "cropcam tasks", "wording unconfirmed"),
    (404, "Operation 'projects/image-study/operations/ABC' not found.", "absent", "cropcam tasks", "REST projects.operations/get"),
]  # fmt: skip

# texts of errors that pass: status, text, source
PASSING = [
    (429, "Too many concurrent aggregations.", "GUIDE debugging"),
    (500, "Too many concurrent aggregations.", "GUIDE debugging"),
    (429, "Too Many Requests: Request was rejected because the request rate or concurrency limit was exceeded.", "users of the high-volume endpoint"),
    (429, "Quota exceeded for quota metric 'Read requests' and limit 'Read requests per minute per user' of service 'earthengine.googleapis.com'.", "gee-community/qgis-earthengine-plugin issue 202"),
    (403, "User Rate Limit Exceeded. Rate of requests for user exceed configured project quota.", "CLOUD drive/api/guides/handle-errors"),
    (403, "Rate Limit Exceeded", "CLOUD drive/api/guides/handle-errors"),
    (None, "Rate limit exceeded.", "failed tasks"),
    (503, "Earth Engine capacity exceeded.", "GUIDE debugging"),
    (500, "An internal error has occurred (request 6f1c).", "GUIDE debugging"),
    (None, "An internal error has occurred.", "GUIDE debugging"),
    (None, "Internal error.", "failed tasks"),
    (None, "The service is currently unavailable. Please retry.", "failed tasks"),
    (None, "Backend error. Please try again.", "failed tasks"),
    (504, "Deadline exceeded", "google.rpc.Code"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "text", "kind", "advice", "source"), TEXTS, ids=lambda value: str(value)[:60])
def test_each_known_text_has_its_kind_its_cause_and_a_next_step(status: int | None, text: str, kind: str, advice: str, source: str) -> None:
    fault = classify_error(text if status is None else answered(status, text))
    assert (fault.kind, fault.is_transient) == (kind, False), source
    assert advice in fault.text
    assert "\n" not in fault.text
    assert fault.text.startswith(redacted(text).rstrip(".")[:40])


@pytest.mark.parametrize(("status", "text", "source"), PASSING, ids=lambda value: str(value)[:60])
def test_each_text_of_an_error_that_passes_is_tried_again(status: int | None, text: str, source: str) -> None:
    fault = classify_error(text if status is None else answered(status, text))
    assert fault.is_transient, source
    assert fault.kind in ("busy", "service")


def test_every_entry_of_the_table_has_a_text_that_shows_it() -> None:
    shown = {id(known_error(text)) for text in [*(row[1] for row in TEXTS), *(row[1] for row in PASSING), "Invalid project 'x'."]}
    unused = [entry.pattern for entry in KNOWN if id(entry) not in shown]
    assert not unused


def test_entries_that_pass_need_no_step_and_all_others_have_one() -> None:
    for entry in KNOWN:
        assert entry.cause, entry.pattern
        assert entry.source, entry.pattern
        assert bool(entry.next_step) != entry.is_transient, entry.pattern


def steps() -> str:
    return "\n".join([LOG_IN, *(f"{entry.next_step}\n{entry.task_step}" for entry in KNOWN)])


def options_of(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield name
                yield from options_of(inner)


def earthengine_words(command: str) -> set[str]:
    """The words that the installed client's command line takes after `earthengine COMMAND`."""
    parser = argparse.ArgumentParser()
    found = next(one for one in ee_commands.EXTERNAL_COMMANDS if one.name == command)
    found(parser)
    return set(options_of(parser))


def test_every_option_and_command_that_a_step_names_exists() -> None:
    ours = set(options_of(_parser()))
    named = re.findall(r"(?<![\w-])(--[a-z-]+)", steps().replace("authenticate --force", ""))
    assert set(named) <= ours
    assert set(re.findall(r"cropcam (\w+)", steps())) <= ours
    theirs = set(re.findall(r"earthengine (\w+) (--[a-z]+|folder)", steps()))
    assert ("authenticate", "--force") in theirs
    for command, word in theirs:
        assert word in earthengine_words(command)


def test_every_key_of_a_study_that_a_step_names_exists() -> None:
    values = study().to_dict()
    known = {f"{table}.{key}" for table, keys in values.items() for key in keys} | {"labels.band", "labels.weight"}
    named = set(re.findall(r"\b(?:image|labels|area|patches)\.[a-z_]+", steps()))
    assert named
    assert named <= known


def test_every_kind_is_in_the_page_of_the_documentation() -> None:
    page = (Path(__file__).parents[3] / "docs" / "earthengine.md").read_text("utf-8")
    section = page.partition("\n## Errors\n")[2].partition("\n## ")[0]
    listed = set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))
    assert listed == {entry.kind for entry in KNOWN} | {"connection", "refused"}


@pytest.mark.parametrize(
    "secret",
    [
        "ya29.a0AfH6SMB-secret_token",
        "1//0gabcdefghijklmnop-secret",
        "AIzaSyD-1234567890abcdefghijklmnopqrst",
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ4In0.c2VjcmV0",
        "GOCSPX-abcdefsecret",
    ],
)
def test_secrets_are_blotted_out(secret: str) -> None:
    text = redacted(f"denied: Authorization: Bearer {secret}\n for {secret} and key=abc")
    assert secret not in text
    assert "[secret]" in text
    assert "abc" not in text.replace("abcdef", "")
    assert "-----BEGIN" not in redacted("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----")
    assert "MIIE" not in redacted("x -----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY----- y")
    assert without_secrets(f"one\n{secret}\nthree").splitlines() == ["one", "[secret]", "three"]
