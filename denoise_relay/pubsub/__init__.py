"""Publishes committed events and new work to all processes, over the channel layer.

In: events after their commit. Out: calls of receivers here and elsewhere. Start at `publisher`.
"""
