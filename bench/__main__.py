"""`python -m bench [fanout|latency|engine|quality|soak …]`: all but quality and soak by default."""

from __future__ import annotations

import argparse


def main() -> None:
    """Run the chosen benches one after another."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("what", nargs="*", default=[], help="names of benches")
    parser.add_argument("--viewers", type=int, default=500)
    parser.add_argument("--jobs", type=int, default=3000, help="of the soak")
    options = parser.parse_args()
    chosen = options.what or ["engine", "latency", "fanout"]
    for name in chosen:
        if name == "fanout":
            from bench import fanout

            fanout.run(options.viewers)
        elif name == "latency":
            from bench import latency

            latency.run()
        elif name == "engine":
            from bench import engine

            engine.run()
        elif name == "quality":
            from bench import quality

            quality.run()
        elif name == "soak":
            from bench import soak

            soak.run(options.jobs)
        else:
            parser.error(f"unknown bench {name!r}")


if __name__ == "__main__":
    main()
