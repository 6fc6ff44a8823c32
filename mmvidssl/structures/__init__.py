"""What travels beside the pixels."""

from .vidssl_data_sample import VidSSLDataSample

__all__ = ['VidSSLDataSample']
