"""Figure 6.5: networks trained on the DDN task, on center-out reaches.

    python figures/fig6_5.py
    python figures/fig6_5.py --smoke --out /tmp/figures

Drawn from the networks that come with the package, in less than a minute; writes fig6_5.pdf and
fig6_5.png beside itself, or into `--out`. `--networks FOLDER` takes run folders as `neuromotor
reproduce chapter6 --from-scratch` leaves them.
"""

from neuromotor.reproduction.figures import script

if __name__ == "__main__":
    script(__file__, __doc__)
