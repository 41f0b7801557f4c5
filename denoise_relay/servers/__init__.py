"""What each ASGI server needs to serve us: start and stop, limits, back-pressure.

In: a server's start, requests, signals. Out: a worker that runs, viewers that come back. Start
at `lifespan`.
"""
