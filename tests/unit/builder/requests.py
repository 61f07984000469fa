"""Build requests for the tests."""

from keelway.api.buildrequest import BuildkitEndpoint, BuildRequest, Policy, RequestFile, SourceRequest

FILES = SourceRequest(files=(RequestFile(name="Dockerfile", content="FROM scratch"),))


def request_for(source: SourceRequest, **more: object) -> BuildRequest:
    """A request for this source that may fetch from 127.0.0.1; `more` are its other fields."""
    made = BuildRequest(
        source=source,
        push_reference="localhost:1/team/app:build-1",
        policy=Policy(registry="localhost:1", own_repositories="localhost:1/team/"),
        cache_namespace="uid-1",
        buildkit=BuildkitEndpoint(address="tcp://127.0.0.1:1", server_name="buildkitd"),
        allowed_networks=("127.0.0.0/8", "::1/128"),
    )
    return made.model_copy(update=more)
