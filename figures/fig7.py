"""Figure 7: a network against optimal feedback control and online planning, under a load.

    python figures/fig7.py
    python figures/fig7.py --smoke --out /tmp/figures

Drawn from the networks that come with the package, in less than a minute; writes fig7.pdf and
fig7.png beside itself, or into `--out`. `--networks FOLDER` takes run folders as `neuromotor
reproduce chapter6 --from-scratch` leaves them.
"""

from neuromotor.reproduction.figures import script

if __name__ == "__main__":
    script(__file__, __doc__)
