"""The annotators' queue and page: samples are seeded, people answer, a lead decides and closes, a Table comes out.

All state is in one database (SQLite in WAL mode, or PostgreSQL by URL), none in the process. Nothing here imports Prefect.
"""
