"""What every stage stands on: database threads, tasks, back-off, logs, metrics.

In: functions and coroutines. Out: their results, whatever dies meanwhile. Start at `database`.
"""
