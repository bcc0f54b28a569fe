# One image for every service: `docker run kinfold writer serve --host 0.0.0.0`, `... projector run`, `... bridge ensure`.
# Everything comes from the two lock files, hash by hash.
ARG PYTHON=3.13.9-slim-bookworm

FROM python:${PYTHON} AS wheel
WORKDIR /src
# The build backend is pinned in the full lock; this stage is thrown away.
COPY requirements.lock ./
RUN python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock
COPY pyproject.toml README.md ./
COPY aws_client aws_client
COPY ledger ledger
COPY faust_kinesis faust_kinesis
COPY writer writer
COPY stream_bridge stream_bridge
COPY projector projector
COPY kinfold kinfold
RUN python -m pip wheel --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir /wheels .

FROM python:${PYTHON} AS install
RUN python -m venv /opt/kinfold
COPY requirements-runtime.lock ./
RUN /opt/kinfold/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements-runtime.lock
COPY --from=wheel /wheels /wheels
RUN /opt/kinfold/bin/python -m pip install --no-cache-dir --disable-pip-version-check --no-deps /wheels/*.whl \
    && /opt/kinfold/bin/python -m compileall -q /opt/kinfold/lib

FROM python:${PYTHON}
COPY --from=install /opt/kinfold /opt/kinfold
ENV PATH=/opt/kinfold/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 KINFOLD_LOG_FORMAT=json
RUN useradd --system --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin kinfold
USER 10001
# The root file system may be read-only; what is written (the KCL's properties file and socket) goes to /tmp. As a
# volume it keeps its mode: ECS would mount an empty one that only root can write to.
VOLUME ["/tmp"]
WORKDIR /tmp
EXPOSE 8080 6066 6067 6068
ENTRYPOINT ["kinfold"]
CMD ["--help"]
