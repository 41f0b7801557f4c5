"""Brings events to the people who watch: WebSockets and Server-Sent Events.

In: published frames and the journal. Out: messages to each viewer. Start at `feed`.
"""
