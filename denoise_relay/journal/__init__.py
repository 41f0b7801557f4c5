"""The journal: what happened to each job, committed, numbered and fenced by a lease.

In: facts from runners and people. Out: `Event` rows, then their publication. Start at `writer`.
"""
