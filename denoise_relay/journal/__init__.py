"""The journal: what happened to each job, committed, numbered and fenced by a lease.

In: facts that runners report. Out: `Event` rows, then their publication. Start at `writer`.
"""
