"""Files that arrive in parts over tus, until each is whole and becomes a job.

In: HTTP requests with parts. Out: one whole file for `jobs.actions.submit`. Start at `tus`.
"""
