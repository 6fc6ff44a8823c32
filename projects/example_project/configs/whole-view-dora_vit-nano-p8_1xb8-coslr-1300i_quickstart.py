# The quick start's DoRA with the two changes of this project.
#
# Paper:    none; a demonstration.
# Measured: not measured by us.
# Run:      see README.md
_base_ = '../../../configs/dora/dora_vit-nano-p8_1xb8-coslr-1300i_quickstart.py'

custom_imports = dict(imports=['projects.example_project.models'])

model = dict(
    type='WholeViewDoRA',
    target_generator=dict(type='HardTargetGenerator'),
)
