"""What people do with a trained model: one file for each --mode."""

from atelier.applications._application import Application, Need, needs

__all__ = ['Application', 'Need', 'needs']
