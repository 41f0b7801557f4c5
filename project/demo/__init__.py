"""The demo: a voice-isolation service and, in front of it, the site that people use.

Both are this same code base; what differs is their environment (`sites`). One process
(`python manage.py demo`) prepares, starts, watches and ends the two.
"""

from __future__ import annotations
