"""How a job is done. `base` is the manual; `upstream` and `local` are the two we ship."""
