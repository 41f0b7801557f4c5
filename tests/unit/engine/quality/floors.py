"""What each preset reached when this was written, less what a new version may cost.

That is 0.15 PESQ, 0.03 STOI and 1 dB. `best` first, then `fast`. `python -m bench quality` prints
the present scores.
"""

from __future__ import annotations

from tests.unit.engine.quality.measures import Score

FLOORS: dict[str, tuple[Score, Score]] = {
    "white -5 dB": (
        Score(pesq=1.47, stoi=0.87, si_sdr=7.5),
        Score(pesq=1.24, stoi=0.82, si_sdr=5.4),
    ),
    "white 5 dB": (
        Score(pesq=2.01, stoi=0.94, si_sdr=13.4),
        Score(pesq=1.72, stoi=0.93, si_sdr=11.8),
    ),
    "white 15 dB": (
        Score(pesq=3.07, stoi=0.96, si_sdr=19.5),
        Score(pesq=2.68, stoi=0.95, si_sdr=18.4),
    ),
    "pink -5 dB": (
        Score(pesq=1.00, stoi=0.74, si_sdr=3.1),
        Score(pesq=1.00, stoi=0.67, si_sdr=1.0),
    ),
    "pink 5 dB": (
        Score(pesq=1.71, stoi=0.91, si_sdr=10.8),
        Score(pesq=1.44, stoi=0.88, si_sdr=9.0),
    ),
    "pink 15 dB": (
        Score(pesq=2.49, stoi=0.95, si_sdr=16.6),
        Score(pesq=2.17, stoi=0.93, si_sdr=12.7),
    ),
    "hum -5 dB": (
        Score(pesq=1.33, stoi=0.80, si_sdr=5.2),
        Score(pesq=1.52, stoi=0.81, si_sdr=4.7),
    ),
    "hum 5 dB": (
        Score(pesq=1.95, stoi=0.91, si_sdr=11.0),
        Score(pesq=2.32, stoi=0.91, si_sdr=10.9),
    ),
    "hum 15 dB": (
        Score(pesq=2.40, stoi=0.93, si_sdr=14.3),
        Score(pesq=3.02, stoi=0.95, si_sdr=16.0),
    ),
    "babble 15 dB": (
        Score(pesq=1.44, stoi=0.89, si_sdr=10.0),
        Score(pesq=1.45, stoi=0.89, si_sdr=10.2),
    ),
    "clicks -5 dB": (
        Score(pesq=1.57, stoi=0.89, si_sdr=9.9),
        Score(pesq=1.00, stoi=0.82, si_sdr=6.7),
    ),
    "clicks 5 dB": (
        Score(pesq=2.07, stoi=0.92, si_sdr=13.3),
        Score(pesq=1.82, stoi=0.91, si_sdr=12.2),
    ),
    "clicks 15 dB": (
        Score(pesq=2.49, stoi=0.93, si_sdr=15.5),
        Score(pesq=2.67, stoi=0.94, si_sdr=16.2),
    ),
    "pink 5 dB, at -23 | -inf dBFS": (
        Score(pesq=1.71, stoi=0.91, si_sdr=10.8),
        Score(pesq=1.44, stoi=0.88, si_sdr=9.0),
    ),
    "white 5 dB, 16 kHz": (
        Score(pesq=1.68, stoi=0.92, si_sdr=12.7),
        Score(pesq=1.70, stoi=0.93, si_sdr=12.0),
    ),
    "white 5 dB, 22.05 kHz": (
        Score(pesq=1.74, stoi=0.93, si_sdr=12.9),
        Score(pesq=1.77, stoi=0.93, si_sdr=12.1),
    ),
    "white 5 dB, 44.1 kHz": (
        Score(pesq=1.99, stoi=0.94, si_sdr=13.4),
        Score(pesq=1.81, stoi=0.93, si_sdr=11.8),
    ),
    "white 5 dB, 96 kHz": (
        Score(pesq=2.01, stoi=0.94, si_sdr=13.4),
        Score(pesq=1.80, stoi=0.93, si_sdr=12.1),
    ),
    "white 5 dB, 192 kHz": (
        Score(pesq=2.01, stoi=0.94, si_sdr=13.4),
        Score(pesq=1.80, stoi=0.93, si_sdr=12.1),
    ),
    "pink 5 dB, 8 kHz, narrowband": (
        Score(pesq=1.57, stoi=0.80, si_sdr=5.4),
        Score(pesq=1.57, stoi=0.80, si_sdr=5.4),
    ),
    "pink 15 dB, 8 kHz, narrowband": (
        Score(pesq=2.22, stoi=0.87, si_sdr=7.2),
        Score(pesq=2.22, stoi=0.87, si_sdr=7.2),
    ),
    "pink 5 dB, clipped": (
        Score(pesq=1.71, stoi=0.91, si_sdr=10.8),
        Score(pesq=1.45, stoi=0.88, si_sdr=9.1),
    ),
    # Of `cases.HOPELESS_CASES`: no worse than this.
    "babble -5 dB": (
        Score(pesq=1.00, stoi=0.30, si_sdr=-12.1),
        Score(pesq=1.00, stoi=0.32, si_sdr=-13.7),
    ),
    "babble 5 dB": (
        Score(pesq=1.03, stoi=0.72, si_sdr=1.8),
        Score(pesq=1.02, stoi=0.69, si_sdr=0.6),
    ),
    "pink 15 dB, narrowband": (
        Score(pesq=1.41, stoi=0.78, si_sdr=4.1),
        Score(pesq=1.00, stoi=0.49, si_sdr=-13.2),
    ),
    "pink 30 dB, reverberant": (
        Score(pesq=1.22, stoi=0.83, si_sdr=1.0),
        Score(pesq=1.30, stoi=0.83, si_sdr=0.8),
    ),
}
