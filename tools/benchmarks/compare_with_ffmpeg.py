"""Compare the frames that a reader gives with what ffmpeg's command line decodes from the start.

Every frame is asked for singly and in clips of 8 with steps 1, 2 and 4, in random order. Prints a
line per file: 'equal'; 'refused' (or 'partly', if only some requests are) with the reason; 'WRONG'
with the first wrong request (exit code 1); 'unclear' if PyAV decodes another number of frames.

ffmpeg gives the number of frames, their times and the MD5 of each one's planes (-f framemd5). PyAV
decodes the file from the start too (the line says how many MD5s agree, if not all), and PyAVReader
must give exactly its pixels, converted to RGB. Other readers round colours in another way: their
frame has to look like the wanted one, and no other frame may be clearly nearer.
"""

import hashlib
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np
from measuring import READERS, make_parser

from mmvidssl.datasets.readers import GuardedReaders, VideoError, VideoReader

CLIP_LENGTH, STEPS = 8, (1, 2, 4)
THUMB = (16, 16)
LEVELS = 4.0  # largest mean difference of thumbnails whose colours were rounded differently
TIME_TOLERANCE = 1.5e-3  # Matroska's times are whole milliseconds
ORIENTATIONS = [(turns, mirror) for mirror in (1, -1) for turns in range(4)]


class Frame(NamedTuple):
    """A decoded frame: MD5s of its planes and of its pixels in RGB, their shape, a thumbnail."""

    planes: str
    pixels: str
    shape: tuple[int, ...]
    thumb: np.ndarray


def ffmpeg(path: Path, upright: int, *options: str) -> bytes:
    """Output of ffmpeg's command line for the first video stream, upright or as stored."""
    command = ['ffmpeg', '-v', 'quiet', '-nostdin', '-threads', '1', '-autorotate', str(upright)]
    command += ['-i', f'file:{path}', '-map', '0:v:0', *options, '-']
    return subprocess.run(command, stdout=subprocess.PIPE, check=False).stdout


def decode_by_ffmpeg(path: Path) -> tuple[np.ndarray, list[str]]:
    """Of each frame: seconds after the first frame, and the MD5 of its planes."""
    as_they_are = ('-fps_mode', 'passthrough', '-enc_time_base', '-1', '-autoscale', '0')
    lines = ffmpeg(path, 0, *as_they_are, '-f', 'framemd5').decode().splitlines()
    unit = next((Fraction(line.split()[-1]) for line in lines if line.startswith('#tb 0:')), 0)
    rows = [line.split(',') for line in lines if not line.startswith('#')]
    times = np.array([float(int(row[2]) * unit) for row in rows])
    return times - times[:1], [row[5].strip() for row in rows]


def decode_by_pyav(path: Path) -> tuple[list[Frame], int]:
    """All frames, upright, and how many come before the first keyframe."""
    frames: list[Frame] = []
    num_before, turn, encoder = 0, None, None
    with av.open(f'file:{path}', metadata_errors='replace') as container:
        container.streams.video[0].thread_type = 'NONE'
        for packet in container.demux(video=0):
            try:
                decoded = packet.decode()
            except av.FFmpegError:
                continue  # as ffmpeg does
            for frame in decoded:
                kind = (frame.width, frame.height, frame.format.name)
                if encoder is None or kind != (encoder.width, encoder.height, encoder.pix_fmt):
                    encoder = av.CodecContext.create('rawvideo', 'w')
                    encoder.width, encoder.height, encoder.pix_fmt = kind
                    encoder.time_base = Fraction(1, 1000)
                rgb = frame.to_ndarray(format='rgb24')
                turn = turn or orientation(path, rgb)
                frame.pts = len(frames)
                planes = b''.join(map(bytes, encoder.encode(frame)))
                num_before += not frame.key_frame and num_before == len(frames)
                frames.append(look_at(turned(rgb, *turn), hashlib.md5(planes).hexdigest()))
    return frames, num_before if num_before < len(frames) else 0


def turned(rgb: np.ndarray, quarter_turns: int, mirror: int) -> np.ndarray:
    return np.ascontiguousarray(np.rot90(rgb, quarter_turns)[:, ::mirror])


def orientation(path: Path, rgb: np.ndarray) -> tuple[int, int]:
    """Quarter turns and mirroring by which ffmpeg turns the first frame upright."""
    output = ffmpeg(path, 1, '-frames:v', '1', '-pix_fmt', 'rgb24', '-f', 'rawvideo')
    best, nearest = ORIENTATIONS[0], np.inf
    for candidate in ORIENTATIONS if len(output) == rgb.size else ():
        mine = turned(rgb, *candidate)
        theirs = np.frombuffer(output, np.uint8).reshape(mine.shape)
        distance = np.abs(theirs - mine.astype(np.float32)).mean()
        if distance < nearest - 1:  # a frame of one colour stays as it is
            best, nearest = candidate, distance
    return best


def look_at(rgb: np.ndarray, planes: str = '') -> Frame:
    thumb = cv2.resize(rgb, THUMB, interpolation=cv2.INTER_AREA).astype(np.float32)
    return Frame(planes, hashlib.md5(np.ascontiguousarray(rgb)).hexdigest(), rgb.shape, thumb)


def clips_of(num_frames: int) -> Iterator[list[int]]:
    """Requests of frame numbers, shuffled: each frame once singly and once with each step."""
    clips = [[number] for number in range(num_frames)]
    for step in STEPS:
        for start in range(0, num_frames, CLIP_LENGTH * step):
            end = min(start + CLIP_LENGTH * step, num_frames)
            clips += [list(range(start + offset, end, step)) for offset in range(step)]
    order = np.random.default_rng(0).permutation(len(clips))
    return filter(None, (clips[number] for number in order))


def compare(path: Path, name: str, readers: GuardedReaders, seconds: float) -> tuple[str, str]:
    """Compare one file; return the outcome and a text with the details."""
    started = time.monotonic()
    times, truth = decode_by_ffmpeg(path)
    told = f'{len(truth)} frames by ffmpeg in {time.monotonic() - started:.2f} s'
    try:
        video = readers.get(str(path), dict(type=name))
        num_frames, stamps = video.num_frames, video.timestamps
        if not truth:
            video.get_frames(np.array([0]))
    except VideoError as error:
        return 'refused', f'{told}; {type(error).__name__}: {error}'
    frames, num_before = decode_by_pyav(path)
    if truth != [frame.planes for frame in frames]:
        num_same = sum(a == b.planes for a, b in zip(truth, frames, strict=False))
        told = f'{told}; PyAV decodes {len(frames)}, {num_same} of them the same'
        if len(frames) != len(truth):
            return 'unclear', f'{told}; {num_frames} by the reader'
    if num_frames == len(frames) - num_before:
        told += f'; without {num_before} before the first keyframe' if num_before else ''
        frames, times = frames[num_before:], times[num_before:] - times[num_before]
    stamps, numbers = stamps - stamps[0], np.arange(num_frames)
    if num_frames > len(frames) > 0:  # a reader may count what ffmpeg leaves out, and refuse it
        is_shown = np.abs(stamps[:, None] - times).min(1) <= TIME_TOLERANCE
        left_out = [number for number in numbers[~is_shown] if is_refused(video, number)]
        told += f'; the reader counts, and refuses, {len(left_out)} more'
        numbers = np.setdiff1d(numbers, left_out)
        stamps = stamps[numbers]
    if len(numbers) != len(frames):
        return 'WRONG', f'{told}; {num_frames} by the reader'
    is_off = np.abs(stamps - times) > TIME_TOLERANCE
    if is_off.any():
        what = f'frame {is_off.argmax()} is {times[is_off][0]:.4f} s after the first'
        told += f'; {what}, not {stamps[is_off][0]:.4f}'
        # ffmpeg guesses the times in AVI, MXF and others, with gaps where there are B-frames.
        if np.abs(stamps - numbers / video.fps).max() > TIME_TOLERANCE:
            return 'WRONG', told
        told += ', but evenly'
    return compare_frames(video, numbers, frames, name == READERS[0], seconds, told)


def is_refused(video: VideoReader, number: int) -> bool:
    try:
        video.get_frames(np.array([number]))
    except VideoError:
        return True
    return False


def compare_frames(
    video: VideoReader,
    numbers: np.ndarray,
    frames: list[Frame],
    is_exact: bool,
    seconds: float,
    told: str,
) -> tuple[str, str]:
    started, num_asked, refused = time.monotonic(), 0, []
    thumbs = np.stack([frame.thumb for frame in frames])
    for clip in clips_of(len(frames)):
        if time.monotonic() - started > seconds:
            told += f'; not all requests in {seconds:.0f} s'
            break
        try:
            given = video.get_frames(numbers[clip])
        except VideoError as error:
            if len({frames[number].shape for number in clip}) == 1:
                refused.append(f'{clip}: {error}')
            continue
        num_asked += len(clip)
        for number, frame in zip(clip, map(look_at, given), strict=True):
            distances = np.abs(thumbs - frame.thumb).mean((1, 2, 3))
            is_near = distances[number] <= min(LEVELS, distances.min() + LEVELS / 8)
            if frame.pixels != frames[number].pixels and (is_exact or not is_near):
                what = f'of {clip} frame {number} is none'
                if distances.min() < LEVELS:
                    what = f'of {clip} frame {number} is more like {distances.argmin()}'
                return 'WRONG', f'{told}; {what}'
    told += f'; {1000 * (time.monotonic() - started) / max(1, num_asked):.2f} ms a frame'
    if refused:
        return 'partly', f'{told}; {len(refused)} requests refused, such as {refused[0]}'
    return 'equal', told


def main() -> int:
    parser = make_parser(__doc__)
    parser.add_argument('files', nargs='+', type=Path, help='files, and folders of them')
    parser.add_argument('--reader', default=READERS[0], help='to be compared')
    parser.add_argument('--seconds', type=float, default=60, help='for the frames of a file')
    parser.add_argument('--timeout', type=float, default=60, help='seconds for a request')
    args = parser.parse_args()
    counts: Counter = Counter()
    readers = GuardedReaders(max_open=1, timeout=args.timeout)
    for file in args.files:
        for path in filter(Path.is_file, sorted(file.rglob('*')) if file.is_dir() else [file]):
            try:
                outcome, told = compare(path, args.reader, readers, args.seconds)
            except Exception as error:  # any but a VideoError would stop a run
                outcome, told = 'WRONG', f'{type(error).__name__}: {error}'
            counts[outcome] += 1
            print(f'{outcome} {path}: {told}', flush=True)
    readers.close()
    print(', '.join(f'{number} {outcome}' for outcome, number in counts.most_common()))
    return int(counts['WRONG'] > 0)


if __name__ == '__main__':
    sys.exit(main())
