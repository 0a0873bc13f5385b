# SPDX-License-Identifier: MIT
"""Methods of quantisation-aware training for few bits, one file each; "lsq+distillation" combines two of them."""

from fixedpoint_nn.training.methods.binary import Binary, Ternary
from fixedpoint_nn.training.methods.clipping import LearnedClipping
from fixedpoint_nn.training.methods.distillation import Distillation
from fixedpoint_nn.training.methods.learned_steps import LearnedSteps
from fixedpoint_nn.training.methods.method import Method, Place, Stage
from fixedpoint_nn.training.methods.moments import Moments
from fixedpoint_nn.training.methods.names import METHODS, JoinedMethods, joined
from fixedpoint_nn.training.methods.progressive import ProgressiveBits
from fixedpoint_nn.training.methods.stochastic import StochasticRounding
from fixedpoint_nn.training.methods.straight_through import StraightThrough

__all__ = [
    "METHODS",
    "Binary",
    "Distillation",
    "JoinedMethods",
    "LearnedClipping",
    "LearnedSteps",
    "Method",
    "Moments",
    "Place",
    "ProgressiveBits",
    "Stage",
    "StochasticRounding",
    "StraightThrough",
    "Ternary",
    "joined",
]
