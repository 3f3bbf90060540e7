"""Builds Step graphs from a config, runs them (directly or as Prefect flows) and offers the command line."""
