"""Runs jobs: one supervisor per process, one runner per job.

In: queued jobs that nobody runs. Out: facts for the journal, stored results. Start at
`supervisor`.
"""
