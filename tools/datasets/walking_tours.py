"""The ten videos of Walking Tours: listed, downloaded, verified, prepared for training."""

import argparse
import sys
from pathlib import Path

import make_proxy

from mmvidssl.apis import download_tour, prepare_tours, verify_tour
from mmvidssl.datasets.walking_tours_dataset import find_tour, select_tours
from mmvidssl.datasets.walking_tours_videos import LICENCE, MIRROR, TourVideo

EXAMPLES = """examples:
  pip install -U 'yt-dlp[default,deno]'
  python tools/datasets/walking_tours.py download data/walking_tours --cities venice zurich
  python tools/datasets/walking_tours.py verify data/walking_tours
  python tools/datasets/walking_tours.py prepare data/walking_tours --out data/walking_tours_proxy
  sbatch --array=0-9 --wrap 'python tools/datasets/walking_tours.py prepare data/walking_tours \\
    --out data/walking_tours_proxy --index $SLURM_ARRAY_TASK_ID'

download and prepare go on where they were stopped; verify begins again: give it, with --cities or
--index, what it has not looked at.
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest='command', required=True)
    for name, (_, text) in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text)
        add = command.add_argument
        add('folder', nargs='?', default='data/walking_tours', help='of the videos (%(default)s)')
        add('--cities', nargs='+', default='all', help='some of the ten (all)')
        add('--index', type=int, help='only one of them, counted from 0, for job arrays')
        if name == 'download':
            text = 'which of the formats, in the words of yt-dlp (%(default)s)'
            add('--selector', default='bestvideo/best', help=text)
            text = f'of one video, from elsewhere: the link of its file at {MIRROR}, say'
            add('--url', help=f'{text} (not verified here)')
        elif name == 'verify':
            add('--no-cuts', action='store_true', help='do not decode all the way to look for cuts')
        elif name == 'prepare':
            add('--out', default='data/walking_tours_proxy', help='folder of proxies (%(default)s)')
            make_proxy.add_settings(command)
    return parser.parse_args()


def show(args: argparse.Namespace, video: TourVideo) -> str:
    minutes = f'{video.minutes} min' if video.minutes else 'length not verified here'
    return f'{video.url}, {minutes}; {find_tour(Path(args.folder), video.city) or "not there"}'


def download(args: argparse.Namespace, video: TourVideo) -> str:
    video = video._replace(url=args.url or video.url)
    record = download_tour(video, args.folder, args.selector)
    return f'{record["file"]}, {record["bytes"] / 1e9:.2f} GB, sha256 {record["sha256"]}'


def verify(args: argparse.Namespace, video: TourVideo) -> str:
    return verify_tour(video, args.folder, not args.no_cuts)


COMMANDS = dict(
    list=(show, 'show sources, licence and what is there'),
    download=(download, 'get videos with yt-dlp'),
    verify=(verify, 'look whether videos are whole, 4K, 60 frames a second and without cuts'),
    prepare=(None, 'make the proxies that training reads, and list them'),
)


def work(args: argparse.Namespace) -> dict[str, str]:
    videos = select_tours(args.cities)
    if args.index is not None:
        if not 0 <= args.index < len(videos):
            raise ValueError(f'--index must be 0 to {len(videos) - 1}, got {args.index}')
        videos = [videos[args.index]]
    if getattr(args, 'url', None) and len(videos) > 1:
        raise ValueError('--url is the address of one video: set --cities to its city')
    if args.command == 'prepare':
        made = prepare_tours(videos, args.folder, args.out, **make_proxy.options_of(args))
        return make_proxy.show(made)
    failed = {}
    for video in videos:
        try:
            print(f'{video.city}: {COMMANDS[args.command][0](args, video)}', flush=True)
        except (OSError, ValueError) as error:
            failed[video.city] = str(error)
    if args.command == 'list':
        print(f'licence: {LICENCE}; of each video not verified here')
        print(f'mirror, not verified here, for download --url LINK: {MIRROR}')
    return failed


def main() -> int:
    args = parse_args()
    return make_proxy.run(lambda: work(args))


if __name__ == '__main__':
    sys.exit(main())
