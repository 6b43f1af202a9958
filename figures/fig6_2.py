"""Figure 6.2: loss against calls of all optimizers on center-out.

    python figures/fig6_2.py
    python figures/fig6_2.py --smoke --out /tmp/figures

Drawn from the histories that come with the package, in less than a minute; writes fig6_2.pdf and
fig6_2.png beside itself, or into `--out`. `--networks FOLDER` takes run folders as `neuromotor
reproduce chapter6 --from-scratch` leaves them.
"""

from neuromotor.reproduction.figures import script

if __name__ == "__main__":
    script(__file__, __doc__)
