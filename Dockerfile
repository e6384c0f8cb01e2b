# Nobody has built this yet: the project is developed and tested without containers.
FROM python:3.13-slim
RUN apt-get update && apt-get install -y --no-install-recommends make && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home salesmatter
WORKDIR /app
COPY . .
RUN make setup && mkdir -p .salesmatter && chown -R salesmatter .salesmatter
USER salesmatter
ENTRYPOINT ["/app/.venv/bin/salesmatter"]
CMD ["--help"]
