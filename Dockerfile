# The one image of Keelway: the operator, and the containers of a build Job (`python -m keelway.builder ...`).
# Made with BuildKit or with Docker's older builder alike: docker build -t keelway/operator:dev .
#
# Slow layers first: the libraries change with constraints.txt, the code with every edit.
FROM python:3.11-slim AS libraries
RUN python3 -m venv --without-pip /opt/keelway
COPY constraints.txt pyproject.toml /src/
# What the package and its build backend require, read from pyproject.toml, the one list of it.
RUN python3 -c "import tomllib; p = tomllib.load(open('/src/pyproject.toml', 'rb')); print(*p['project']['dependencies'], sep='\n')" > /tmp/requirements.txt \
    && python3 -m pip --python /opt/keelway/bin/python install --no-cache-dir --no-compile \
       -c /src/constraints.txt -r /tmp/requirements.txt \
    && find /opt/keelway -name tests -type d -path '*/site-packages/*' -prune -exec rm -rf {} + \
    && /opt/keelway/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/keelway/lib

FROM libraries AS code
RUN python3 -m venv /opt/build && /opt/build/bin/pip install --no-cache-dir -c /src/constraints.txt hatchling
COPY README.md /src/
COPY operator /src/operator
RUN /opt/build/bin/pip install --no-cache-dir --no-index --no-deps --no-build-isolation --no-compile \
       --target /opt/code /src \
    && /opt/keelway/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/code

FROM python:3.11-slim
# buildctl talks to buildkitd; nothing else of BuildKit is needed here, and no git: see operator/keelway/sources.
COPY --from=moby/buildkit:v0.34.2 /usr/bin/buildctl /usr/bin/buildctl
COPY --from=libraries /opt/keelway /opt/keelway
COPY --from=code /opt/code /opt/keelway/code
# The byte code is in the image and unchecked against its source: a start reads it from a read-only file system.
ENV PATH=/opt/keelway/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/keelway/code \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 65532:65532
ENTRYPOINT ["python", "-m", "keelway"]
