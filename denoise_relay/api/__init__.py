"""The upstream's contract, served from our own jobs to programs that hold an API key.

In: HTTP requests with `x-api-key`. Out: JSON, event streams, signed URLs. Start at `views`.
"""
