"""The profile of earlier requests, as the client asks for it.

Source: the signature of `Profile.getProfiles` in the service's list of algorithms.
"""

from __future__ import annotations

from cropcam.pipeline.emulator.errors import unimplemented
from cropcam.pipeline.emulator.evaluation import Evaluation
from cropcam.pipeline.emulator.registry import algorithm


@algorithm("Profile.getProfiles")
def get_profiles(ids: list[str], evaluation: Evaluation, format_: str = "text", maxEntries: int | None = None) -> str:
    """The table of the profiles with these ids."""
    if format_ != "text":  # the layout of its JSON is not documented
        raise unimplemented(f"Profile.getProfiles: format '{format_}'")
    return evaluation.profiles.text(ids, maxEntries)
