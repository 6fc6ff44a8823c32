"""From collated samples to normalised batches on the device."""

from .clip_data_preprocessor import ClipDataPreprocessor

__all__ = ['ClipDataPreprocessor']
