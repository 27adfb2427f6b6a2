"""The scoreboard: what layersmith promises under faults, kills and hostile input, measured."""
