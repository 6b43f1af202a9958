"""Figure 6.1: the limb, center-out paths and torques of AHF's network and L-BFGS's, with iLQR's.

    python figures/fig6_1.py
    python figures/fig6_1.py --smoke --out /tmp/figures

Drawn from the networks that come with the package, in less than a minute; writes fig6_1.pdf and
fig6_1.png beside itself, or into `--out`. `--networks FOLDER` takes run folders as `neuromotor
reproduce chapter6 --from-scratch` leaves them.
"""

from neuromotor.reproduction.figures import script

if __name__ == "__main__":
    script(__file__, __doc__)
