# syntax=docker/dockerfile:1
# A worker of the CPU queue: its runners score tables with H2O's library, in a JVM of their own, and infer.
ARG PYTHON=3.11-slim-bookworm
# Where torch is without CUDA, whose libraries would take gigabytes here.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

FROM python:${PYTHON} AS build
ARG TORCH_INDEX
WORKDIR /build
COPY requirements/torch.txt deploy/locks/build.lock deploy/locks/worker-cpu.lock ./
RUN pip install --no-cache-dir --require-hashes --requirement build.lock \
    && python -m venv /opt/turnout \
    && /opt/turnout/bin/pip install --no-cache-dir --extra-index-url "${TORCH_INDEX}" --requirement torch.txt \
    && /opt/turnout/bin/pip install --no-cache-dir --require-hashes --requirement worker-cpu.lock
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
    && install -d -o turnout -g turnout -m 0700 /var/lib/turnout /var/lib/turnout/run /var/lib/turnout/store \
        /var/lib/turnout/cache /var/lib/turnout/cache/models
COPY --from=build /opt/turnout /opt/turnout
ENV PATH=/opt/turnout/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 TURNOUT_HOME=/var/lib/turnout
WORKDIR /var/lib/turnout
USER 10001:10001
HEALTHCHECK --interval=30s --timeout=20s --start-period=60s --retries=3 CMD ["python", "-P", "-m", "workers.alive"]
ENTRYPOINT ["python", "-P", "-m", "workers"]
CMD ["--queue", "cpu"]
