"""Weights of networks of other libraries, for models of the same architecture."""

from cvzoo.importers.importing import ImportReport, import_cplxmodule
