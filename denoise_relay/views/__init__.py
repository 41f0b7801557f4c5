"""The pages, the JSON that their scripts read, and what operators probe.

In: HTTP requests of people and of monitoring. Out: pages and JSON. Start at `upload`.
"""
