"""The Keras tutorial on learning-rate dynamics: its experiments, TensorFlow's decay policies, and the claims judged."""

from jaxlr.studies.claims import CLAIMS, Claim, Verdict, judge
from jaxlr.studies.experiments import STUDIES, Study, files, order, run, write, write_study, write_summary

__all__ = [
    "CLAIMS",
    "STUDIES",
    "Claim",
    "Study",
    "Verdict",
    "files",
    "judge",
    "order",
    "run",
    "write",
    "write_study",
    "write_summary",
]
