"""Make one site's database ready, in a process with that site's environment.

`python -m project.demo.prepare service|site FOLDER`. What the demo needs to know is left in
files of mode 0600 in the folder: `api_key` by the service, `admin_password` by the site.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

import django
from django.core.management import call_command

API_KEY = "api_key"
ADMIN_PASSWORD = "admin_password"  # noqa: S105  # the name of a file
ADMIN = "admin"


def _keep(path: Path, secret: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret)


def _api_key(folder: Path) -> None:
    """One key that stays: the service shows a job only to the key that submitted it, and a
    restarted site looks for its unfinished jobs."""
    from denoise_relay.access import create_api_key

    path = folder / API_KEY
    if path.exists():
        return
    _keep(path, create_api_key("demo site"))


def _admin(folder: Path) -> None:
    from django.contrib.auth import get_user_model

    path = folder / ADMIN_PASSWORD
    if path.exists():
        return
    password = secrets.token_urlsafe(9)
    users = get_user_model().objects
    users.filter(username=ADMIN).delete()
    users.create_superuser(username=ADMIN, password=password)
    _keep(path, password)


def main(name: str, folder: Path) -> None:
    """Migrate, then make what belongs to this site."""
    django.setup()
    call_command("migrate", verbosity=0, interactive=False)
    {"service": _api_key, "site": _admin}[name](folder)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
