"""Profiles of earlier requests, through the real client's objects."""

from __future__ import annotations

import ee
import pytest

from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.profiling import Profile
from support.scenes import Client


def asked(ids: list[str], **arguments: object) -> ee.ComputedObject:
    return ee.apifunction.ApiFunction.lookup("Profile.getProfiles").call(ids=ids, **arguments)


def kept(client: Client, **eecu_s: float) -> str:
    profile = Profile()
    for description, seconds in eecu_s.items():
        profile.add(description, seconds)
    return client.engine.profiles.keep(profile)


def test_profiles_of_several_requests_are_one_table(client: Client) -> None:
    ids = [kept(client, a=1.0, b=0.5), kept(client, a=0.25)]
    assert [line.split() for line in client.value(asked(ids)).splitlines()[1:]] == [["1.250", "-", "2", "a"], ["0.500", "-", "1", "b"]]
    assert len(client.value(asked(ids, maxEntries=1)).splitlines()) == 2


def test_an_unknown_profile_and_another_format_are_refused(client: Client) -> None:
    with pytest.raises(EngineError, match="profile 'gone' not found"):
        client.value(asked(["gone"]))
    with pytest.raises(EngineError, match="format 'json'"):
        client.value(asked([kept(client, a=1.0)], format="json"))
