"""Who may ask."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.maps.view.access import check, new_token
from cropcam.pipeline.runtime.loopback_requests import SECURITY_HEADERS, Refused

TOKEN, PORT = new_token(), 8123


def asked(method: str = "GET", target: str = f"/{TOKEN}/scene.json", **headers: str) -> str:
    given_ = {"host": f"127.0.0.1:{PORT}"} | {name.replace("_", "-"): value for name, value in headers.items()}
    return check(method, target, given_, port=PORT, token=TOKEN)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("host", [f"127.0.0.1:{PORT}", f"localhost:{PORT}", f"LOCALHOST:{PORT}", f"[::1]:{PORT}"])
def test_this_machine_with_the_token_is_answered(method: str, host: str) -> None:
    assert asked(method, host=host) == "scene.json"
    assert asked(method, f"/{TOKEN}/", host=host, origin=f"http://127.0.0.1:{PORT}", sec_fetch_site="same-origin") == ""


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get"])
def test_other_methods_are_refused(method: str) -> None:
    with pytest.raises(Refused, match="only GET and HEAD") as refused:
        asked(method)
    assert refused.value.status == 405


@pytest.mark.parametrize(
    "host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1", f"127.0.0.1:{PORT + 1}", f"127.0.0.1.evil:{PORT}", ""]
)
def test_another_host_is_refused(host: str) -> None:
    with pytest.raises(Refused, match="for this machine alone") as refused:
        asked(host=host)
    assert refused.value.status == 403


@pytest.mark.parametrize("origin", ["https://evil.example", "null", f"http://127.0.0.1:{PORT + 1}", f"https://127.0.0.1:{PORT}", ""])
def test_another_sites_page_is_refused(origin: str) -> None:
    with pytest.raises(Refused, match="other sites"):
        asked(origin=origin)
    with pytest.raises(Refused, match="other sites"):
        asked(sec_fetch_site="cross-site", sec_fetch_mode="no-cors")


def test_a_link_from_another_page_may_be_followed() -> None:
    assert asked(sec_fetch_site="cross-site", sec_fetch_mode="navigate") == "scene.json"


@given(st.text(max_size=60))
def test_without_the_token_nothing_is_answered(text: str) -> None:
    for target in (text, f"/{text}", f"/{text}/scene.json", f"/{TOKEN[:-1]}/{text}", f"/{TOKEN}{text.replace('/', '')}x/scene.json"):
        with pytest.raises(Refused, match="no valid token"):
            asked(target=target)


def test_the_page_without_its_last_slash_is_no_page() -> None:
    with pytest.raises(Refused, match="no valid token"):
        asked(target=f"/{TOKEN}")


def test_tokens_are_long_and_never_the_same() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert min(map(len, tokens)) >= 32


def test_no_header_opens_the_page_to_others() -> None:
    assert not [name for name in SECURITY_HEADERS if name.startswith("Access-Control")]
    assert "default-src 'none'" in SECURITY_HEADERS["Content-Security-Policy"]
    assert "unsafe" not in SECURITY_HEADERS["Content-Security-Policy"]
