"""What every stage uses: database threads, background tasks, back-off, logs, metrics.

In: functions and coroutines to run. Out: their results. Start at `database`.
"""
