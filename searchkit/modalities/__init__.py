"""Modalities beyond text, images and sounds, one module each; none is imported before a file of it comes.

The choice follows OneLLM (arXiv 2312.03700): depth maps, normal maps, point clouds, IMU series, fMRI vectors.
"""
