"""`denoise_doctor`: finds out what is wrong with an installation, and says what to do.

In: settings and every part that we talk to. Out: findings with remedies. Start at `run`; each
other module has the diagnosis of one subject.
"""
