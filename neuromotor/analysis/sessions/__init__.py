"""Sessions as labs have them, made into recordings: one reader a format, one way into trials."""

from neuromotor.analysis.sessions.file_reading import from_mat, from_npz
from neuromotor.analysis.sessions.neo_files import from_neo_file
from neuromotor.analysis.sessions.nwb_reading import from_nwb
from neuromotor.analysis.sessions.object_reading import from_neo, from_pynapple, from_spikes
from neuromotor.analysis.sessions.options import FileNames, ImportOptions
from neuromotor.analysis.sessions.sources import import_recording

__all__ = [
    "FileNames",
    "ImportOptions",
    "from_mat",
    "from_neo",
    "from_neo_file",
    "from_npz",
    "from_nwb",
    "from_pynapple",
    "from_spikes",
    "import_recording",
]
