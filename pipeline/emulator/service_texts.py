"""The service's words: errors by name, as they are reported or documented.

Each text has its source beside it; "not confirmed" marks words that no source quotes. Faults are ordered by these names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cropcam.pipeline.emulator.errors import EngineError

_EXPECTED = (
    "Expected OAuth 2 access token, login cookie or other valid authentication credential. "
    "See https://developers.google.com/identity/sign-in/web/devconsole-project."
)
_ADJUSTABLE = "which is adjustable by your administrator in the Google Cloud console: https://console.cloud.google.com/quotas/?project=_."


@dataclass(frozen=True)
class Text:
    """One error of the service.

    Attributes:
        message: with {project}, {name} or {waiting} where the service fills in the project, the operation, the tasks that wait.
        status: of the response, a google.rpc.Code.
        reason: the word that Google's clients look at; "" for none.
        task_status: of a failed task, where it differs.
    """

    message: str
    status: str
    reason: str = ""
    task_status: str = ""

    def error(self, *, project: str = "my-project", name: str = "", waiting: int = 0) -> EngineError:
        """The error of a request."""
        return EngineError(self.message.format(project=project, name=name, waiting=waiting), self.status, self.reason)

    def failure(self, *, project: str = "my-project") -> EngineError:
        """The error of a failed task."""
        found = self.error(project=project)
        return EngineError(found.message, self.task_status or self.status, self.reason)


TEXTS: Mapping[str, Text] = {
    # --- too much for one computation. Guide "Debugging guide"
    "memory": Text("User memory limit exceeded.", "INVALID_ARGUMENT", task_status="RESOURCE_EXHAUSTED"),
    "timeout": Text("Computation timed out.", "INVALID_ARGUMENT", task_status="FAILED_PRECONDITION"),
    "value_size": Text("Computed value is too large.", "INVALID_ARGUMENT"),
    # in many repositories, first of a monthly composite of Landsat; the second sentence belongs to it
    "output_size": Text(
        "Output of image computation is too large (20 bands for 851968 pixels = 126.8 MiB > 80.0 MiB).\n"
        "If this is a reduction, try specifying a larger 'tileScale' parameter.",
        "INVALID_ARGUMENT",
    ),
    "capacity": Text(
        "Earth Engine memory capacity exceeded.", "INVALID_ARGUMENT", task_status="RESOURCE_EXHAUSTED"
    ),  # openearth/hydro-engine issue 35
    "out_of_memory": Text(
        "Execution failed; out of memory.", "INVALID_ARGUMENT", task_status="RESOURCE_EXHAUSTED"
    ),  # guide "Debugging guide"
    # --- quotas
    "busy": Text(  # guide "Earth Engine quotas" has "HTTP 429: Too Many Requests"; the rest is that of reports
        "Too Many Requests: Request was rejected because the request rate or concurrency limit was exceeded.", "RESOURCE_EXHAUSTED"
    ),
    "queue": Text(
        "Too many tasks already in the queue ({waiting}). Please wait for some of them to complete.", "RESOURCE_EXHAUSTED"
    ),  # reports of users
    "daily_quota": Text(  # guide "Cost controls", whole; that it is a 429 is not confirmed
        f"Your usage exceeded the custom quota for 'earthengine.googleapis.com/daily_eecu_usage_time', {_ADJUSTABLE}", "RESOURCE_EXHAUSTED"
    ),
    "monthly_quota": Text(  # not confirmed: the metric exists, but a project beyond it is slowed down
        f"Your usage exceeded the custom quota for 'earthengine.googleapis.com/monthly_eecu_usage_time', {_ADJUSTABLE}",
        "RESOURCE_EXHAUSTED",
    ),
    "rate": Text("Rate Limit Exceeded", "PERMISSION_DENIED", "rateLimitExceeded"),  # googleapiclient.http, _should_retry_response
    # --- who may. Google Cloud, "Troubleshoot authentication"
    "no_token": Text(f"Request is missing required authentication credential. {_EXPECTED}", "UNAUTHENTICATED", "CREDENTIALS_MISSING"),
    "bad_token": Text(f"Request had invalid authentication credentials. {_EXPECTED}", "UNAUTHENTICATED", "ACCESS_TOKEN_EXPIRED"),
    "scopes": Text("Request had insufficient authentication scopes.", "PERMISSION_DENIED", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"),
    "project": Text(  # earthrise-media/mining-detector issue 14, nasaharvest/street2sat PR 51
        "Caller does not have required permission to use project {project}. Grant the caller the "
        "roles/serviceusage.serviceUsageConsumer role, or a custom role with the serviceusage.services.use permission, by visiting "
        "https://console.developers.google.com/iam-admin/iam/project?project={project} and then retry. Propagation of the new "
        "permission may take a few minutes.",
        "PERMISSION_DENIED",
        "USER_PROJECT_DENIED",
    ),
    "api_disabled": Text(  # reports of users
        "Google Earth Engine API has not been used in project {project} before or it is disabled. Enable it by visiting "
        "https://console.developers.google.com/apis/api/earthengine.googleapis.com/overview?project={project} then retry. If you "
        "enabled this API recently, wait a few minutes for the action to propagate to our systems and retry.",
        "PERMISSION_DENIED",
        "SERVICE_DISABLED",
    ),
    "not_registered": Text(  # reports of users
        "Project '{project}' is not registered to use Earth Engine. Visit "
        "https://console.cloud.google.com/earth-engine/configuration?project={project} to register your project.",
        "PERMISSION_DENIED",
    ),
    "permission": Text("Permission denied.", "PERMISSION_DENIED"),  # not confirmed
    # --- Drive and Cloud Storage. How Earth Engine words these in a task is not confirmed
    "no_drive_space": Text(  # Jumbo810/Upload_Github_Artifacts_TO_GDrive issue 22
        "Service Accounts do not have storage quota. Leverage shared drives "
        "(https://developers.google.com/workspace/drive/api/guides/about-shareddrives), or use OAuth delegation "
        "(http://support.google.com/a/answer/7281227) instead.",
        "PERMISSION_DENIED",
        "storageQuotaExceeded",
    ),
    "drive_full": Text(
        "The user's Drive storage quota has been exceeded.", "PERMISSION_DENIED", "storageQuotaExceeded"
    ),  # Drive API, "Resolve errors"
    "no_bucket": Text("The specified bucket does not exist.", "NOT_FOUND", "notFound"),  # Cloud Storage, "HTTP status and error codes"
    "bucket_denied": Text(  # as above, for the account of the task
        "Caller does not have storage.objects.create access to the Google Cloud Storage object. "
        "Permission 'storage.objects.create' denied on resource (or it may not exist).",
        "PERMISSION_DENIED",
        "forbidden",
    ),
    # --- operations
    "same_request": Text(
        "Requested entity already exists", "ALREADY_EXISTS"
    ),  # google.rpc.Code; apidocs ee-data-startprocessing note "ALREADY_EXISTS"
    # quoted by several repositories after a second start of one task; its status is not confirmed
    "other_operation": Text("A different Operation was already started with the given request_id.", "INVALID_ARGUMENT"),
    # words of the client's comment (API javascript/src/encodable.js, operationToProcessingResponse); not confirmed as an answer
    "other_request": Text("A task with this requestId exists and this request is not byte for byte identical.", "INVALID_ARGUMENT"),
    "no_operation": Text("Operation '{name}' not found.", "NOT_FOUND"),  # not confirmed
    "ended": Text("Operation '{name}' has ended and can not be cancelled.", "FAILED_PRECONDITION"),  # not confirmed
    # --- a fault of the service itself
    "internal": Text("An internal error has occurred.", "INTERNAL"),  # reports of users, with a request id in brackets
    "unavailable": Text("The service is currently unavailable.", "UNAVAILABLE"),  # google.rpc.Code
    "retry": Text(
        "Earth Engine had a transient problem with this task; please retry.", "INTERNAL"
    ),  # not confirmed: only "please retry" is reported
}
BY_HTTP_CODE = {401: "bad_token", 403: "permission", 429: "busy", 500: "internal", 503: "unavailable"}
