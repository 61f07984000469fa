"""What the node image's tree (`devcluster/node`) must be like for its systemd to start what it should."""

from devcluster.settings import PACKAGE

UNITS = PACKAGE / "node" / "etc" / "systemd" / "system"


def test_every_unit_is_wanted_by_a_link_as_systemctl_enable_makes_it() -> None:
    """A copy in its place, which some ways of carrying a tree about make of a link, is ignored by systemd."""
    wanted = sorted((UNITS / "multi-user.target.wants").iterdir())

    assert [one.name for one in wanted] == sorted(unit.name for unit in UNITS.glob("*.service"))
    assert [str(one.readlink()) for one in wanted] == [f"../{one.name}" for one in wanted]
