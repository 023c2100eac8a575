# One image for every role: the API, the dispatcher, the reporter and the migrations differ in their command only.
#   docker build .                  the product
#   docker build --target demo .    the same with the provider simulator
#   docker build --target identity-provider .    what the console's sign-in is tried with, and nothing of the product

FROM python:3.12-slim-bookworm AS base
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1

FROM base AS builder
WORKDIR /build
COPY requirements.txt .
RUN --mount=type=cache,target=/var/cache/pip \
    python -m venv --without-pip /opt/venv \
 && /usr/local/bin/python -m pip --python /opt/venv/bin/python install \
    --cache-dir /var/cache/pip --disable-pip-version-check --no-input --only-binary :all: --require-hashes -r requirements.txt
COPY deploy/sitecustomize.py /opt/venv/lib/python3.12/site-packages/

FROM base AS product
LABEL org.opencontainers.image.title="notification-service" \
      org.opencontainers.image.description="Sends mailings as text messages and can say where each one stands" \
      org.opencontainers.image.licenses="MIT AND (Apache-2.0 OR BSD-2-Clause) AND (Apache-2.0 OR BSD-3-Clause) AND (LGPL-2.1-only OR MIT) AND (LGPL-3.0-or-later OR GPL-2.0-or-later) AND (MIT OR Apache-2.0) AND Apache-2.0 AND BSD-2-Clause AND BSD-3-Clause AND BSD-Attribution-HPND-disclaimer AND LGPL-2.1-or-later AND LGPL-3.0-or-later AND LicenseRef-Public-Domain AND MIT-0 AND MPL-2.0 AND OLDAP-2.8 AND PSF-2.0 AND PostgreSQL AND ZPL-2.1 AND curl"
RUN groupadd --gid 10001 notify \
 && useradd --uid 10001 --gid notify --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin notify
WORKDIR /app
COPY --from=builder /opt/venv /opt/venv
COPY LICENSE docs/licences.md ./
COPY deploy/healthy.py deploy/logins.py deploy/secrets.sh deploy/
COPY shared shared
COPY api_service api_service
COPY dispatcher_service dispatcher_service
# Compiled here, because the file system may be read-only where it runs.
RUN python -m compileall -q .
ENV PYTHONDONTWRITEBYTECODE=1 \
    API_HOST=0.0.0.0 \
    API_PORT=8000 \
    METRICS_HOST=0.0.0.0 \
    METRICS_PORT=9100 \
    DATA_DIR=/tmp/notify \
    LOG_FORMAT=json
USER 10001:10001
EXPOSE 8000 9100
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "deploy/healthy.py", "8000/health/ready", "9100/metrics"]
CMD ["python", "-m", "api_service"]

FROM product AS demo
USER 0
COPY sandbox sandbox
RUN python -m compileall -q sandbox
USER 10001:10001
EXPOSE 8090 8091
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "deploy/healthy.py", "8091/control/health"]
CMD ["python", "-m", "sandbox.simulator", "--host", "0.0.0.0"]

FROM base AS identity-provider-builder
WORKDIR /build
COPY requirements-identity-provider.txt .
RUN --mount=type=cache,target=/var/cache/pip \
    python -m venv --without-pip /opt/venv \
 && /usr/local/bin/python -m pip --python /opt/venv/bin/python install \
    --cache-dir /var/cache/pip --disable-pip-version-check --no-input --only-binary :all: --require-hashes \
    -r requirements-identity-provider.txt

FROM base AS identity-provider
WORKDIR /app
COPY --from=identity-provider-builder /opt/venv /opt/venv
COPY deploy/healthy.py deploy/
COPY sandbox/__init__.py sandbox/
COPY sandbox/identity_provider sandbox/identity_provider
RUN python -m compileall -q .
ENV PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
EXPOSE 8092
CMD ["python", "-m", "sandbox.identity_provider", "--host", "0.0.0.0"]

FROM product
