"""What the README shows runs as it stands, at a smaller budget."""

import re
from pathlib import Path

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_the_python_example_runs(tmp_path, monkeypatch, capsys):
    code, environments = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert "calls=2000" in code
    monkeypatch.chdir(tmp_path)
    scope = {}
    exec(code.replace("calls=2000", "calls=3"), scope)
    assert scope["trajectory"].states.shape == (64, 41, 4)
    assert (tmp_path / "reach.safetensors").is_file()
    assert capsys.readouterr().out.startswith("ilqr 8.95")
    exec(environments, scope)
    assert scope["arms"].reset(seed=0)[0].shape == (4096, 9)


def test_every_link_leads_somewhere():
    root = Path(__file__).parents[1]
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    missing = [link for link in links if not (root / link).exists()]
    assert not missing
