"""The log formats and the services that hold runs: one line each; of equals in detection the first is asked first."""

from __future__ import annotations

from gradlens.registry import Entry

READERS: dict[str, Entry] = {
    "tensorboard": Entry(
        target="gradlens.readers.events.tensorboard:TensorBoardReader",
        title="TensorBoard event files, scalars and histograms, simple and tensor values",
        patterns=("*tfevents*",),
        shapes=("other",),
    ),
    "jsonl": Entry(
        target="gradlens.readers.jsonl:JsonLinesReader",
        title="JSON lines: one object per record",
        patterns=("*.jsonl", "*.ndjson", "*.json", "log.txt"),
        shapes=("json-lines", "other"),
    ),
    "hf-trainer-state": Entry(
        target="gradlens.readers.hf:TrainerStateReader",
        title="Hugging Face trainer_state.json",
        patterns=("trainer_state*.json",),
        shapes=("other",),
    ),
    "wandb": Entry(
        target="gradlens.readers.wandb_offline:WandbOfflineReader",
        title="W&B offline runs (run-*.wandb)",
        patterns=("*.wandb",),
        shapes=("other",),
    ),
    "wandb-csv": Entry(
        target="gradlens.readers.wandb_csv:WandbCsvReader",
        title="W&B chart exports (CSV)",
        patterns=("wandb_export*.csv",),
        shapes=("table", "other"),
    ),
    "tensorboard-download": Entry(
        target="gradlens.readers.tensorboard_download:TensorBoardDownloadReader",
        title="Downloads from TensorBoard's page (CSV or JSON, one tag per file)",
        patterns=("*-tag-*.csv", "*-tag-*.json"),
        shapes=("table", "other"),
    ),
    "csv": Entry(
        target="gradlens.readers.csv_:CsvReader",
        title="CSV with a header line: Lightning metrics.csv, Keras CSVLogger, W&B histories, any other",
        patterns=("*.csv", "*.tsv"),
        shapes=("table", "other"),
    ),
    "sacred": Entry(
        target="gradlens.readers.sacred:SacredReader",
        title="Sacred info.json and metrics.json",
        patterns=("info.json", "metrics.json"),
        shapes=("other",),
    ),
    "megatron-golden": Entry(
        target="gradlens.readers.golden:MegatronGoldenReader",
        title="Megatron-LM golden_values JSON",
        patterns=("golden_values*.json",),
        shapes=("other",),
    ),
    "phased-jsonl": Entry(
        target="gradlens.readers.phased_json:PhasedJsonReader",
        title="JSON lines with a mode or split per record (OpenMMLab *.log.json)",
        patterns=("*.log.json",),
        shapes=("json-lines", "other"),
    ),
    "mlflow": Entry(
        target="gradlens.readers.mlflow:MlflowFilesReader",
        title="MLflow file store (mlruns/)",
        shapes=("other",),
    ),
    "visualdl": Entry(
        target="gradlens.readers.visualdl:VisualDLReader",
        title="VisualDL record files (vdlrecords.*.log)",
        patterns=("vdlrecords*.log",),
        shapes=("other",),
    ),
    "trackio": Entry(
        target="gradlens.readers.trackio:TrackioReader",
        title="Trackio's local store (PROJECT.db)",
        patterns=("*.db",),
        shapes=("other",),
    ),
    "mlflow-sqlite": Entry(
        target="gradlens.readers.mlflow:MlflowDatabaseReader",
        title="MLflow SQLite store (mlflow.db)",
        patterns=("*.db", "*.sqlite", "*.sqlite3"),
        shapes=("other",),
    ),
    "parquet": Entry(
        target="gradlens.readers.arrow:ArrowReader",
        title="Parquet, Feather and Arrow tables",
        extra="arrow",
        patterns=("*.parquet", "*.feather", "*.arrow"),
        shapes=("other",),
    ),
    "text-columns": Entry(
        target="gradlens.readers.golden:TextColumnsReader",
        title="Columns of numbers: torchtitan's loss files",
        shapes=("table", "other"),
    ),
    "json": Entry(
        target="gradlens.readers.json_document:JsonDocumentReader",
        title="JSON documents: a list of records, or arrays (Keras history)",
        shapes=("other",),
    ),
    "console": Entry(
        target="gradlens.readers.console.reader:ConsoleReader",
        title="Console output of trainers: Megatron-LM, torchtitan, nanoGPT, verl, fairseq, DeepSpeed and others",
        patterns=("*.log", "*.out", "*.err", "*.txt"),
        shapes=("other",),
    ),
}

#: Services that hold runs and no files: each reads what a URL of its own scheme names.
SERVICES: dict[str, Entry] = {
    "mlflow-server": Entry(
        target="gradlens.readers.mlflow_server:MlflowServerReader",
        title="Runs on an MLflow server: mlflow://RUN, mlflow://EXPERIMENT, mlflow://HOST:PORT/...",
        extra="mlflow",
        schemes=("mlflow", "mlflow+https"),
    ),
    "wandb-server": Entry(
        target="gradlens.readers.wandb_server:WandbServerReader",
        title="Runs on W&B's servers or your own: wandb://ENTITY/PROJECT/RUN, wandb://ENTITY/PROJECT",
        extra="wandb",
        schemes=("wandb",),
    ),
    "aim-store": Entry(
        target="gradlens.readers.aim_store:AimStoreReader",
        title="Runs of an Aim repository: aim://FOLDER, aim://FOLDER/RUN_HASH",
        extra="aim",
        schemes=("aim",),
    ),
}
