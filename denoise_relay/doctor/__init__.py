"""What is wrong with this installation, and how to mend it: probes that talk to everything.

Each module holds probes of one subject; `examination` runs them with a time limit each.
"""
