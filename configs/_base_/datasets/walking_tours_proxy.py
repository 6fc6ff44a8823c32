# The clips and views of walking_tours_dora.py, from proxies (docs/en/howto/proxies.md): decoded in
# milliseconds instead of seconds. Make them with
#
#   python tools/datasets/make_proxy.py data/walking_tours --short-side 720 --fps 4 \
#       --out data/walking_tours_proxy
#
# What differs: frames are 720 lines high, JPEG, and a clip starts at one of 4 frames a second, not
# 60, so that an epoch has a fifteenth of the clips.
_base_ = ['walking_tours_dora.py']

data_root = 'data/walking_tours_proxy'

train_dataloader = dict(dataset=dict(data_root=data_root))
