# gradlens with everything that reads logs, and nothing that trains: `docker build -t gradlens .`, then
# `docker run --rm -v "$PWD:/work:ro" gradlens analyze run.jsonl`. Files are read as the user that owns nothing but its home.
FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY gradlens gradlens
RUN python -m venv /opt/gradlens && /opt/gradlens/bin/python -m pip install --no-cache-dir --quiet ".[all]"

FROM python:3.13-slim
COPY --from=build /opt/gradlens /opt/gradlens
RUN useradd --create-home gradlens
ENV PATH="/opt/gradlens/bin:$PATH" PYTHONDONTWRITEBYTECODE=1
USER gradlens
WORKDIR /work
ENTRYPOINT ["gradlens"]
CMD ["--help"]
