"""The usual stack behind the servers that people put models behind, one file each."""
