"""Who may call the REST API: names and passwords as the host's flags give them, and where forms come from."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..errors import OptionsError
from .replies import Refusal

if TYPE_CHECKING:
    from starlette.requests import Request

CHALLENGE = {"WWW-Authenticate": 'Basic realm="sadtalker", charset="UTF-8"'}
ANYONE = ""  # the caller's name where no password is asked for


def credentials(api_auth: str | None) -> dict[str, str] | None:
    """Passwords by user name from "user:password,user2:password2"; None, for an open API, without any.

    Entries may also stand on lines of their own. Raises `OptionsError` rather than leave an API open whose
    owner tried to close it.
    """
    if not api_auth or not api_auth.strip():
        return None
    found: dict[str, str] = {}
    for entry in (part.strip() for part in re.split(r"[,\r\n]", api_auth)):
        user, colon, password = entry.partition(":")
        if not entry:
            continue
        if not colon or not user.strip() or not password:
            raise OptionsError(
                'Names and passwords of the API must be written as "user:password,user2:password2"; '
                "until then the SadTalker API stays closed."
            )
        found[user.strip()] = password
    if not found:
        raise OptionsError("No name and password were given for the SadTalker API; it stays closed.")
    return found


def caller(request: Request, known: Mapping[str, str] | None) -> str:
    """The name of the user who calls; `Refusal` (401) unless a known one gives the right password."""
    if known is None:
        return ANYONE
    name = user_of(request.headers.get("authorization", ""), known)
    if name is None:
        told = "Give the user name and password that were set for the API (HTTP basic)."
        raise Refusal(401, told, CHALLENGE)
    return name


def user_of(header: str, known: Mapping[str, str]) -> str | None:
    """The user whom an Authorization header names, with the right password; None for anybody else."""
    given = _given(header)
    name = None
    # Every pair is compared, and whole, so that the time taken tells nothing.
    for user, password in known.items():
        same_user = hmac.compare_digest(given[0], user.encode("utf-8", "surrogateescape"))
        same_password = hmac.compare_digest(given[1], password.encode("utf-8", "surrogateescape"))
        if same_user and same_password:
            name = user
    return name


def _given(header: str) -> tuple[bytes, bytes]:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return b"", b""
    try:
        user, _, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return b"", b""
    return user, password


def check_same_site(request: Request) -> None:
    """`Refusal` (403) of a form that a page of another site sent from somebody's browser.

    Browsers let any page send forms, and add the password they remember; JSON from other sites they send only
    where the host allows it (CORS), so that it needs no look here.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        allowed = site in ("same-origin", "none")
    else:
        origin = request.headers.get("origin")
        hosts = {request.headers.get("host", ""), request.headers.get("x-forwarded-host", "")}
        allowed = origin is None or site_of(origin) in {host.strip().lower() for host in hosts if host}
    if not allowed:
        raise Refusal(403, "Forms are not taken from pages of other sites; send JSON instead.")


def site_of(origin: str) -> str:
    """Name and port of the site whose page sends an Origin header; "" for a page of no site."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
