import argparse
import os

import pytest

from mmvidssl.utils.run_config import add_run_arguments, existing_file, load_run_config


@pytest.fixture
def config(tmp_path):
    path = tmp_path / 'some_name.py'
    path.write_text('model = dict(a=1, b=[dict(c=2)])\nlog_level = "INFO"\n')
    return path


@pytest.fixture(autouse=True)
def local_rank(monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', '0')
    monkeypatch.delenv('LOCAL_RANK')
    yield
    os.environ.pop('LOCAL_RANK', None)


def parse(*arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument('config')
    add_run_arguments(parser)
    return parser.parse_args([str(argument) for argument in arguments])


def test_defaults(config):
    cfg = load_run_config(parse(config))
    assert cfg.work_dir == os.path.join('work_dirs', 'some_name')
    assert cfg.launcher == 'none'
    assert os.environ['LOCAL_RANK'] == '0'


def test_work_dir_of_the_command_line_wins_over_the_configs(config):
    config.write_text('work_dir = "stated"\n')
    assert load_run_config(parse(config)).work_dir == 'stated'
    assert load_run_config(parse(config, '--work-dir', 'mine')).work_dir == 'mine'


def test_options_are_merged(config):
    cfg = load_run_config(parse(config, '--cfg-options', 'model.a=5', 'model.b.0.c=[1,2]'))
    assert cfg.model.a == 5
    assert cfg.model.b[0].c == [1, 2]
    assert cfg.model.b[0].keys() == {'c'}


@pytest.mark.parametrize('flag', ['--local_rank', '--local-rank'])
def test_local_rank(config, flag):
    args = parse(config, '--launcher', 'pytorch', flag, '3')
    assert load_run_config(args).launcher == 'pytorch'
    assert os.environ['LOCAL_RANK'] == '3'


def test_local_rank_of_the_launcher_wins(config, monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', '1')
    load_run_config(parse(config))
    assert os.environ['LOCAL_RANK'] == '1'


@pytest.mark.parametrize('text', ['param_schedulerr = []', 'optim_wraper = dict()'])
def test_refuses_misspelt_keys(config, text):
    config.write_text(text)
    with pytest.raises(ValueError, match='unknown config key'):
        load_run_config(parse(config))


def test_refuses_options_that_lead_nowhere(config):
    with pytest.raises(ValueError, match='unknown config key'):
        load_run_config(parse(config, '--cfg-options', 'modle.a=5'))


def test_missing_files(tmp_path):
    with pytest.raises(FileNotFoundError, match='config file .*none.py does not exist'):
        load_run_config(parse(tmp_path / 'none.py'))
    with pytest.raises(FileNotFoundError, match='checkpoint .* does not exist'):
        existing_file(tmp_path, 'checkpoint')  # a folder
