"""Who acts and what they may do: roles from the login's claims, from what an admin granted, and from a setting.

Roles are checked here, in the use cases, right before they write: a page that hides a button is a courtesy. A refusal
is written to the audit log before it is raised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from monitor.errors import NotAllowedError, SettingsError
from monitor.store.base import Store

ROLES: Final = ("viewer", "analyst", "admin")
"""Each may do what the ones before it may: viewers read, analysts work, admins set up."""

GRANTED: Final = "roles"
"""The store's setting that holds what admins granted on the page: identity in lower case → role."""

NOBODY: Final = "none"


@dataclass(frozen=True, slots=True)
class Person:
    """Who acts, as the audit log names them, and the role they act in."""

    name: str
    role: str


OPERATOR: Final = Person("command line", "admin")
"""Whoever has a shell on the machine can read and write the store anyway."""


def allow(store: Store, by: Person, needed: str, step: str, now: datetime) -> None:
    """Nothing, when the role covers the step; else an entry in the audit log and `NotAllowedError`.

    step: what was asked for as a verb with its object ("add a feed").
    """
    if by.role not in ROLES:
        raise NotAllowedError(f"role {by.role!r} is not known; known: {', '.join(ROLES)}", needed=needed)
    if ROLES.index(by.role) < ROLES.index(needed):
        store.append_audit(by.name, "refused", step, {"role": by.role, "needed": needed}, now)
        raise NotAllowedError(f"to {step} one must be {needed}; {by.name} is a {by.role}", needed=needed)


# ── who somebody is ──────────────────────────────────────────────────────────────────────────────────────────────


def identities(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """What a login may be known by, in lower case: its e-mail address unless the provider says that nobody checked
    it, and its subject. Names and user names are left out: people can change them."""
    found = []
    email = str(claims.get("email") or "").strip().lower()
    # Some providers send the text "false"; those that send nothing (Entra ID) vouch for their own addresses.
    if email and str(claims.get("email_verified", True)).lower() != "false":
        found.append(email)
    subject = str(claims.get("sub") or "").strip().lower()
    if subject:
        found.append(subject)
    return tuple(found)


def name_of(claims: Mapping[str, Any]) -> str:
    """How the audit log names a login: what it is surely known by; never empty."""
    return (identities(claims) or ("unknown",))[0]


def role_of(
    claims: Mapping[str, Any],
    *,
    claim: str = "roles",
    names: Mapping[str, str] | None = None,
    first_admin: str = "",
    granted: Mapping[str, str] | None = None,
    default: str = "viewer",
) -> str | None:
    """The highest of: the roles that the claim names, the role that was granted, admin for the first admin.

    claim: where the roles stand in the claims, a path with dots for nested ones (`realm_access.roles`). names: the
    provider's name → our role, beside viewer, analyst and admin themselves. Without any, `default`; None for `none`.
    """
    own = identities(claims)
    if first_admin.strip() and first_admin.strip().lower() in own:
        return "admin"
    words = {**{role: role for role in ROLES}, **(names or {})}
    found = [words[name] for name in _claimed(claims, claim) if name in words]
    found += [role for one, role in (granted or {}).items() if one in own and role in ROLES]
    if found:
        return max(found, key=ROLES.index)
    return default if default in ROLES else None


def _claimed(claims: Mapping[str, Any], path: str) -> list[str]:
    """The names that stand at the path: a list, or one text with spaces or commas between them."""
    value: Any = claims.get(path)
    if value is None:  # a claim's own name may hold dots (`https://desk.example/roles`), so that is tried first
        value = claims
        for part in path.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
    if isinstance(value, str):
        return value.replace(",", " ").split()
    return [str(one) for one in value] if isinstance(value, list | tuple) else []


def read_names(text: str) -> dict[str, str]:
    """`risk-desk=analyst, it-ops=admin` as provider's name → role. Raises `SettingsError`."""
    names = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, role = (piece.strip() for piece in part.partition("="))
        if not (name and equals and role in ROLES):
            raise SettingsError(
                f"setting 'role_names': {part!r} is not of the form NAME=ROLE; roles: {', '.join(ROLES)}"
            )
        names[name] = role
    return names


# ── what admins grant ────────────────────────────────────────────────────────────────────────────────────────────


def granted_roles(store: Store) -> dict[str, str]:
    """identity in lower case → role, as admins granted them on the page."""
    return dict(store.setting(GRANTED) or {})


def grant(store: Store, who: str, role: str, by: Person, now: datetime) -> None:
    """Give a person a role beside what their login claims; an empty role takes it back. Audited."""
    allow(store, by, "admin", "change who may do what", now)
    known = who.strip().lower()
    if not known or len(known) > 200:
        raise SettingsError("roles: name the e-mail address or the subject of a login, at most 200 characters")
    if role and role not in ROLES:
        raise SettingsError(f"roles: {role!r} is not known; known: {', '.join(ROLES)}")
    roles = granted_roles(store)
    if role:
        roles[known] = role
    else:
        roles.pop(known, None)
    store.set_setting(GRANTED, roles, by.name, now)
