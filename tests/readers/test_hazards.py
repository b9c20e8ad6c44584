"""What real logs do to a reader, one class a hazard, with logs of our own making."""

from __future__ import annotations

import base64
import gzip
import json
import pickle

import numpy as np
import pytest

import gradlens
from tests.readers.writers import ROWS_OF, WRITERS, wandb_container

nan = float("nan")


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def lines(path, rows):
    return write(path, "".join(json.dumps(row) + "\n" for row in rows))


def codes(run):
    return {notice.code: notice.count for notice in run.notices}


def read_one(path, **options):
    (run,) = gradlens.read(path, **options)
    return run


class TestPlaceholders:
    def test_megatron_without_a_norm_or_a_scale(self, tmp_path):
        text = "".join(
            f" iteration {n:8d}/  50 | lm loss: {9 - n / 8} | loss scale: -1.0 | grad norm: 0.000 |\n"
            for n in range(1, 13)
        )
        run = read_one(write(tmp_path / "m.out", text))
        assert codes(run)["placeholder-norm"] == 12
        assert codes(run)["placeholder-loss-scale"] == 12
        assert run.loss_scale.value.tolist() == [-1.0] * 12  # as written; the notice says what it is

    def test_torchtitan_without_a_norm(self, tmp_path):
        text = "".join(f"[titan] step: {n}  loss: {9 - n / 8}  grad_norm:  0.0000  memory: 1GiB\n" for n in (1, 2, 3))
        assert codes(read_one(write(tmp_path / "t.log", text)))["placeholder-norm"] == 3

    def test_a_norm_below_0_is_something_else(self, tmp_path):
        rows = [{"step": n, "loss": 4.0 - n, "grad_norm": -0.5 if n else 0.5} for n in range(12)]
        assert codes(read_one(lines(tmp_path / "r.jsonl", rows)))["negative-norm"] == 11

    def test_norms_that_are_small_are_no_placeholder(self, tmp_path):
        rows = [{"step": n, "loss": 2.0, "grad_norm": 1e-9} for n in range(5)]
        assert "placeholder-norm" not in codes(read_one(lines(tmp_path / "r.jsonl", rows)))


class TestMissingFields:
    def test_a_window_of_skipped_iterations_has_neither_loss_nor_norm(self, tmp_path):
        text = (
            " iteration       10/     100 | learning rate: 0.000E+00 | loss scale: 8388608.0 | number of skipped iterations:  10 |\n"
            " iteration       20/     100 | learning rate: 3.750E-05 | lm loss: 1.2E+01 | loss scale: 32768.0 | number of skipped iterations:   8 |\n"
            " iteration       30/     100 | learning rate: 1.500E-04 | lm loss: 1.1E+01 | loss scale: 16384.0 | grad norm: 16.5 | number of skipped iterations:   1 |\n"
        )
        run = read_one(write(tmp_path / "m.out", text))
        assert run.loss.step.tolist() == [20, 30]
        assert run.grad_norm.step.tolist() == [30]
        assert run.lr.step.tolist() == run.loss_scale.step.tolist() == [10, 20, 30]
        assert run.series[run.columns.skipped].value.tolist() == [10, 8, 1]


class TestStepsGoingBackwards:
    def test_validation_rows_that_put_the_epoch_into_step(self, tmp_path):
        rows = [
            {"iter": 50 * n, "step": 50 * n, "epoch": 1 + n // 4, "loss": 2.0, "grad_norm": 1.0} for n in range(1, 9)
        ]
        rows.insert(4, {"bbox_mAP": 0.1, "step": 1})
        rows.append({"bbox_mAP": 0.2, "step": 2})
        run = read_one(lines(tmp_path / "scalars.json", rows))
        assert run.columns.step == "iter"
        assert run.loss.step.tolist() == [50 * n for n in range(1, 9)]
        assert "steps-go-backwards" not in codes(run)

    @pytest.mark.parametrize("interval", [1, 10])
    def test_a_counter_that_restarts_at_0_repeats_no_step(self, interval, tmp_path):
        rows = [{"epoch": e, "step": interval * i, "loss": 2.0, "lr": 0.1} for e in range(3) for i in range(8)]
        (run,) = gradlens.read(lines(tmp_path / "r.jsonl", rows))
        assert run.loss.step.tolist() == list(range(0, 24 * interval, interval))
        assert codes(run)["epoch-counter"] == 2

    def test_steps_beyond_any_counter(self, tmp_path):
        (run,) = gradlens.read(lines(tmp_path / "r.jsonl", [{"step": 10**20 + n, "loss": 2.0} for n in range(5)]))
        assert run.loss.step.tolist() == list(range(5))
        (notice,) = (n for n in run.notices if n.code == "no-step")
        assert "too large for a step" in notice.message

    def test_a_counter_that_restarts_with_each_epoch_goes_on(self, tmp_path):
        rows = [{"mode": "train", "epoch": e, "iter": i, "loss": 2.0, "lr": 0.1} for e in (1, 2, 3) for i in (50, 100)]
        run = read_one(lines(tmp_path / "a.log.json", rows))
        assert run.loss.step.tolist() == [50, 100, 150, 200, 250, 300]
        assert codes(run)["epoch-counter"] == 2

    def test_a_resume_that_overlaps_keeps_every_point(self, tmp_path):
        rows = [{"step": s, "loss": 1.0 + s} for s in [*range(10), *range(6, 14)]]
        run = read_one(lines(tmp_path / "r.jsonl", rows))
        assert len(run.loss) == 18
        assert codes(run)["steps-go-backwards"] == 1
        assert codes(run)["overlapping-steps"] == 4

    def test_a_second_start_in_one_megatron_log_is_a_run_of_its_own(self, tmp_path):
        start = "[before the start of training step] datetime: 2024\n"
        part = "".join(f" iteration {n:8d}/  50 | lm loss: {9 - n} | grad norm: 1.5 |\n" for n in (1, 2, 3))
        first, second = gradlens.read(write(tmp_path / "m.out", start + part + start + part))
        assert first.loss.step.tolist() == second.loss.step.tolist() == [1, 2, 3]
        assert first.id != second.id

    def test_a_resume_of_a_megatron_run_is_no_second_run(self, tmp_path):
        start = "[before the start of training step] datetime: 2024\n"
        text = start + "".join(f" iteration {n:8d}/  50 | lm loss: {9 - n} |\n" for n in (1, 2, 3))
        text += start + "".join(f" iteration {n:8d}/  50 | lm loss: {9 - n} |\n" for n in (4, 5))
        assert read_one(write(tmp_path / "m.out", text)).loss.step.tolist() == [1, 2, 3, 4, 5]


class TestDuplicates:
    def test_rows_written_twice_are_counted(self, tmp_path):
        rows = [
            {
                "loss": 2.0 - n / 8,
                "grad_norm": 1.0 + n,
                "learning_rate": 1e-4,
                "global_step/max_steps": f"{n}/40",
                "train_speed(iter/s)": s,
            }
            for n in range(1, 9)
            for s in (0.5, 0.25)
        ]
        run = read_one(lines(tmp_path / "logging.jsonl", rows))
        assert len(run.loss) == 16
        assert codes(run)["duplicate-records"] == 8


class TestNumbersAsText:
    def test_every_spelling_in_json(self, tmp_path):
        rows = [
            {"global_step/max_steps": f"{n}/438", "loss": f"{n}.5", "grad_norm": "NaN" if n == 2 else "1,125"}
            for n in (1, 2, 3)
        ]
        run = read_one(lines(tmp_path / "r.jsonl", rows))
        assert run.loss.step.tolist() == [1, 2, 3]
        assert run.loss.value.tolist() == [1.5, 2.5, 3.5]
        np.testing.assert_array_equal(run.grad_norm.value, [1125.0, nan, 1125.0])
        assert "string-number" in codes(run)

    def test_wrapped_and_averaged_in_console_logs(self, tmp_path):
        text = "".join(
            f"step:{n} - actor/pg_loss:np.float64(0.{n}) - actor/grad_norm:np.float64(nan)\n" for n in (1, 2)
        )
        run = read_one(write(tmp_path / "verl.log", text))
        assert run.loss.value.tolist() == [0.1, 0.2]
        assert np.isnan(run.grad_norm.value).all()
        text = "".join(f"Train: [0/3][{n}/4]\tloss 0.3922 (nan)\tgrad_norm 1.5 (nan)\n" for n in (0, 1))
        run = read_one(write(tmp_path / "swin.txt", text))
        assert run.loss.value.tolist() == [0.3922, 0.3922]


class TestDirtyText:
    def test_glued_to_progress_bars_by_carriage_returns(self, tmp_path):
        text = "".join(
            f"\r{n}%|##| {n}/10 [00:0{n}<00:10, 1it/s]\x1b[0m{{'loss': {n}.5, 'grad_norm': 1.{n}}}" for n in (1, 2, 3)
        )
        run = read_one(write(tmp_path / "hf.log", text))
        assert run.loss.step.tolist() == [1, 2, 3]
        assert run.loss.value.tolist() == [1.5, 2.5, 3.5]

    @pytest.mark.parametrize(
        "colour", ["\x1b[31m", "\x1b[38;2;180;60;0m", "\x1b[0;1m", "\x1b]0;title\x07", "\x1b(B\x1b[m"]
    )
    def test_colour_around_every_field(self, colour, tmp_path):
        text = "".join(
            f"{colour}step:  {n}  {colour}loss: {colour}{n}.5{colour}  {colour}grad_norm: {colour}1.25\x1b[39m\n"
            for n in (1, 2)
        )
        run = read_one(write(tmp_path / "t.log", text))
        assert run.loss.value.tolist() == [1.5, 2.5]
        assert run.grad_norm.value.tolist() == [1.25, 1.25]

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
    def test_encodings_and_line_ends(self, encoding, tmp_path):
        text = "modèle chargé\r\n" + "".join(f"iter {n}: loss {n}.5, time 1.0ms\r\n" for n in (0, 1))
        run = read_one(write(tmp_path / "n.log", text.encode(encoding)))
        assert run.loss.value.tolist() == [0.5, 1.5]

    def test_nul_runs_and_a_byte_order_mark_in_json_lines(self, tmp_path):
        rows = [json.dumps({"step": n, "loss": 1.0 + n}) for n in range(6)]
        text = "\ufeff" + "\r\n".join(rows[:3]) + "\r\n" + "\0" * 40 + "\r\n".join(rows[3:]) + "\r\n"
        run = read_one(write(tmp_path / "r.jsonl", text))
        assert run.loss.step.tolist() == list(range(6))


class TestTokens:
    def test_bare_and_quoted(self, tmp_path):
        text = "".join(
            f'{{"step": {n}, "loss": {loss}, "grad_norm": {norm}}}\n'
            for n, (loss, norm) in enumerate(
                [("NaN", '"NaN"'), ("Infinity", '"inf"'), ("-Infinity", '"-Infinity"'), ("1.5", '"2.5"')]
            )
        )
        run = read_one(write(tmp_path / "r.jsonl", text))
        np.testing.assert_array_equal(run.loss.value, [nan, np.inf, -np.inf, 1.5])
        np.testing.assert_array_equal(run.grad_norm.value, [nan, np.inf, -np.inf, 2.5])

    def test_an_epoch_mean_that_one_step_made_infinite(self, tmp_path):
        rows = [
            {"train_loss": 3.0 - n, "train_grad_norm": np.inf if n == 1 else 1.5, "train_lr": 0.1, "epoch": n}
            for n in range(4)
        ]
        run = read_one(lines(tmp_path / "log.txt", rows))
        assert run.grad_norm.step.tolist() == [0, 1, 2, 3]
        assert np.isinf(run.grad_norm.value).tolist() == [False, True, False, False]


class TestPickles:
    def test_a_pickled_value_is_reported_and_never_loaded(self, tmp_path):
        class Bomb:
            def __reduce__(self):
                return (open, (str(tmp_path / "loaded"), "w"))

        bomb = {"py/reduce": [{"py/type": "torch._utils"}, base64.b64encode(pickle.dumps(Bomb())).decode()]}
        info = {"loss": [1.5, bomb, 0.5], "loss_T": [10, 20, 30], "grad_norm": [2.0, 2.5], "grad_norm_T": [10, 20]}
        run = read_one(write(tmp_path / "info.json", json.dumps(info)))
        assert run.loss.step.tolist() == [10, 30]
        assert codes(run)["pickled-value"] == 1
        assert not (tmp_path / "loaded").exists()

    def test_a_pickle_is_refused_by_name(self, tmp_path):
        with pytest.raises(gradlens.GradlensError, match="pickle"):
            gradlens.read(write(tmp_path / "training_args.bin", pickle.dumps({"loss": [1, 2]})))


class TestWandb:
    def container(self, rows, tmp_path):
        return WRITERS["wandb"](rows, tmp_path)

    def test_records_split_over_blocks(self, tmp_path):
        rows = [{"step": n, "loss": 1.0 + n, **{f"metric/{i}": float(i) for i in range(400)}} for n in range(12)]
        path = self.container(rows, tmp_path)
        assert path.stat().st_size > 3 * 32768
        run = read_one(path)
        assert run.loss.value.tolist() == [1.0 + n for n in range(12)]

    def test_a_killed_run_that_ends_on_a_block(self, tmp_path):
        rows = [{"step": n, "loss": 1.0 + n, **{f"metric/{i}": float(i) for i in range(400)}} for n in range(12)]
        path = self.container(rows, tmp_path)
        path.write_bytes(path.read_bytes()[: 2 * 32768])
        run = read_one(path)
        assert 1 <= len(run.loss) < 12
        assert "truncated-record" in codes(run)

    @pytest.mark.parametrize("size", [7, 32768])
    def test_files_without_history(self, size, tmp_path):
        data = wandb_container([b"\x08\x01" * 10]) + bytes(40000)
        with pytest.raises(gradlens.GradlensError, match="without history records"):
            gradlens.read(write(tmp_path / "run-x.wandb", data[:size]))

    def test_nested_keys_unknown_records_and_a_step_of_the_trainers_own(self, tmp_path):
        def field(number, data):
            return (
                bytes([number << 3 & 127 | 2 | 128, number >> 4]) + bytes([len(data)]) + data
                if number > 15
                else bytes([number << 3 | 2, len(data)]) + data
            )

        def item(keys, value):
            return field(1, b"".join(field(2, k.encode()) for k in keys) + field(16, json.dumps(value).encode()))

        records = [field(100, b"request"), b"\x08\x05", field(21, b"")]
        for n in range(3):
            records.append(
                field(2, item(["train", "loss"], 4.0 - n) + item(["train", "global_step"], 20 * n) + item(["_step"], n))
            )
            records.append(field(2, item(["eval", "score"], 0.5) + item(["_step"], n)))
        run = read_one(write(tmp_path / "run-x.wandb", wandb_container(records)))
        assert run.columns.step == "train/global_step"
        assert run.loss.step.tolist() == [0, 20, 40]

    def test_a_damaged_record_costs_its_block_only(self, tmp_path):
        rows = [{"step": n, "loss": 1.0 + n, **{f"metric/{i}": float(i) for i in range(400)}} for n in range(40)]
        path = self.container(rows, tmp_path)
        data = bytearray(path.read_bytes())
        data[5 * 32768 // 2] ^= 255
        path.write_bytes(bytes(data))
        run = read_one(path)
        assert 30 < len(run.loss) < 40
        assert codes(run)["damaged-record"] >= 1


class TestEventFiles:
    def test_series_of_different_lengths(self, tmp_path):
        rows = [{"step": n, "loss": 2.0, "lr": 0.1} | ({"grad_norm": 1.0} if n % 3 else {}) for n in range(12)]
        run = read_one(WRITERS["tensorboard"](rows, tmp_path))
        assert (len(run.lr), len(run.grad_norm)) == (12, 8)

    @pytest.mark.parametrize("size", [0, 10, 24, 40])
    def test_files_that_hold_no_event_yet(self, size, tmp_path):
        path = WRITERS["tensorboard"](ROWS_OF(3), tmp_path)
        path.write_bytes(path.read_bytes()[:size])
        with pytest.raises(gradlens.GradlensError):
            gradlens.read(path)

    def test_damage_in_mid_file_and_a_file_still_being_written(self, tmp_path):
        path = WRITERS["tensorboard"](ROWS_OF(60), tmp_path)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 255
        path.write_bytes(bytes(data[:-7]))
        run = read_one(path)
        assert 150 <= sum(len(s) for s in run.series.values()) < 180
        assert len(run.notices) >= 1

    def test_restarts_in_one_folder_are_one_run(self, tmp_path):
        first = WRITERS["tensorboard"](ROWS_OF(8), tmp_path / "a")
        second = WRITERS["tensorboard"](ROWS_OF(20)[4:], tmp_path / "b", start=1.7e9 + 900)
        folder = tmp_path / "run"
        folder.mkdir()
        first.rename(folder / "events.out.tfevents.1700000000.host.1.0")
        second.rename(folder / "events.out.tfevents.1700000900.host.2.0")
        run = read_one(folder)
        assert len(run.loss) == 8 + 16
        assert codes(run)["overlapping-steps"] == 4


class TestSeveralOptimizers:
    @pytest.mark.parametrize(
        ("names", "marks"),
        [
            (("actor/grad_norm", "actor/pg_loss", "critic/grad_norm", "critic/vf_loss"), ("actor", "critic")),
            (("grad_norm_g", "loss_g", "grad_norm_d", "loss_d"), ("generator", "discriminator")),
            (("grad_norm_0", "loss_0", "grad_norm_1", "loss_1"), ("0", "1")),
            (
                ("train/gen_grad_norm", "train/gen_loss", "train/disc_grad_norm", "train/disc_loss"),
                ("generator", "discriminator"),
            ),
            (("unet_grad_norm", "unet_loss", "text_encoder_grad_norm", "text_encoder_loss"), ("unet", "text_encoder")),
            (("model_grad_norm", "model_loss", "actor_grad_norm", "actor_loss"), ("model", "actor")),
        ],
    )
    def test_each_is_a_named_run(self, names, marks, tmp_path):
        rows = [{"step": n, "lr": 0.1} | {name: 10.0 * i + n for i, name in enumerate(names)} for n in range(5)]
        runs = gradlens.read(lines(tmp_path / "r.jsonl", rows))
        assert [run.id.rsplit(":", 1)[1] for run in runs] == list(marks)
        for place, run in enumerate(runs):
            assert (run.columns.grad_norm, run.columns.loss) == (names[2 * place], names[2 * place + 1])
            assert run.columns.lr == "lr"

    def test_parts_beside_a_total_are_no_optimizers(self, tmp_path):
        rows = [
            {"step": n, "loss": 1.0, "grad_norm": 2.0, "encoder/grad_norm": 1.0, "decoder/grad_norm": 1.7}
            for n in range(5)
        ]
        assert read_one(lines(tmp_path / "r.jsonl", rows)).columns.grad_norm == "grad_norm"


class TestHiddenValues:
    def test_a_loss_of_zero_beside_a_norm_of_nan(self, tmp_path):
        history = [{"step": n, "loss": 0.0 if n > 3 else 2.0, "grad_norm": nan if n > 3 else 1.0} for n in range(1, 7)]
        run = read_one(write(tmp_path / "trainer_state.json", json.dumps({"log_history": history, "global_step": 6})))
        assert codes(run)["hidden-nan"] == 3
        assert "norm-filtered" in codes(run)

    def test_fairseq_says_that_it_drops_what_is_not_finite(self, tmp_path):
        text = "".join(
            f'2021 | INFO | train_inner | {{"epoch": 1, "loss": "9.5", "num_updates": "{n}", "gnorm": "2.5"}}\n'
            for n in (10, 20)
        )
        assert {"norm-filtered", "norm-averaged", "norm-pre-clip"} <= set(
            codes(read_one(write(tmp_path / "f.log", text)))
        )


class TestNothingThere:
    def test_a_pointer_of_git_lfs(self, tmp_path):
        pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 123\n"
        with pytest.raises(gradlens.GradlensError, match="Git LFS pointer"):
            gradlens.read(write(tmp_path / "trainer_state.json", pointer))

    def test_an_empty_file(self, tmp_path):
        with pytest.raises(gradlens.GradlensError, match="empty"):
            gradlens.read(write(tmp_path / "run.jsonl", ""))

    def test_an_empty_file_that_is_packed(self, tmp_path):
        with pytest.raises(gradlens.GradlensError, match="empty"):
            gradlens.read(write(tmp_path / "run.jsonl.gz", gzip.compress(b"")))

    def test_a_log_without_rows(self, tmp_path):
        state = json.dumps({"log_history": [], "global_step": 0})
        with pytest.raises(gradlens.GradlensError, match="log_history is empty"):
            gradlens.read(write(tmp_path / "trainer_state.json", state))

    def test_a_folder_without_a_log_says_what_is_there(self, tmp_path):
        write(tmp_path / "x" / "model.py", "import torch\n")
        write(tmp_path / "x" / "weights.bin", b"\x80\x02" + bytes(100))
        with pytest.raises(gradlens.GradlensError, match=r"2 files \(1 \.py, 1 \.bin\)"):
            gradlens.read(tmp_path / "x")

    def test_a_table_of_runs_is_refused_with_the_reason(self, tmp_path):
        text = '"Name","State","Notes","User","Tags","Created","Runtime","Sweep","lr","train/loss"\n"a","finished","-","me","","2024","10","","0.1","2.5"\n'
        with pytest.raises(gradlens.GradlensError, match="table of runs"):
            gradlens.read(write(tmp_path / "wandb_export.csv", text))


class TestSampledDownloads:
    def test_exactly_as_many_points_as_tensorboard_keeps(self, tmp_path):
        noise = np.random.default_rng(0)
        steps = np.cumsum(noise.integers(1, 40, 1000))
        rows = [{"step": int(s), "loss": 2.0, "grad_norm": 1.5} for s in steps]
        run = read_one(WRITERS["tensorboard-download"](rows, tmp_path))
        assert codes(run)["sampled-export"] == 2000
        assert codes(run)["irregular-steps"] > 500

    def test_a_log_of_every_tenth_step_is_regular(self, tmp_path):
        run = read_one(lines(tmp_path / "r.jsonl", [{"step": 10 * n, "loss": 2.0} for n in range(60)]))
        assert "irregular-steps" not in codes(run)
        assert "log-interval" in codes(run)
