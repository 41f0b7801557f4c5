"""Where players load recordings from, besides this site: for a Content-Security-Policy."""

from __future__ import annotations

from urllib.parse import urlsplit

from denoise_relay.conf import SHORT_BACKENDS, relay_settings
from denoise_relay.media import storage


def media_sources() -> list[str]:
    """The sources that `media-src` needs besides `'self'`, by the settings in force; often none.

    A storage that serves its own URLs adds its origin. `STORE_RESULTS=False` adds `https:`, because
    the upstream may name any server in each result, and the hosts that the settings name: those may
    be reached by http, where the site itself is. Asks the storage, so call it once, when the server
    starts; raises what the storage raises.
    """
    sources = []
    if origin := _origin(storage.own_url("denoise/recording.wav")):
        sources.append(origin)
    settings = relay_settings()
    if not settings.STORE_RESULTS and settings.BACKEND not in ("local", SHORT_BACKENDS["local"]):
        hosts = [urlsplit(settings.UPSTREAM_URL).netloc.rpartition("@")[2]]
        hosts += settings.ALLOWED_RESULT_HOSTS
        # There is no form for IPv6 addresses in a policy.
        sources += ["https:", *(host for host in hosts if "[" not in host)]
    return list(dict.fromkeys(sources))


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else ""
