"""Blind comparisons: staff listen to two variants of the same recordings, and vote.

In: jobs that staff selected, and the answers of listeners. Out: pages, results, CSV. Start at
`making` (a comparison is made) and `views` (it is listened to).
"""
