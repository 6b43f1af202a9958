"""Generative models of binary sequences: the temporal and the recurrent temporal RBM."""

from neuromotor.generative.fitting import Draw, Fitting, Training, begin, fit, taken_from
from neuromotor.generative.gradients import (
    ContrastiveDivergence,
    Enumeration,
    Gradient,
    NegativePhase,
    gradient,
)
from neuromotor.generative.likelihood import Likelihood, independent_log_likelihood, log_likelihood
from neuromotor.generative.model import KINDS, TemporalRBM, new_model
from neuromotor.generative.model_file import load_model, load_training, save_model, save_training
from neuromotor.generative.using import Film, denoise, flipped, predict, sample

__all__ = [
    "KINDS",
    "TemporalRBM",
    "new_model",
    "ContrastiveDivergence",
    "Enumeration",
    "Gradient",
    "NegativePhase",
    "gradient",
    "Draw",
    "Fitting",
    "Training",
    "begin",
    "fit",
    "taken_from",
    "Film",
    "denoise",
    "flipped",
    "predict",
    "sample",
    "Likelihood",
    "independent_log_likelihood",
    "log_likelihood",
    "load_model",
    "load_training",
    "save_model",
    "save_training",
]
