"""The catalog: which files there are, what is embedded of each, and what became of every try.

``Catalog`` opens the database; the verbs live in ``assets``, ``segments``, ``spaces`` and ``runs`` and take a
connection, so that the caller decides what one transaction holds.
"""

from searchkit.catalog.catalog import CATALOG_FILE, Catalog

__all__ = ["CATALOG_FILE", "Catalog"]
