"""The dashboards, one per question."""

from pipelines.monitoring.boards import data, gpu, overview, stage
from pipelines.monitoring.panel import Board

BOARDS: tuple[Board, ...] = (overview.BOARD, stage.BOARD, data.BOARD, gpu.BOARD)
