"""The player on a finished job's page, by its controls, and by what it says to scripts."""

from __future__ import annotations

from typing import Any, Literal

from tests.browsers.drivers.tab import Tab

Side = Literal["original", "denoised", "removed", "mix"]
SIDES: tuple[Side, ...] = ("original", "removed", "mix", "denoised")
PLAYER = "document.querySelector('denoise-player')"

#: Measures what goes to the loudspeakers, from now on.
LISTEN = f"""
() => {{
  const {{ output }} = {PLAYER};
  const options = {{ fftSize: 8192, smoothingTimeConstant: 0 }};
  const analyser = new AnalyserNode(output.context, options);
  output.connect(analyser);
  window.levelAt = (hertz) => {{
    const levels = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(levels);
    const bin = Math.round((hertz * analyser.fftSize) / output.context.sampleRate);
    return Math.max(...levels.subarray(bin - 3, bin + 4));
  }};
}}
"""
#: Whether each of the tones that are meant to be heard is, and none of the others.
HEARD = """
(heard, silent) => heard.every((hertz) => window.levelAt(hertz) > -45)
  && silent.every((hertz) => window.levelAt(hertz) < -80)
"""
STATE = f"""
(tones) => {{
  const {{ side, position, playing, output }} = {PLAYER};
  const levels = tones.map((hertz) => [hertz, String(window.levelAt(hertz))]);
  return {{ side, position, playing, context: output.context.state, levels }};
}}
"""


class PlayerPage:
    """A page whose player has the comparison file, in a tab."""

    def __init__(self, tab: Tab, url: str) -> None:
        self.tab = tab
        tab.goto(url)
        tab.wait_until(f"() => {PLAYER}?.dataset.ready !== undefined && {PLAYER}.duration > 0")

    # What people do

    def press_play(self) -> None:
        """Click the button that plays, or pauses."""
        self.tab.click("[data-part=play]")

    def choose_side(self, side: Side) -> None:
        """Click on one of the four."""
        self.tab.click(f"label:has(input[data-side={side}])")
        self.wait_for("side", side)

    # What the player says

    def get(self, name: str) -> Any:
        """A property of the element."""
        return self.tab.evaluate(f"(name) => {PLAYER}[name]", name)

    @property
    def position(self) -> float:
        return float(self.get("position"))

    def wait_for(self, name: str, value: object) -> None:
        """Wait until a property has a value."""
        self.tab.wait_until(f"(name, value) => {PLAYER}[name] === value", name, value)

    def wait_until_beyond(self, seconds: float) -> None:
        """Wait until it has been played beyond a position."""
        self.tab.wait_until(f"(seconds) => {PLAYER}.position > seconds", seconds)

    # What is heard

    def listen(self) -> None:
        """Begin to measure what is heard; it has to play."""
        self.tab.evaluate(LISTEN)

    def wait_until_heard(self, *heard: int, silent: tuple[int, ...] = ()) -> None:
        """Wait until tones of these frequencies are heard, and the silent ones are not."""
        try:
            self.tab.wait_until(HEARD, heard, silent)
        except TimeoutError as error:
            error.add_note(str(self.tab.evaluate(STATE, [*heard, *silent])))
            raise
