"""The capacity model of docs/scaling.md. Start at `capacity.py`."""
