"""The process of one worker: `denoise_worker`, for as long as its parent lives.

`python -m project.demo.worker`; standard input must be a pipe from the parent.
"""

from __future__ import annotations

from django.core.management import execute_from_command_line

from project.demo.lifeline import end_with_parent

if __name__ == "__main__":
    end_with_parent()
    execute_from_command_line(["manage.py", "denoise_worker"])
