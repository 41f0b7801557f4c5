"""`python -m bench [fanout|latency|pubsub|engine|quality …]`: all but quality by default."""

from __future__ import annotations

import argparse


def main() -> None:
    """Run the chosen benches one after another."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    known = "fanout, latency, pubsub, engine, quality"
    parser.add_argument("what", nargs="*", default=[], help=known)
    parser.add_argument("--viewers", type=int, default=500)
    options = parser.parse_args()
    chosen = options.what or ["engine", "latency", "pubsub", "fanout"]
    for name in chosen:
        if name == "fanout":
            from bench import fanout

            fanout.run(options.viewers)
        elif name == "latency":
            from bench import latency

            latency.run()
        elif name == "pubsub":
            from bench import pubsub

            pubsub.run()
        elif name == "engine":
            from bench import engine

            engine.run()
        elif name == "quality":
            from bench import quality

            quality.run()
        else:
            parser.error(f"unknown bench {name!r}")


if __name__ == "__main__":
    main()
