"""`export`: networks for servers and devices that have no cvzoo."""

from cvzoo.exporting.errors import ExportError
from cvzoo.exporting.writing import export

__all__ = ["ExportError", "export"]
