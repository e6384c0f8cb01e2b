from tests.api.importing import tables, worker

__all__ = ["tables", "worker"]
