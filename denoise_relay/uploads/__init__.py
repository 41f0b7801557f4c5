"""Resumable uploads (tus): files that arrive in parts, until each is complete and becomes a job.

In: HTTP requests with parts. Out: a complete file for `jobs.actions.asubmit`. Start at `tus`.
"""
