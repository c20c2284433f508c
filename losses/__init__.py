"""Loss mathematics: pure functions of arrays, per example, without networks or batch means."""
