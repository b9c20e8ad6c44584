"""Where logs come from: folders, globs, standard input, packed files, URLs; and the settings that lie beside them."""

from __future__ import annotations

import gzip
import io
import json
import sys

import pytest

import gradlens
from tests.readers.writers import ROWS_OF, WRITERS

ROWS = ROWS_OF(6)


def log(path, rows=ROWS):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def codes(run):
    return {notice.code: notice.count for notice in run.notices}


def test_a_tree_of_several_formats_is_read_run_by_run(tmp_path):
    log(tmp_path / "a" / "run.jsonl")
    WRITERS["tensorboard"](ROWS, tmp_path / "b")
    WRITERS["hf-trainer-state"](ROWS, tmp_path / "c" / "checkpoint-6")
    (tmp_path / "README.md").write_text(
        "At step 3 the loss was 2.5, at step 4 the loss was 2.25, at step 5 the loss was 2.0\n"
    )
    (tmp_path / "train.py").write_text("print(f'step {step} loss {loss}')\n")
    runs = gradlens.read(tmp_path)
    assert sorted(run.format for run in runs) == ["hf-trainer-state", "jsonl", "tensorboard"]
    assert {run.id for run in runs} >= {"a/run.jsonl"}
    assert codes(runs[0])["file-of-no-format"] == 2


def test_a_bad_file_costs_the_others_nothing(tmp_path):
    log(tmp_path / "good.jsonl")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and no more")
    (run,) = gradlens.read(tmp_path)
    assert codes(run)["unreadable-file"] == 1


def test_links_do_not_give_a_run_twice(tmp_path):
    log(tmp_path / "offline-run-1" / "run.jsonl")
    (tmp_path / "latest-run").symlink_to(tmp_path / "offline-run-1")
    (run,) = gradlens.read(tmp_path)
    assert run.id == "offline-run-1/run.jsonl"


def test_the_console_that_wandb_captured_is_the_same_run(tmp_path):
    WRITERS["wandb"](ROWS, tmp_path)
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "output.log").write_text("".join(f"iter {n}: loss {n}.5, time 1ms\n" for n in range(5)))
    (run,) = gradlens.read(tmp_path)
    assert run.format == "wandb"


def test_checkpoints_of_one_run_and_of_another(tmp_path):
    for length in (2, 4, 6):
        WRITERS["hf-trainer-state"](ROWS[:length], tmp_path / "out" / f"checkpoint-{length}")
        state = tmp_path / "out" / f"checkpoint-{length}" / "trainer_state.json"
        data = json.loads(state.read_text())
        del data["log_history"][-1]  # the summary is only written at the end
        state.write_text(json.dumps(data))
    other = [{**row, "loss": 9.0} for row in ROWS[:3]]
    WRITERS["hf-trainer-state"](other, tmp_path / "out" / "checkpoint-3")
    runs = gradlens.read(tmp_path)
    assert sorted(len(run.loss) for run in runs) == [3, 6]


def test_globs_and_several_sources(tmp_path):
    paths = [log(tmp_path / f"run{n}.jsonl") for n in range(3)]
    assert len(gradlens.read(str(tmp_path / "run*.jsonl"))) == 3
    assert len(gradlens.read(paths[:2])) == 2
    with pytest.raises(gradlens.GradlensError, match="no file matches"):
        gradlens.read(str(tmp_path / "nothing*.jsonl"))
    with pytest.raises(gradlens.GradlensError, match="no such file"):
        gradlens.read(tmp_path / "nothing.jsonl")


def test_standard_input(tmp_path, monkeypatch):
    data = log(tmp_path / "run.jsonl").read_bytes()
    monkeypatch.setattr(sys, "stdin", type("Stdin", (), {"buffer": io.BytesIO(data)}))
    (run,) = gradlens.read("-")
    assert len(run.loss) == len(ROWS)


def test_packed_files(tmp_path):
    data = log(tmp_path / "run.jsonl").read_bytes()
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(data))
    assert len(gradlens.read(tmp_path / "a.jsonl.gz")[0].loss) == len(ROWS)
    zstandard = pytest.importorskip("zstandard")
    (tmp_path / "b.jsonl.zst").write_bytes(zstandard.ZstdCompressor().compress(data))
    assert len(gradlens.read(tmp_path / "b.jsonl.zst")[0].loss) == len(ROWS)


def gzip_of_several_members(data):
    return gzip.compress(data[:2000]) + gzip.compress(data[2000:]) + bytes(512)


def zstd(data):
    return pytest.importorskip("zstandard").ZstdCompressor(write_checksum=True).compress(data)


def zstd_of_several_frames(data):
    return b"".join(zstd(data[at : at + 2000]) for at in range(0, len(data), 2000))


def notices(run):
    return {n.code: n for n in run.notices}


@pytest.mark.parametrize("pack", [gzip.compress, gzip_of_several_members, zstd, zstd_of_several_frames])
def test_packed_files_of_any_size(pack, tmp_path, monkeypatch):
    rows = ROWS_OF(3000)
    (tmp_path / "a.jsonl.gz").write_bytes(pack(log(tmp_path / "run.jsonl", rows).read_bytes()))
    for bound in (7, 1 << 20):
        monkeypatch.setattr("gradlens.sources.archives._UNPACKED", bound)
        (run,) = gradlens.read(tmp_path / "a.jsonl.gz")
        assert run.loss.value.tolist() == [row["loss"] for row in rows]
        assert "truncated-archive" not in notices(run)


@pytest.mark.parametrize("share", [0.3, 0.7, 0.99])
@pytest.mark.parametrize("pack", [gzip.compress, gzip_of_several_members, zstd_of_several_frames])
def test_what_an_archive_holds_before_it_is_cut_off_is_read(pack, share, tmp_path):
    rows = ROWS_OF(3000)
    packed = pack(log(tmp_path / "run.jsonl", rows).read_bytes()).rstrip(b"\0")
    size = int(share * len(packed))
    path = tmp_path / "cut.jsonl.gz"
    path.write_bytes(packed[:size])
    (run,) = gradlens.read(path)
    n = len(run.loss)
    assert 0.5 * share * 3000 < n < 3000
    assert run.loss.value.tolist() == [row["loss"] for row in rows[:n]]
    assert notices(run)["truncated-archive"].where == f"cut.jsonl.gz: byte {size}"
    assert notices(run)["truncated-archive"].count == 1


@pytest.mark.parametrize("pack", [gzip.compress, zstd])
def test_an_archive_cut_off_before_its_first_byte(pack, tmp_path):
    path = tmp_path / "cut.jsonl.zst"
    path.write_bytes(pack(log(tmp_path / "run.jsonl").read_bytes())[:14])
    with pytest.raises(gradlens.GradlensError, match=r"cut\.jsonl\.zst: the packed file is cut off after 14 bytes"):
        gradlens.read(path)


@pytest.mark.parametrize("pack", [gzip.compress, zstd])
def test_an_archive_with_wrong_bytes_is_an_error(pack, tmp_path):
    # Its checksum is at the end: which number is wrong is not known.
    packed = pack(log(tmp_path / "run.jsonl", ROWS_OF(200)).read_bytes())
    path = tmp_path / "damaged.jsonl.gz"
    for wrong in (packed[:40] + b"x" * 9 + packed[49:], packed[:-6] + b"xx" + packed[-4:]):
        path.write_bytes(wrong)
        with pytest.raises(gradlens.GradlensError, match=r"damaged\.jsonl\.gz: damaged before byte"):
            gradlens.read(path)


def test_damaged_archives_do_not_keep_a_folder_from_being_read(tmp_path):
    data = log(tmp_path / "logs" / "a.jsonl").read_bytes()
    (tmp_path / "logs" / "b.jsonl.gz").write_bytes(gzip.compress(data)[:14])
    (tmp_path / "logs" / "c.jsonl.gz").write_bytes(gzip.compress(data)[:-12])
    first, second = gradlens.read(tmp_path / "logs")
    assert notices(first)["unreadable-file"].count == 1
    assert "b.jsonl.gz" in notices(first)["unreadable-file"].message
    assert "truncated-archive" in notices(second)
    (tmp_path / "only").mkdir()
    (tmp_path / "logs" / "b.jsonl.gz").rename(tmp_path / "only" / "b.jsonl.gz")
    with pytest.raises(gradlens.GradlensError, match=r"no log in this folder.*first problem.*is cut off"):
        gradlens.read(tmp_path / "only")


def test_a_file_that_unpacks_to_gigabytes_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("gradlens.sources.files._FREE_BYTES", 1 << 20)
    path = tmp_path / "bomb.log.gz"
    path.write_bytes(gzip.compress(b"iter 1: loss 2.5, time 1ms\n" + b" " * (1 << 23)))
    with pytest.raises(gradlens.GradlensError, match="unpacks to more than"):
        gradlens.read(path)


def test_urls(tmp_path):
    fsspec = pytest.importorskip("fsspec")
    with fsspec.open("memory://logs/run.jsonl", "wb") as file:
        file.write(log(tmp_path / "run.jsonl").read_bytes())
    (run,) = gradlens.read("memory://logs/run.jsonl")
    assert run.source == "memory://logs/run.jsonl"
    with pytest.raises(gradlens.GradlensError, match=r"memory://logs/missing\.jsonl: no such file"):
        gradlens.read("memory://logs/missing.jsonl")


def test_a_url_that_nobody_serves():
    pytest.importorskip("aiohttp")
    with pytest.raises(gradlens.GradlensError, match=r"http://127\.0\.0\.1:9/run\.jsonl: Cannot connect"):
        gradlens.read("http://127.0.0.1:9/run.jsonl")


class TestSettingsBeside:
    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("args.json", '{"max_grad_norm": 0.5, "adam_beta2": 0.95}'),
            ("hparams.yaml", "gradient_clip_val: 0.5\nbetas: [0.9, 0.95]\n"),
            (
                "config.yaml",
                "wandb_version: 1\nmax_grad_norm:\n  desc: null\n  value: 0.5\nadam_beta2:\n  value: 0.95\n",
            ),
            ("hparams.yaml", "gradient_clip_val: 0.5\nbeta2: 0.95\nmodel: !!python/object:torch.nn.Linear {}\n"),
            ("ds_config.json", '{"gradient_clipping": 0.5, "optimizer": {"params": {"betas": [0.9, 0.95]}}}'),
        ],
    )
    def test_found(self, name, text, tmp_path):
        (tmp_path / name).write_text(text)
        (run,) = gradlens.read(log(tmp_path / "run.jsonl"))
        assert (run.config.max_grad_norm, run.config.beta2) == (0.5, 0.95)
        assert run.config.origin == name

    def test_a_models_configuration_is_none_of_the_training(self, tmp_path):
        (tmp_path / "config.json").write_text(
            '{"architectures": ["X"], "model_type": "x", "torch_dtype": "float16", "hidden_size": 8}'
        )
        (run,) = gradlens.read(log(tmp_path / "run.jsonl"))
        assert not run.config

    def test_the_logs_own_settings_are_stronger(self, tmp_path):
        (tmp_path / "args.json").write_text('{"max_grad_norm": 0.5, "weight_decay": 0.1}')
        text = "  clip_grad ....... 2.0\n" + "".join(
            f" iteration {n:8d}/  9 | lm loss: 1.5 | grad norm: 1.5 |\n" for n in (1, 2)
        )
        (tmp_path / "m.out").write_text(text)
        (run,) = gradlens.read(tmp_path / "m.out")
        assert (run.config.max_grad_norm, run.config.weight_decay) == (2.0, 0.1)

    @pytest.mark.parametrize("spelt", ["0", "0.0", "-1", "None", "null", "off"])
    def test_off_is_spelt_in_many_ways(self, spelt, tmp_path):
        (tmp_path / "m.log").write_text(
            f"  clip_grad ....... {spelt}\n iteration 1/  9 | lm loss: 1.5 | grad norm: 1.5 |\n"
        )
        (run,) = gradlens.read(tmp_path / "m.log")
        assert run.config.max_grad_norm == 0.0


class TestChoiceOfFormat:
    def test_a_second_reader_is_tried_where_the_surest_finds_nothing(self, tmp_path):
        # Twenty lines of JSON that say nothing, then a console log.
        text = "".join(json.dumps({"event": f"start {n}"}) + "\n" for n in range(20))
        text += "".join(f"iter {n}: loss {n}.5, time 1ms\n" for n in range(5))
        path = tmp_path / "out.txt"
        path.write_text(text)
        (run,) = gradlens.read(path)
        assert run.format == "console"
        assert len(run.loss) == 5

    def test_the_error_names_the_columns_whatever_was_asked_for(self, tmp_path):
        path = log(tmp_path / "r.jsonl", [{"step": n, "accuracy": 0.5} for n in range(5)])
        for columns in ("all", "needed"):
            with pytest.raises(gradlens.GradlensError, match="accuracy"):
                gradlens.read(path, columns=columns)

    def test_an_unknown_format_is_a_usage_error(self, tmp_path):
        with pytest.raises(gradlens.GradlensError, match="no format named 'xls'"):
            gradlens.read(log(tmp_path / "r.jsonl"), input_format="xls")
