"""Sends events to the people who watch: WebSockets and Server-Sent Events.

In: published frames and the journal. Out: messages to each viewer. Start at `feed`, which feeds
mailboxes; `watcher` empties one for a socket or a stream.
"""
