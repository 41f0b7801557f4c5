"""Stored recordings: written by jobs and runners, played over HTTP with ranges.

In: files and HTTP requests. Out: files in Django's storage, and their bytes. Start at `views`.
"""
