"""Check that a wheel holds the package, all of it, and nothing else."""

import sys
import zipfile
from pathlib import Path

wheel = Path(sys.argv[1])
names = zipfile.ZipFile(wheel).namelist()
package = {name for name in names if name.startswith("neuromotor/")}
source = Path(__file__).parents[1]
expected = {
    path.relative_to(source).as_posix()
    for path in (source / "neuromotor").rglob("*")
    if path.is_file() and "__pycache__" not in path.parts
}
foreign = [n for n in names if n not in package and ".dist-info/" not in n]
missing, extra = sorted(expected - package), sorted(package - expected)
if foreign or missing or extra:
    sys.exit(f"{wheel.name}: foreign {foreign}, missing {missing}, extra {extra}")
if not any(name.endswith(".dist-info/licenses/LICENSE") for name in names):
    sys.exit(f"{wheel.name}: no LICENSE")
print(f"{wheel.name}: {len(package)} files, all of the package and nothing else")
