"""The upstream's HTTP API, served from our own jobs to programs that have an API key.

In: HTTP requests with `x-api-key`. Out: JSON, event streams, signed URLs. Start at `views`.
"""
