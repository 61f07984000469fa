"""Test servers for the sources."""

from pathlib import Path

import pytest

from tests.unit.web import TestAuthority, make_authority


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TestAuthority:
    """A CA that this process trusts, as an administrator's bundle would be: by SSL_CERT_FILE."""
    made = make_authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.ca_file))
    return made
