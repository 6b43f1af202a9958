"""Kalidindi et al. (2021) again: networks that hold posture and reach, held against monkeys."""
