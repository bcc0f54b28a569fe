"""The mutants, all of them: each must be found by some invariant within ten minutes of simulation."""

from __future__ import annotations

from typing import Final

from simulation.mutants.consuming import CONSUMING
from simulation.mutants.mutant import Mutant
from simulation.mutants.operating import OPERATING
from simulation.mutants.projecting import PROJECTING
from simulation.mutants.restoring import RESTORING
from simulation.mutants.sending import SENDING
from simulation.mutants.writing import WRITING

MUTANTS: Final[tuple[Mutant, ...]] = (*WRITING, *PROJECTING, *CONSUMING, *OPERATING, *SENDING, *RESTORING)
