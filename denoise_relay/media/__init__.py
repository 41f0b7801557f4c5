"""Recordings in Django's storage: written by jobs and runners, served over HTTP with ranges.

In: files and HTTP requests. Out: stored files and their bytes. Start at `views`.
"""
