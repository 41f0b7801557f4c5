"""Tells all processes of committed events and of new work, over the channel layer.

In: events after their commit. Out: calls of listeners here and elsewhere. Start at `publisher`.
"""
