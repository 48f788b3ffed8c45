# syntax=docker/dockerfile:1
# The H2O cluster, with the keeper that replaces a JVM that dies or hangs.
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS build
WORKDIR /build
COPY deploy/locks/build.lock deploy/locks/h2o.lock ./
RUN pip install --no-cache-dir --require-hashes --requirement build.lock \
    && python -m venv /opt/turnout \
    && /opt/turnout/bin/pip install --no-cache-dir --require-hashes --requirement h2o.lock
COPY pyproject.toml README.md ./
COPY api ./api
COPY db ./db
COPY tasks ./tasks
COPY turnout ./turnout
COPY workers ./workers
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir wheels . \
    && /opt/turnout/bin/pip install --no-cache-dir --no-deps --no-index wheels/*.whl

FROM python:${PYTHON}
# XGBoost computes on one core only without the OpenMP library. A version would be gone from the mirrors soon.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/*
# One user in every image, so that they can share volumes; a new volume takes its owner from these directories.
RUN groupadd --gid 10001 turnout \
    && useradd --uid 10001 --gid 10001 --home-dir /var/lib/turnout --shell /usr/sbin/nologin turnout \
    && install -d -o turnout -g turnout -m 0700 /var/lib/turnout /var/lib/turnout/h2o
COPY --from=build /opt/turnout /opt/turnout
ENV PATH=/opt/turnout/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 TURNOUT_HOME=/var/lib/turnout
WORKDIR /var/lib/turnout
USER 10001:10001
EXPOSE 8402
# The file is there while the keeper finds the cluster healthy.
HEALTHCHECK --interval=5s --timeout=5s --start-period=120s --retries=3 CMD ["test", "-f", "/var/lib/turnout/h2o/cluster.json"]
ENTRYPOINT ["python", "-P", "-m", "workers.h2o_keeper"]
CMD ["--home", "/var/lib/turnout", "--port", "8402"]
