#!/usr/bin/env bash
# Install mmvidssl and all it needs, as pinned in requirements/. No compiler is needed. Safe to run
# again: after a failure it goes on, and when nothing has changed it ends at once.
#
#   bash tools/install.sh                  install
#   bash tools/install.sh --compiled-ops   then compile mmcv's operators (docs/en/start/installation.md)
#   bash tools/install.sh --where          print the environment's folder, and do nothing
#
# It installs into the active environment (VIRTUAL_ENV, else CONDA_PREFIX), else into .venv in this
# checkout, which it makes with the interpreter PYTHON, else the first that is new enough.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
requirements="$root/requirements"
own_venv="$root/.venv"
venv="${VIRTUAL_ENV:-${CONDA_PREFIX:-$own_venv}}"
python="$venv/bin/python"
stamp="$venv/.mmvidssl-installed"

fail() { echo "install.sh: $*" >&2; exit 1; }
pip() { "$python" -m pip "$@"; }
has_pip() { pip --version >/dev/null 2>&1; }
is_supported() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; }
imports() { "$python" -c "import $1"; }

# step DESCRIPTION COMMAND...: run it and say how long it took.
step() {
  local started=$SECONDS
  echo "==> $1"
  "${@:2}" || fail "'$1' failed, for the reason above. Fix it and run again: bash tools/install.sh; if" \
    "that does not help, first: rm -rf $own_venv"
  echo "    took $((SECONDS - started)) s"
}

make_environment() {
  local base
  for base in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do ! is_supported "$base" || break; done
  is_supported "$base" || fail "Python 3.11 to 3.13 is needed, and $base is" \
    "$("$base" --version 2>/dev/null || echo 'not there'). Name another one:" \
    'PYTHON=/path/to/python3.11 bash tools/install.sh'
  "$base" -c 'import ensurepip, venv' 2>/dev/null || install_venv_module "$base"
  "$base" -m venv --clear "$own_venv"
}

# Debian's Python comes without it.
install_venv_module() {
  local package sudo='sudo -n'
  package="$("$1" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
  [ "$(id -u)" != 0 ] || sudo=''
  { $sudo apt-get -qq update && $sudo apt-get -qq install -y "$package"; } >/dev/null 2>&1 ||
    fail "$1 lacks the modules venv and ensurepip. On Debian type: sudo apt-get install $package"
}

install_pinned() {
  local torch=(-r "$requirements/torch.txt") opencv=(-r "$requirements/opencv.txt")
  # A PyTorch that its user chose for their own environment (and driver) stays, and an OpenCV.
  if [ "$venv" != "$own_venv" ] && imports torch,torchvision 2>/dev/null; then
    torch=()
    echo "    keeping the PyTorch of $venv"
  fi
  ! imports cv2 2>/dev/null || opencv=()
  pip install "${torch[@]}" "${opencv[@]}" -r "$requirements/build.txt" -r "$requirements/runtime.txt"
}

# Without their dependencies: see the comment in requirements/runtime.txt. A compiled mmcv stays,
# whose files mmcv-lite would overwrite.
install_openmmlab() {
  local kept='^$'
  ! pip show -q mmcv 2>/dev/null || kept='^mmcv-lite'
  grep -v "$kept" "$requirements/mminstall.txt" | pip install -q --no-deps -r /dev/stdin
}

# mmcv's operators for the installed PyTorch; for its GPU too, where nvcc is.
compile_ops() {
  local version scratch
  version="$(sed -n 's/^mmcv-lite==//p' "$requirements/mminstall.txt")"
  scratch="$(mktemp -d)"
  trap "rm -rf '$scratch'" EXIT
  "$python" -c 'import sys; sys.exit(sys.version_info >= (3, 13))' ||
    fail "the setup.py of mmcv $version does not run on Python 3.13: take 3.11 or 3.12"
  pip install -q ninja psutil &&
    pip download -q --no-deps --no-binary mmcv --no-build-isolation -d "$scratch" "mmcv==$version" &&
    tar -xzf "$scratch/mmcv-$version.tar.gz" -C "$scratch" &&
    # PyTorch 2.14's headers are C++20, and mmcv's setup.py asks for 17 last on the command line.
    sed -i 's/-std=c++17/-std=c++20/' "$scratch/mmcv-$version/setup.py" &&
    PATH="$venv/bin:$PATH" MMCV_WITH_OPS=1 pip wheel -q --no-build-isolation --no-deps -w "$scratch" \
      "$scratch/mmcv-$version" &&
    pip uninstall -q -y mmcv-lite && pip install -q --no-deps --force-reinstall "$scratch"/mmcv-*.whl
}

fingerprint() {
  { echo "$root $("$python" --version)" && cat "$requirements"/{build,runtime,torch,opencv,mminstall}.txt \
    "$root/setup.py" "$root/tools/install.sh"; } | sha256sum
}

main() {
  ! cmp -s "$stamp" <(fingerprint 2>/dev/null) || { echo "==> up to date: $venv"; return; }
  # Not there yet, or a first run was interrupted.
  [ "$venv" != "$own_venv" ] || has_pip || step "making the environment $own_venv" make_environment
  is_supported "$python" || fail "Python 3.11 to 3.13 is needed, and $venv has" \
    "$("$python" --version 2>/dev/null || echo 'no bin/python'). Activate another environment, or none"
  has_pip || fail "$venv has no pip. Type: $python -m ensurepip"
  rm -f "$stamp"
  step 'pinned requirements' install_pinned
  step 'OpenMMLab packages' install_openmmlab
  step 'mmvidssl, editable' pip install -q --no-deps --no-build-isolation -e "$root"
  step 'importing everything once' imports cv2,mmaction,mmdet,mmpretrain,mmseg,mmvidssl
  fingerprint >"$stamp"
  echo "==> installed into $venv in $SECONDS s. To use it: source $venv/bin/activate"
}

unset PYTHONPATH PYTHONHOME
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
case "${1:-}" in
  '') main ;;
  --compiled-ops) main; step "compiling mmcv's operators (minutes)" compile_ops ;;
  --where) echo "$venv" ;;
  *) fail "unknown argument '$1'; the usage is at the top of tools/install.sh" ;;
esac
