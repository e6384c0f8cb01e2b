"""Measures how many labelled replies the workflow `intent_classification` labels correctly."""
