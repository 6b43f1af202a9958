"""Figure 8: hidden dynamics of trained networks: rotations, preferred directions, fixed points.

    python figures/fig8.py
    python figures/fig8.py --smoke --out /tmp/figures

Drawn from the networks that come with the package, in less than a minute; writes fig8.pdf and
fig8.png beside itself, or into `--out`. `--networks FOLDER` takes run folders as `neuromotor
reproduce chapter6 --from-scratch` leaves them.
"""

from neuromotor.reproduction.figures import script

if __name__ == "__main__":
    script(__file__, __doc__)
