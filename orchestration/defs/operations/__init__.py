"""Connects the pipeline to the operational database: resources, jobs for the worker, cross checks and schedules."""
