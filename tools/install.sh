#!/usr/bin/env bash
# Install mmvidssl and all it needs, as pinned in requirements/. Safe to run again: when nothing has
# changed it ends within seconds.
#
#   bash tools/install.sh            install
#   bash tools/install.sh --where    print the environment's folder, and do nothing
#
# It installs into the active environment (VIRTUAL_ENV, else CONDA_PREFIX), else into .venv in this
# checkout, which it makes. What can be set:
#   PYTHON           the interpreter that a new .venv is made with
#   MMVIDSSL_CACHE   where the mmcv wheel built here is kept (~/.cache/mmvidssl)
#   FORCE_CUDA       1: build mmcv's CUDA ops although no GPU is visible; 0: never build them
#   MAX_JOBS         how many compilers run at once while mmcv is built (the number of cores)
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
requirements="$root/requirements"
own_venv="$root/.venv"
venv="${VIRTUAL_ENV:-${CONDA_PREFIX:-$own_venv}}"
venv_python="$venv/bin/python"
wheels="${MMVIDSSL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mmvidssl}/wheels"
stamp="$venv/.mmvidssl-installed"
mmcv_version="$(sed -n 's/^mmcv==//p' "$requirements/mminstall.txt")"

say() { echo "==> $*"; }
fail() { echo "install.sh: $*" >&2; exit 1; }

# step DESCRIPTION COMMAND...: run it and say how long it took.
step() {
  local description="$1" started=$SECONDS
  shift
  say "$description"
  "$@"
  echo "    took $((SECONDS - started)) s"
}

# --- the Python ---------------------------------------------------------------------------------

is_supported() {
  "$1" -c 'import sys; raise SystemExit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null
}

# refuse_python WHAT_CAME REMEDY
refuse_python() {
  fail "Python 3.11 or 3.12 is needed (the pinned numpy and PyAV exclude older ones, and the" \
    "setup.py of mmcv $mmcv_version does not run on 3.13 and later), but $1. $2"
}

find_base_python() {
  local candidate
  for candidate in ${PYTHON:-python3 python3.12 python3.11}; do
    if is_supported "$candidate"; then
      command -v "$candidate"
      return
    fi
  done
  candidate="${PYTHON:-python3}"
  refuse_python "$candidate is $("$candidate" --version 2>/dev/null || echo 'not there')" \
    "Name another one: PYTHON=/path/to/python3.11 bash tools/install.sh"
}

has_pip() { [ -x "$venv_python" ] && "$venv_python" -m pip --version >/dev/null 2>&1; }

choose_python() {
  if [ "$venv" = "$own_venv" ] && ! has_pip; then
    # Not there yet, or a first run was interrupted.
    base_python="$(find_base_python)"
  else
    base_python="$venv_python"
    [ -x "$base_python" ] || fail "the active environment $venv has no bin/python; deactivate it"
    is_supported "$base_python" || refuse_python "$venv has $("$base_python" --version 2>&1)" \
      "Activate another environment, or remove this one"
    has_pip || fail "$venv has no pip. Type: $base_python -m ensurepip"
  fi
  tag="$("$base_python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
}

# --- what only the operating system can bring ----------------------------------------------------

has_venv_module() { has_pip || "$base_python" -c 'import ensurepip, venv' 2>/dev/null; }

has_compiler() { command -v "${CXX:-c++}" >/dev/null; }

has_python_headers() {
  local include
  include="$("$base_python" -c 'import sysconfig; print(sysconfig.get_path("include"))')"
  [ -f "$include/Python.h" ]
}

is_system_python() {
  [ "$("$base_python" -c 'import sys; print(sys.base_prefix)')" = /usr ]
}

install_system_packages() {
  local sudo=()
  local commands="apt-get update && apt-get install -y --no-install-recommends $*"
  command -v apt-get >/dev/null || fail "the equivalents of these Debian packages are missing:" \
    "$*. Install them with this system's package manager, then run this script again"
  if [ "$(id -u)" != 0 ]; then
    sudo -n true 2>/dev/null || fail "these packages are missing: $*. Type: sudo sh -c '$commands'"
    sudo=(sudo -n)
  fi
  say "missing on this system, installed now with apt-get: $*"
  "${sudo[@]}" apt-get -qq update
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq install -y --no-install-recommends "$@" >/dev/null
}

need_system_packages() {
  local missing=() of_python=()
  has_venv_module || of_python+=("python$tag-venv")
  if ! mmcv_at_hand; then
    has_compiler || missing+=(g++)
    has_python_headers || of_python+=("python$tag-dev")
  fi
  if [ ${#of_python[@]} -gt 0 ] && ! is_system_python; then
    fail "the Python $base_python lacks what Debian packages as ${of_python[*]} (ensurepip," \
      "Python.h). Install it for that Python, or name another one: PYTHON=/path/to/python3.11"
  fi
  missing+=("${of_python[@]}")
  if [ ${#missing[@]} -gt 0 ]; then
    step 'packages of the operating system' install_system_packages "${missing[@]}"
  fi
}

# --- mmcv ----------------------------------------------------------------------------------------

# Is there an mmcv that works, or a wheel that was built before? (Then no compiler is needed.)
mmcv_at_hand() {
  mmcv_works cpu || compgen -G "$wheels/*-cp${tag/./}/mmcv-$mmcv_version-*.whl" >/dev/null
}

# mmcv_works VARIANT: the pinned version is installed, its ops load, with CUDA where that is wanted.
mmcv_works() {
  [ -x "$venv_python" ] && "$venv_python" - "$mmcv_version" "$1" 2>/dev/null <<'PYTHON'
import sys
import mmcv
from mmcv.ops import get_compiling_cuda_version

version, variant = sys.argv[1:]
has_cuda = get_compiling_cuda_version() != 'not available'
raise SystemExit(mmcv.__version__ != version or (variant == 'cuda' and not has_cuda))
PYTHON
}

# cpu or cuda: CUDA ops are built where PyTorch sees a GPU (or FORCE_CUDA=1) and nvcc is installed.
choose_variant() {
  "$venv_python" - <<'PYTHON'
import os
import sys
import torch
from torch.utils.cpp_extension import CUDA_HOME

forced = os.environ.get('FORCE_CUDA')
wanted = forced != '0' and (forced == '1' or torch.cuda.is_available())
if wanted and CUDA_HOME is None:
    message = 'building the CUDA ops of mmcv needs nvcc (the CUDA toolkit; set CUDA_HOME)'
    if forced == '1':
        sys.exit(f'install.sh: FORCE_CUDA=1, but {message}')
    print(f'    a GPU is visible, but {message}: building for CPU', file=sys.stderr)
print('cuda' if wanted and CUDA_HOME else 'cpu')
PYTHON
}

# build_mmcv VARIANT FOLDER: compile the wheel in a scratch folder, then move it into FOLDER.
build_mmcv() {
  local variant="$1" folder="$2" source wheel
  source="$scratch/mmcv-$mmcv_version"
  pip download -q --no-deps --no-binary mmcv --no-build-isolation -d "$scratch" \
    "mmcv==$mmcv_version"
  tar -xzf "$source.tar.gz" -C "$scratch"
  # PyTorch 2.14's headers are C++20, and mmcv's setup.py asks for 17 last on the command line.
  if "$venv_python" -c 'import torch
raise SystemExit(tuple(map(int, torch.__version__.split(".")[:2])) < (2, 14))'; then
    sed -i 's/-std=c++17/-std=c++20/' "$source/setup.py"
  fi
  local settings=(MMCV_WITH_OPS=1 "MAX_JOBS=${MAX_JOBS:-$(nproc)}" CFLAGS='-g0 -O2')
  if [ "$variant" = cuda ]; then
    settings+=(FORCE_CUDA=1)
  else
    settings+=(FORCE_CUDA=0 CUDA_VISIBLE_DEVICES=)
  fi
  env "${settings[@]}" "$venv_python" -m pip wheel --no-build-isolation --no-deps \
    -w "$scratch/wheel" "$source"
  wheel="$(basename "$scratch"/wheel/mmcv-*.whl)"
  mkdir -p "$folder"
  cp "$scratch/wheel/$wheel" "$folder/.$wheel.$$"
  mv -f "$folder/.$wheel.$$" "$folder/$wheel"
}

install_mmcv() {
  local variant key folder
  variant="$(choose_variant)"
  if mmcv_works "$variant"; then
    echo "    mmcv $mmcv_version with ops is already there"
    return
  fi
  key="torch-$("$venv_python" -c 'import torch; print(torch.__version__)')-$variant-cp${tag/./}"
  folder="$wheels/$key"
  if ! compgen -G "$folder/mmcv-$mmcv_version-*.whl" >/dev/null; then
    has_compiler || fail "building mmcv needs a C++ compiler. Install g++, then run this again"
    has_python_headers || fail "building mmcv needs Python.h. Install python$tag-dev first"
    step "building mmcv $mmcv_version with ops for $key (about 8 minutes on 2 cores)" \
      build_mmcv "$variant" "$folder"
  fi
  pip install -q --no-deps --force-reinstall "$folder"/mmcv-"$mmcv_version"-*.whl
}

# --- the steps -----------------------------------------------------------------------------------

pip() { "$venv_python" -m pip "$@"; }

make_environment() {
  "$base_python" -m venv --clear "$own_venv"
}

install_pinned() {
  local torch=(-r "$requirements/torch.txt")
  # A PyTorch that its user chose for their own environment (and driver) stays.
  if [ "$venv" != "$own_venv" ] && "$venv_python" -c 'import torch, torchvision' 2>/dev/null; then
    echo "    keeping the PyTorch of $venv"
    torch=()
  fi
  pip install -r "$requirements/build.txt" "${torch[@]}" -r "$requirements/runtime.txt"
  # The headless build needs no libGL; any other OpenCV that imports will do.
  "$venv_python" -c 'import cv2' 2>/dev/null ||
    pip install -q --no-deps -r "$requirements/opencv.txt"
}

# --no-deps: see the comment in requirements/runtime.txt.
install_openmmlab() { pip install -q --no-deps -r "$requirements/mminstall.txt"; }

install_mmvidssl() { pip install -q --no-deps --no-build-isolation -e "$root"; }

check_imports() {
  "$venv_python" - <<'PYTHON'
import av
import cv2
import decord
import mmaction
import mmcv.ops
import mmdet
import mmengine
import mmpretrain
import mmseg
import mmvidssl
import torch

packages = (mmvidssl, torch, mmengine, mmcv, mmpretrain, mmdet, mmseg, mmaction, decord, av, cv2)
print('    ' + ', '.join(f'{package.__name__} {package.__version__}' for package in packages))
PYTHON
}

fingerprint() {
  {
    echo "$root ${FORCE_CUDA:-} $("$venv_python" --version)"
    cat "$requirements"/{build,torch,runtime,opencv,mminstall}.txt "$root"/setup.py \
      "$root"/tools/install.sh
  } | sha256sum
}

is_up_to_date() {
  [ -x "$venv_python" ] && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(fingerprint)" ]
}

main() {
  if is_up_to_date; then
    say "up to date: $venv"
    return
  fi
  choose_python
  need_system_packages
  if ! has_pip; then
    step "making the environment $own_venv with $base_python" make_environment
  fi
  # The compilation finds ninja by PATH.
  export PATH="$venv/bin:$PATH"
  scratch="$(mktemp -d)"
  trap 'rm -rf "$scratch"' EXIT
  rm -f "$stamp"
  step 'pinned requirements' install_pinned
  step 'mmcv' install_mmcv
  step 'OpenMMLab packages' install_openmmlab
  step 'mmvidssl, editable' install_mmvidssl
  step 'importing everything once' check_imports
  fingerprint >"$stamp.$$"
  mv -f "$stamp.$$" "$stamp"
  say "installed into $venv in $SECONDS s. To use it: source $venv/bin/activate"
}

unset PYTHONPATH PYTHONHOME
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
case "${1:-}" in
  '') main ;;
  --where) echo "$venv" ;;
  *) fail "unknown argument '$1'; the usage is at the top of tools/install.sh" ;;
esac
