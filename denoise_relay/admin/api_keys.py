"""API keys in the admin. The secret is shown once; only its digest is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from denoise_relay import access
from denoise_relay.models import ApiKey

if TYPE_CHECKING:
    ApiKeyBase = admin.ModelAdmin[ApiKey]
else:
    ApiKeyBase = admin.ModelAdmin


@admin.register(ApiKey)
class ApiKeyAdmin(ApiKeyBase):
    """Staff create, rename and revoke keys; nothing else can be changed."""

    list_display = ("name", "user", "created_at", "revoked_at")
    list_select_related = ("user",)
    list_filter = (("revoked_at", admin.EmptyFieldListFilter),)
    list_per_page = 50
    search_fields = ("name",)
    raw_id_fields = ("user",)
    actions = ("revoke_selected",)

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        return ("name", "user", "created_at", "revoked_at") if obj else ("name", "user")

    def get_readonly_fields(
        self, request: HttpRequest, obj: ApiKey | None = None
    ) -> tuple[str, ...]:
        # A key that was handed out must not begin to open the jobs of another user.
        return ("user", "created_at", "revoked_at") if obj else ()

    def save_model(
        self, request: HttpRequest, obj: ApiKey, form: ModelForm[ApiKey], change: bool
    ) -> None:
        if change:
            obj.save(update_fields=["name"])
            return
        secret = access.create_api_key(obj.name, obj.user)
        created = ApiKey.objects.get(digest=access.digest(secret))
        obj.__dict__.update(created.__dict__)
        self.message_user(
            request,
            _("The key of %(name)s is shown this once; keep it safe: %(secret)s")
            % {"name": obj.name, "secret": secret},
            messages.WARNING,
        )

    @admin.action(description=gettext_lazy("Revoke selected API keys"), permissions=["change"])
    def revoke_selected(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        revoked = queryset.filter(revoked_at=None).update(revoked_at=timezone.now())
        text = ngettext("%(n)d API key was revoked.", "%(n)d API keys were revoked.", revoked)
        self.message_user(request, text % {"n": revoked}, messages.SUCCESS)
