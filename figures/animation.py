"""Animation: an arm that reaches under a disturbance, and its network's hidden units.

    python figures/animation.py
    python figures/animation.py --smoke --out /tmp/figures

Drawn from the networks that come with the package, in less than a minute; writes animation.gif
beside itself, or into `--out`. `--networks FOLDER` takes run folders as `neuromotor reproduce
chapter6 --from-scratch` leaves them.
"""

from neuromotor.reproduction.figures import script

if __name__ == "__main__":
    script(__file__, __doc__)
