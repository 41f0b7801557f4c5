"""`manage.py create_api_key NAME [--user U]`: prints the key, and only the key."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.core.management.base import BaseCommand, CommandError, CommandParser

from denoise_relay import access
from denoise_relay.models import ApiKey


class Command(BaseCommand):
    help = "Make an API key and print it, this once: only its hash is kept."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="what the key is for, as staff will see it")
        parser.add_argument("--user", help="name of the user whose jobs it opens, beside its own")

    def handle(self, *args: Any, name: str, user: str | None, **options: Any) -> None:
        longest = ApiKey._meta.get_field("name").max_length or 0
        if not 0 < len(name.strip()) <= longest:
            raise CommandError(f"NAME must have 1 to {longest} characters.")
        owner = _user(user) if user is not None else None
        self.stdout.write(access.create_api_key(name.strip(), owner))


def _user(name: str) -> AbstractBaseUser:
    users = get_user_model()
    try:
        found: AbstractBaseUser = users._default_manager.get_by_natural_key(name)
    except users.DoesNotExist as error:
        raise CommandError(f"There is no user {name!r}.") from error
    return found
