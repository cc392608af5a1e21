# One image for the operator and the scorer: `assay operator …`, `assay score …`.
# BASE is any image with Python 3.11 or newer and its venv module. An optional secret `pip.conf` configures the build's
# pip (`docker build --secret id=pip.conf,src=…`) and stays out of the image, as does pip itself.
ARG BASE=docker.io/library/python:3.11-slim-bookworm

FROM ${BASE} AS build
COPY hack/images/assay/backend.txt /build/
RUN --mount=type=secret,id=pip.conf \
    python3 -m venv /opt/build \
 && PIP_CONFIG_FILE=/run/secrets/pip.conf /opt/build/bin/pip install --no-cache-dir --require-hashes -r /build/backend.txt

# Changes with requirements.txt only, so that a change of source rebuilds in seconds.
FROM build AS dependencies
COPY requirements.txt /build/
RUN --mount=type=secret,id=pip.conf \
    python3 -m venv --without-pip /opt/assay \
 && PIP_CONFIG_FILE=/run/secrets/pip.conf /opt/build/bin/pip --python /opt/assay/bin/python \
    install --no-cache-dir --require-hashes -r /build/requirements.txt

FROM build AS wheel
COPY pyproject.toml README.md LICENSE /build/
COPY operator /build/operator
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --no-index --wheel-dir /dist /build

FROM ${BASE}
COPY --from=dependencies /opt/assay /opt/assay
# Copied, not mounted: the layer cache of buildah looks at what is copied and not at what is mounted, and would keep an old wheel.
COPY --from=wheel /dist /dist
RUN --mount=type=bind,from=wheel,source=/opt/build,target=/opt/build \
    /opt/build/bin/pip --python /opt/assay/bin/python install --no-cache-dir --no-deps --no-index /dist/*.whl
ENV PATH=/opt/assay/bin:/usr/local/bin:/usr/bin:/bin PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /tmp
ENTRYPOINT ["assay"]
CMD ["--help"]
