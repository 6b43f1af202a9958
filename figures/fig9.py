"""Figure 9: speed against other people's code, as `neuromotor bench --json` measured it.

    python figures/fig9.py
    python figures/fig9.py --smoke --out /tmp/figures

Drawn, in less than a minute; writes fig9.pdf and fig9.png beside itself, or into `--out`.
`--networks FOLDER` takes run folders as `neuromotor reproduce chapter6 --from-scratch` leaves
them.
"""

from neuromotor.reproduction.figures import script

if __name__ == "__main__":
    script(__file__, __doc__)
