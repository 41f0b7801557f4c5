"""A whole installation on one machine, started, watched and ended by one process.

`python manage.py demo` (`demo`): a voice-isolation service and, in front of it, the site that
people use. `python manage.py cluster` (`cluster`): the same with several web processes and
workers on PostgreSQL and Valkey. Service and site are this same code base; what differs is
their environment (`sites`).
"""

from __future__ import annotations
