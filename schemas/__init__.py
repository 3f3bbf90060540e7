"""What a row is: pyarrow schemas, documented field by field. Nothing of ours is imported here."""
