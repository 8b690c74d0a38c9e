# The image of every stage that needs torch: pretrain to export.
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
COPY images/gpu.lock /build/gpu.lock
RUN --mount=type=secret,id=ca \
    if [ -s /run/secrets/ca ]; then export SSL_CERT_FILE=/run/secrets/ca; fi \
    && python3 -m venv --without-pip /opt/thaw \
    && uv pip sync --python /opt/thaw/bin/python --require-hashes --compile-bytecode /build/gpu.lock

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
FROM ${BASE} AS runtime
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
    XDG_CACHE_HOME=/tmp/cache \
    MPLCONFIGDIR=/tmp/matplotlib \
    HF_HOME=/tmp/huggingface \
    TORCH_HOME=/tmp/torch
ARG VERSION=0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="thaw-gpu" \
      org.opencontainers.image.description="Thaw: trains, evaluates and exports; CUDA from the wheels" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
WORKDIR /tmp
USER 65532:65532
CMD ["python", "-m", "components", "--help"]

# For `runtime.compile: true`: torch.compile writes C and GPU code while it runs, which takes a compiler, Python's headers and triton.
FROM runtime AS gpu-compile
USER 0:0
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && { [ -e "$(python3 -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" ] \
    || apt-get install --yes --no-install-recommends libpython3-dev; } \
    && rm -rf /var/lib/apt/lists/*
COPY images/gpu-compile.lock /build/gpu-compile.lock
ARG UV_DEFAULT_INDEX
RUN --mount=type=bind,from=tools,source=/opt/uv,target=/opt/uv \
    --mount=type=secret,id=ca \
    if [ -s /run/secrets/ca ]; then export SSL_CERT_FILE=/run/secrets/ca; fi \
    && /opt/uv/bin/uv pip install --no-cache --python /opt/thaw/bin/python --no-deps --require-hashes \
    --compile-bytecode --requirements /build/gpu-compile.lock
ENV TORCHINDUCTOR_CACHE_DIR=/tmp/inductor TRITON_CACHE_DIR=/tmp/triton
LABEL org.opencontainers.image.title="thaw-gpu-compile"
USER 65532:65532

# The last target is what a build without --target makes.
FROM runtime AS gpu
