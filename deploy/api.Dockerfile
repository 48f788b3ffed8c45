# syntax=docker/dockerfile:1
# The API; and, with another entrypoint, what prepares the database.
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS build
WORKDIR /build
COPY deploy/locks/build.lock deploy/locks/server.lock ./
RUN pip install --no-cache-dir --require-hashes --requirement build.lock \
    && python -m venv /opt/turnout \
    && /opt/turnout/bin/pip install --no-cache-dir --require-hashes --requirement server.lock
COPY pyproject.toml README.md ./
COPY api ./api
COPY db ./db
COPY tasks ./tasks
COPY turnout ./turnout
COPY workers ./workers
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir wheels . \
    && /opt/turnout/bin/pip install --no-cache-dir --no-deps --no-index wheels/*.whl

FROM python:${PYTHON}
# One user in every image, so that they can share volumes; a new volume takes its owner from these directories.
RUN groupadd --gid 10001 turnout \
    && useradd --uid 10001 --gid 10001 --home-dir /var/lib/turnout --shell /usr/sbin/nologin turnout \
    && install -d -o turnout -g turnout -m 0700 /var/lib/turnout /var/lib/turnout/store
COPY --from=build /opt/turnout /opt/turnout
ENV PATH=/opt/turnout/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 TURNOUT_HOME=/var/lib/turnout
WORKDIR /var/lib/turnout
USER 10001:10001
EXPOSE 8400
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-P", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8400/readyz', timeout=4)"]
ENTRYPOINT ["python", "-P", "-m", "api"]
