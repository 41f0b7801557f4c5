"""Adapts each ASGI server: start and stop, limits, back-pressure.

In: a server's start, requests, signals. Out: a running worker, viewers that reconnect after a
stop. Start at `lifespan`.
"""
