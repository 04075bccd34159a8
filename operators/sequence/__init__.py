"""`sequence`: steps of one key that follow one another within a time, or one of which is missing."""

from operators.sequence.operator import Sequence, sequence_operator
from operators.sequence.steps import STEP, StepSpec, column_of_step

__all__ = ["STEP", "Sequence", "StepSpec", "column_of_step", "sequence_operator"]
