"""What people and programs do with jobs: submit, cancel, retry, delete what is old.

In: a file, or a job and a wish. Out: rows, first events and stored files. Start at `actions`.
"""
