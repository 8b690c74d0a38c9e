# The image of `prepare`, and of nothing else: it holds no torch.
#
# `make images` builds it. Another base with Python 3.11 to 3.13 goes in as the build argument BASE. A machine with
# certificates of its own hands them in as the build secret `ca`; nothing of that stays in the image.
ARG BASE=python:3.11-slim

# hadolint ignore=DL3006
FROM ${BASE} AS tools
ARG UV_VERSION=0.13.8
ARG PIP_INDEX_URL
RUN --mount=type=secret,id=ca \
    if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi \
    && python3 -m venv /opt/uv \
    && /opt/uv/bin/python -m pip install --no-cache-dir --disable-pip-version-check "uv==${UV_VERSION}"
ENV PATH=/opt/uv/bin:$PATH UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never

# Everything but the code. This layer is nearly the whole image, and changes with the lock alone.
FROM tools AS dependencies
ARG UV_DEFAULT_INDEX
COPY images/cpu.lock /build/cpu.lock
RUN --mount=type=secret,id=ca \
    if [ -s /run/secrets/ca ]; then export SSL_CERT_FILE=/run/secrets/ca; fi \
    && python3 -m venv --without-pip /opt/thaw \
    && uv pip sync --python /opt/thaw/bin/python --require-hashes --compile-bytecode /build/cpu.lock

FROM tools AS wheel
ARG UV_DEFAULT_INDEX
WORKDIR /build
COPY requirements.lock pyproject.toml README.md LICENSE ./
COPY components components
COPY pipelines pipelines
RUN --mount=type=secret,id=ca \
    if [ -s /run/secrets/ca ]; then export SSL_CERT_FILE=/run/secrets/ca; fi \
    && uv build --wheel --require-hashes --build-constraints requirements.lock --out-dir /dist

# hadolint ignore=DL3006
FROM ${BASE} AS cpu
COPY --from=dependencies /opt/thaw /opt/thaw
RUN --mount=type=bind,from=tools,source=/opt/uv,target=/opt/uv \
    --mount=type=bind,from=wheel,source=/dist,target=/dist \
    /opt/uv/bin/uv pip install --no-cache --offline --python /opt/thaw/bin/python --no-deps --compile-bytecode \
    /dist/*.whl
# What anything may write lies under /tmp: mount something there, and the rest of the image can be read-only.
# LOGNAME stands in for the entry in /etc/passwd that the user does not have.
ENV PATH=/opt/thaw/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONSAFEPATH=1 \
    LOGNAME=thaw \
    HOME=/tmp \
    TMPDIR=/tmp \
    XDG_CACHE_HOME=/tmp/cache
ARG VERSION=0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="thaw-cpu" \
      org.opencontainers.image.description="Thaw: prepares data sets; no torch" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
WORKDIR /tmp
USER 65532:65532
CMD ["python", "-m", "components", "--help"]
