"""What people and programs do with jobs: submit, cancel, retry, and delete old ones.

In: a file or a job. Out: rows, their first or last events, stored files. Start at `actions`.
"""
