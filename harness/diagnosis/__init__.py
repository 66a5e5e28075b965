"""Why cells failed: from places and readings to one cause a cell, and one diagnosis a fault.

Pure, and nothing is guessed: a cause is given where a reading, or the cell's own path, holds the
fact. `place` says where something was lost; `checks` asks there, in order, what the readings hold.
"""

from harness.diagnosis.diagnose import Diagnosed, Lost, diagnose, look, together
from harness.diagnosis.unreached import unreached

__all__ = ["Diagnosed", "Lost", "diagnose", "look", "together", "unreached"]
