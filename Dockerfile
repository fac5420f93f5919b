ARG BASE_IMAGE=python:3.12-slim-bookworm

# The daemon and its tools; docs/container.md tells how to use the image. Any image made
# of Debian 12 or newer with Python 3.11 or newer can be the base.

FROM ${BASE_IMAGE} AS build

# Slim images have no compiler; Debian's own python3 lacks headers and venv as well.
RUN own=$(python3 -c 'import sysconfig; print(sysconfig.get_path("include"))') \
    && missing= \
    && if [ ! -e "$own/Python.h" ]; then missing="python3-dev python3-venv"; fi \
    && apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev $missing

WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY protocol protocol
COPY xsd xsd
COPY packages/wheel packages/wheel

# mypyc compiles the protocol, the store and the engine. Bytecode is made here, as a
# read-only image cannot keep it later.
RUN python3 -m venv /build \
    && python3 -m venv --without-pip /opt/xsd \
    && HATCH_BUILD_HOOKS_ENABLE=1 \
        /build/bin/pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . \
    && /build/bin/pip --python /opt/xsd/bin/python install --no-cache-dir --no-compile \
        /wheels/*.whl \
    && find /opt/xsd -name '*.so' -exec strip --strip-unneeded '{}' + \
    && rm -f /opt/xsd/bin/[Aa]ctivate* \
    && python3 -m compileall -q --invalidation-mode unchecked-hash /opt/xsd/lib \
    && for tool in read write list ls rm chmod exists watch control; do \
        ln -s xsd "/opt/xsd/bin/xenstore-$tool"; \
    done


FROM ${BASE_IMAGE}

LABEL org.opencontainers.image.title="xsd" \
      org.opencontainers.image.description="A XenStore daemon and its tools" \
      org.opencontainers.image.licenses="MIT"

ENV PATH=/opt/xsd/bin:$PATH

COPY --from=build /opt/xsd /opt/xsd
COPY container/entrypoint /opt/xsd/bin/

# Images of Python come without the library's bytecode: an import makes what is used.
# The directory's owner is who serves where nothing is mounted; see the entrypoint.
RUN python3 -c 'import xsd.cli.chmod, xsd.cli.control, xsd.cli.domain, xsd.cli.full, \
        xsd.cli.health, xsd.cli.ls, xsd.cli.main, xsd.cli.nodes, xsd.cli.tree, \
        xsd.cli.watch, xsd.daemon.main, xsd.testing' \
    && install -d -o 65532 -g 65532 -m 1777 /run/xenstored
VOLUME /run/xenstored

HEALTHCHECK --interval=5s --timeout=10s CMD ["xsd", "health"]
ENTRYPOINT ["/opt/xsd/bin/entrypoint"]
CMD ["xsd", "serve"]
