"""What is here runs under other interpreters or by itself, but for `test_*.py`."""

collect_ignore = ["s3_server.py"]
