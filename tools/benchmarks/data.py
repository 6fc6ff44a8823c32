"""Loading speed of a config's training data, by reader and by number of workers.

Prints clips per second and the memory of a worker. With --step-seconds, the time of an iteration
without data (time - data_time in a training log), it also prints the share of the time in which
training would wait for data, and recommends a number of workers; --step-seconds model measures that
time on this machine.

examples:
  python tools/benchmarks/data.py configs/dora/CONFIG.py --step-seconds 0.9
  python tools/benchmarks/data.py configs/dora/CONFIG.py --proxies data/proxies/venice.proxy.mp4
"""

from measuring import READERS, installed_readers, make_parser
from mmengine.config import Config, DictAction

from mmvidssl.utils.compat import strip_function_scopes
from mmvidssl.utils.setup_env import num_cores
from tools.benchmarks.loading_rate import (
    measure_loading,
    measure_step,
    needed_workers,
    with_reader,
    with_videos,
)


def parse_args():
    parser = make_parser(__doc__)
    parser.add_argument('config', help='what is trained')
    parser.add_argument('--workers', type=int, nargs='+', help='if not 1 and one a core')
    parser.add_argument('--batches', type=int, default=10, help='that are timed')
    parser.add_argument('--readers', nargs='*', choices=READERS, help='if not those installed')
    parser.add_argument('--proxies', nargs='*', default=[], help="to compare with the config's")
    parser.add_argument('--step-seconds', help="of an iteration without its data, or 'model'")
    parser.add_argument('--processes', type=int, default=1, help='GPUs of a machine')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, default={}, help='changes')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(args.cfg_options)
    strip_function_scopes(cfg)
    step = args.step_seconds
    if step is not None:
        step = measure_step(cfg) if step == 'model' else float(step)
        print(f'an iteration of {cfg.train_dataloader.batch_size}: {step:.3f} s without data')
    names = installed_readers() if args.readers is None else args.readers
    sources = {name: with_reader(cfg, dict(type=f'mmvidssl.{name}')) for name in names}
    if args.proxies:
        sources['proxies'] = with_videos(cfg, args.proxies)
    for name, source in sources.items():
        for num_workers in args.workers or sorted({1, num_cores()}):
            rate = measure_loading(source, num_workers, args.batches, step)
            line = f'{name}, {num_workers} worker(s): {rate.clips_per_second:.2f} clips/s'
            if rate.wait_share is not None:
                line += f', training waits {rate.wait_share:.0%} of the time'
            if rate.mib_per_worker is not None:
                line += f', {rate.mib_per_worker:.0f} MiB a worker'
            print(line, flush=True)
        if step is not None:
            print(f'{name}: {recommendation(needed_workers(rate, step), args.processes)}')


def recommendation(wanted: int, num_processes: int) -> str:
    text = f'num_workers={wanted} would keep up with such iterations'
    if num_processes > 1:
        text += f', {wanted * num_processes} workers for {num_processes} processes'
    if wanted * num_processes > num_cores():
        text += f'; {num_cores()} core(s) may be used here: make proxies (make_proxy.py)'
    return text


if __name__ == '__main__':
    main()
