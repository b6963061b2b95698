"""The user's credentials: a key file, the saved login, or application default credentials; one line where there are none.

Source: Earth Engine guides "Authentication and initialization", "Service accounts".
"""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any

import ee
import google.auth
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import Request
from google.oauth2 import service_account
from google.oauth2.credentials import Credentials

from cropcam.pipeline.earthengine.error_messages import ServiceError, classify_error, raw_text
from cropcam.pipeline.earthengine.error_texts import LOG_IN


def find_credentials() -> Any:  # noqa: ANN401 - any of google.auth's
    """The user's credentials, of whatever kind.

    Raises:
        EarthEngineError: there are none, or the file named is no credential.
    """
    named = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    where = f"GOOGLE_APPLICATION_CREDENTIALS={named}" if named else str(ee.oauth.get_credentials_path())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # google.auth advises on quota projects; `open_session` sees to the project
            if not named:
                return ee.data.get_persistent_credentials()
            about = json.loads(Path(named).read_text("utf-8"))
            if about.get("type") == "service_account":
                return service_account.Credentials.from_service_account_info(about, scopes=ee.oauth.SCOPES)  # type: ignore[no-untyped-call]
            return google.auth.default(scopes=ee.oauth.SCOPES)[0]
    except ee.EEException:
        raise _refused_login() from None
    except (OSError, ValueError, AttributeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not the JSON of a credential"
        raise ServiceError(f"{where}: {reason}; {LOG_IN}", "credentials") from None
    except GoogleAuthError as error:
        raise _login_error(error) from None


def _refused_login() -> ServiceError:
    """The reason for which the client takes no credentials: there are none, or the saved login cannot be renewed."""
    try:
        arguments = ee.oauth.get_credentials_arguments()
        if arguments.get("refresh_token"):
            Credentials(None, **arguments).refresh(Request())  # type: ignore[no-untyped-call]
    except GoogleAuthError as error:
        return _login_error(error)
    except OSError:
        pass
    return ServiceError(f"no credentials; {LOG_IN}", "credentials")


def _login_error(error: GoogleAuthError) -> ServiceError:
    fault = classify_error(error)
    later = "; run the same command again later" if fault.is_transient else ""
    return ServiceError(f"the login: {fault.text}{later}", fault.kind, f"the login: {raw_text(error)}")


def project_of(credentials: Any) -> str | None:  # noqa: ANN401 - any of google.auth's
    """The project of some credentials, else of the environment."""
    for attribute in ("quota_project_id", "project_id"):
        if project := getattr(credentials, attribute, None):
            return str(project)
    return os.environ.get("GOOGLE_CLOUD_PROJECT") or None
