"""The child process of the engine, which alone loads native code and opens hostile files.

In: a command line and a file. Out: lines of JSON (`engine.protocol`), a FLAC file. Start at
`__main__`.
"""
