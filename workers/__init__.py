"""What runs in the Pyodide worker of a `services.worker_manager.WorkerManager`."""
